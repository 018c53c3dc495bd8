import type { Attachment, AttachmentKind, PodIdentity } from '../../contracts/attachment.ts';
import type { CniCommand, PluginName } from '../../contracts/cni.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { RequestFrame } from '../../contracts/frame.ts';
import type { AddressWish, NetworkConf } from '../../contracts/pod-network.ts';
import { vethInPod } from '../../network/coordination/pod-layout.ts';
import { addressWishes } from './address-wishes.ts';
import { shown } from './conf-refusal.ts';
import type { ReadDeviceInfo } from './device-info.ts';
import { type Conf, namePattern, parseConf, parseNetworkConf } from './network-conf.ts';

/** One CNI call, checked: nothing in it needs looking at twice. */
export type CniCall =
  | ({
      readonly command: 'ADD';
      readonly network: NetworkConf;
      readonly wishes: readonly AddressWish[];
      readonly netns: string;
      /** What the plugins before this one have made: it goes on as it is when we make no interface. */
      readonly prevResult?: object;
    } & OfAttachment)
  /** About what was added, whatever the configuration asks for by now. */
  | ({
      readonly command: 'CHECK';
      readonly netns: string;
      /** MAC that the interface had when all plugins of the chain were through. */
      readonly mac?: string;
    } & OfAttachment)
  | ({ readonly command: 'DEL'; readonly netns: string } & OfAttachment)
  | { readonly command: 'GC'; readonly conf: Conf; readonly valid: readonly ValidAttachment[] }
  /** STATUS and VERSION: that this worker answers is all that is asked. */
  | { readonly command: 'nothing' };

interface OfAttachment {
  readonly conf: Conf;
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
}

export interface ValidAttachment {
  readonly containerID: string;
  readonly ifName: string;
}

const plugins: readonly PluginName[] = ['orbweaver', 'spiderpool', 'rdma', 'coordinator', 'ifacer'];
const kinds = {
  orbweaver: 'attach',
  spiderpool: 'attach',
  ifacer: 'prepare',
  rdma: 'rdma',
  coordinator: 'coordinate',
} as const satisfies Record<PluginName, AttachmentKind>;
const commands: readonly CniCommand[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'];

/** Reads a call from its frame. Throws `ProvisionError` with the code that CNI spec 1.1.0 gives the mistake. */
export function parseCniCall({ environment, stdin }: RequestFrame, readDeviceInfo?: ReadDeviceInfo): CniCall {
  const command = oneOf(commands, 'CNI_COMMAND', environment.get('CNI_COMMAND'));
  const plugin = oneOf(plugins, 'the name of the executable', environment.get('ORBWEAVER_PLUGIN'));
  const conf = parseConf(stdin);
  if (command === 'STATUS' || command === 'VERSION') return { command: 'nothing' };
  if (command === 'GC') return { command, conf, valid: parseValidAttachments(conf) };

  const needed = command === 'DEL' ? ['CNI_CONTAINERID', 'CNI_IFNAME'] : ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_NETNS'];
  const missing = needed.filter((key) => (environment.get(key) ?? '') === '');
  if (missing.length > 0) {
    throw new ProvisionError({
      type: 'InvalidEnvironment',
      message: `${command} needs ${missing.join(' and ')} in its environment`,
      remedy: 'Call the plugin through a container runtime, or set them as CNI spec 1.1.0, "Parameters", says',
    });
  }
  const attachment: Attachment = {
    containerID: matching(namePattern, 128, 'CNI_CONTAINERID', environment),
    network: conf.name,
    ifName: matching(/^(?!\.{1,2}$)[^\s/:%]+$/, 15, 'CNI_IFNAME', environment),
    kind: kinds[plugin],
  };
  if (plugin === 'orbweaver' && command !== 'DEL' && attachment.ifName === vethInPod) {
    throw new ProvisionError({
      type: 'InvalidEnvironment',
      message: `CNI_IFNAME is "${vethInPod}", which is the name of every pod's end of its link to the node`,
      remedy: 'Name the interface otherwise in pod annotation k8s.v1.cni.cncf.io/networks',
    });
  }
  const netns = environment.get('CNI_NETNS') ?? '';
  const args = parseArgs(environment.get('CNI_ARGS') ?? '');
  const pod = parsePod(args, command);
  if (command === 'DEL') return { command, conf, attachment, pod, netns };
  if (command === 'CHECK') {
    const mac = answeredMac(conf.json['prevResult'], attachment.ifName);
    return { command, conf, attachment, pod, netns, ...(mac === undefined ? {} : { mac }) };
  }
  const [network, wishes] = [parseNetworkConf(plugin, conf, readDeviceInfo), addressWishes(conf, args)];
  const { prevResult } = conf.json;
  const earlier = attachment.kind !== 'attach' && typeof prevResult === 'object' && prevResult !== null;
  return { command, conf, attachment, pod, netns, network, wishes, ...(earlier ? { prevResult } : {}) };
}

/** The pod behind the sandbox, from CNI_ARGS. A DEL may come without it: its record, or nothing, is then what it is about. */
function parsePod(args: ReadonlyMap<string, string>, command: 'ADD' | 'CHECK' | 'DEL'): PodIdentity {
  const pod = {
    namespace: args.get('K8S_POD_NAMESPACE') ?? '',
    name: args.get('K8S_POD_NAME') ?? '',
    uid: args.get('K8S_POD_UID') ?? '',
  };
  const isPlausible = (text: string): boolean => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text) && text.length <= 253;
  const isMissing = pod.namespace === '' && pod.name === '';
  if (isMissing && command === 'DEL') return pod;
  if (!isPlausible(pod.namespace) || !isPlausible(pod.name) || !/^[A-Za-z0-9-]{0,64}$/.test(pod.uid)) {
    throw new ProvisionError({
      type: 'InvalidEnvironment',
      message: `CNI_ARGS names no pod: K8S_POD_NAMESPACE is ${shown(pod.namespace)}, K8S_POD_NAME is ${shown(pod.name)}, K8S_POD_UID is ${shown(pod.uid)}`,
      remedy:
        'Call the plugin through a Kubernetes container runtime, which sets K8S_POD_NAMESPACE, K8S_POD_NAME and K8S_POD_UID',
    });
  }
  return pod;
}

