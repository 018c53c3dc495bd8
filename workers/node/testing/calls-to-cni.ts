import { ProvisionError } from '../../../contracts/failures.ts';
import type { ReplyFrame, RequestFrame } from '../../../contracts/frame.ts';

export const cniNonce = 'a'.repeat(32);

/** A configuration of `type: orbweaver` that asks for a macvlan interface. */
export const wholeConf = { cniVersion: '1.0.0', name: 'underlay', type: 'orbweaver', kind: 'macvlan', master: 'bond0' };
/** A macvlan configuration whose IPAM we are. */
export const chainedConf = { cniVersion: '1.0.0', name: 'underlay', type: 'macvlan', ipam: { type: 'spiderpool' } };

/** A configuration of plugin ifacer, first in a chain. */
export const ifacerConf = {
  cniVersion: '1.0.0',
  name: 'underlay',
  type: 'ifacer',
  interfaces: ['eno1', 'eno2'],
  vlanID: 120,
  bond: { name: 'bond0', mode: 4, options: 'miimon=50;lacp_rate=fast' },
};

/** A configuration of plugin coordinator, behind a macvlan. */
export const coordinatorConf = {
  cniVersion: '1.0.0',
  name: 'underlay',
  type: 'coordinator',
  podDefaultRouteNic: 'net1',
  prevResult: {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'net1', mac: '02:00:00:00:00:07', sandbox: '/run/netns/cni-1', foreign: true }],
    ips: [{ address: '10.70.8.21/22', interface: 0 }],
    dns: {},
  },
};

/** One CNI call as containerd makes it; `environment` and `stdin` replace parts of it, `undefined` leaves a variable out. */
export function cniCall(
  command: string,
  {
    environment = {},
    stdin = wholeConf,
    nonce = cniNonce,
  }: { environment?: Record<string, string | undefined>; stdin?: unknown; nonce?: string } = {},
): RequestFrame {
  const variables: Record<string, string | undefined> = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: '5bc0ffee',
    CNI_NETNS: '/run/netns/cni-1',
    CNI_IFNAME: 'eth0',
    CNI_ARGS:
      'IgnoreUnknown=1;K8S_POD_NAMESPACE=pay;K8S_POD_NAME=api-0;K8S_POD_UID=9c1f0000-0000-4000-8000-000000000001',
    CNI_PATH: '/opt/cni/bin',
    ORBWEAVER_PLUGIN: 'orbweaver',
    ...environment,
  };
  return {
    environment: new Map(
      Object.entries(variables).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])),
    ),
    stdin:
      stdin instanceof Uint8Array
        ? stdin
        : new TextEncoder().encode(typeof stdin === 'string' ? stdin : JSON.stringify(stdin)),
    nonce,
  };
}

export const printed = ({ stdout }: ReplyFrame): string => new TextDecoder().decode(stdout);

/** As what a request is refused. */
export function refusal(work: () => unknown): { type: string; message: string; remedy: string | undefined } {
  try {
    work();
  } catch (error) {
    if (error instanceof ProvisionError) return error;
    throw error;
  }
  throw new Error('It was accepted');
}