/** libcni also writes the mistaken key `cni.dev/attachments`; either is read. */
function parseValidAttachments({ json }: Conf): readonly ValidAttachment[] {
  const list = json['cni.dev/valid-attachments'] ?? json['cni.dev/attachments'];
  if (list === undefined) return missingAttachments(list);
  if (!Array.isArray(list)) return missingAttachments(list);
  return list.map((entry: unknown) => {
    const { containerID, ifname } = (entry ?? {}) as { containerID?: unknown; ifname?: unknown };
    if (typeof containerID !== 'string' || typeof ifname !== 'string') return missingAttachments(entry);
    return { containerID, ifName: ifname };
  });
}

function missingAttachments(value: unknown): never {
  throw new ProvisionError({
    type: 'InvalidConfig',
    message: `Key "cni.dev/valid-attachments" is ${shown(value)}`,
    remedy:
      'GC needs the list of attachments that stay: [{"containerID": "…", "ifname": "…"}]. Without it nothing is removed',
  });
}

/** Of the interface in the pod: the node's may have the same name, and no sandbox. */
function answeredMac(prevResult: unknown, ifName: string): string | undefined {
  const { interfaces } = (prevResult ?? {}) as { readonly interfaces?: unknown };
  const links = (Array.isArray(interfaces) ? interfaces : []) as readonly ({ [key: string]: unknown } | null)[];
  const mac = links.find((link) => link?.['name'] === ifName && (link['sandbox'] ?? '') !== '')?.['mac'];
  return typeof mac === 'string' && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac) ? mac.toLowerCase() : undefined;
}

/** Multus passes some keys twice; the last one is the runtime's. */
const parseArgs = (args: string): ReadonlyMap<string, string> => new Map(args.split(';').map((entry) => split(entry)));

function split(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}

function oneOf<T extends string>(known: readonly T[], what: string, value: string | undefined): T {
  const found = known.find((name) => name === value);
  if (found !== undefined) return found;
  throw new ProvisionError({
    type: 'InvalidEnvironment',
    message: `${what} is ${shown(value)}`,
    remedy: `Allowed: ${known.join(', ')}`,
  });
}

function matching(pattern: RegExp, longest: number, key: string, environment: ReadonlyMap<string, string>): string {
  const value = environment.get(key) ?? '';
  if (pattern.test(value) && Buffer.byteLength(value) <= longest) return value;
  throw new ProvisionError({
    type: 'InvalidEnvironment',
    message: `${key} is ${shown(value)}`,
    remedy: `It has at most ${longest} bytes and no white space, "/" or ":"`,
  });
}
