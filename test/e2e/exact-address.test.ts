import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import type { CallOptions, CniAnswer, HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import { ipamClaim, ipamClaimKind } from '../testing/ipam-claim-kind.ts';
import { TestCluster } from './test-cluster.ts';

/** Addresses that a pod asks for by name: calls of the real executable, by hand, on a node without kubelet. */
let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a'], kubelets: false });
  await cluster.stack.apply(
    underlayPool('rack7-v4', 4, ['10.70.7.1-10.70.7.50'], { excludeIPs: ['10.70.7.40'] }),
    underlayPool('rack7-v6', 6, ['fd00:70::7:1-fd00:70::7:ff']),
    underlayPool('rack8-v4', 4, ['10.70.8.1-10.70.8.50'], { default: false }),
    {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderReservedIP',
      metadata: { name: 'printers' },
      spec: { ips: ['10.70.7.30'] },
    },
    ipamClaimKind,
  );
  await cluster.stack.kubectl(
    'wait',
    '--for=condition=Established',
    `crd/${ipamClaimKind.metadata.name}`,
    '--timeout=30s',
  );
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);
beforeEach(async () => {
  await cluster.stack.apply(ipamClaim('asks', { ipRequests: ['10.70.7.21/16'] }));
  await cluster.remember();
});
afterEach(async () => {
  await cluster.stack.kubectl('delete', 'ipamclaims', '--all'); // they would keep their addresses
  await cluster.removeSandboxes();
  await cluster.untilAsRemembered();
});

const addresses = ({ body }: CniAnswer): readonly string[] => (body?.ips ?? []).map(({ address }) => address);
const inArgs = (sandbox: HandMadeSandbox, ip: string): CallOptions => ({
  env: {
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${sandbox.podName};K8S_POD_UID=${sandbox.podUID};IP=${ip}`,
  },
});
const refused = (code: number, type: string, ...told: readonly string[]) => ({
  exitCode: 1,
  body: {
    code,
    details: type,
    msg: expect.stringMatching(
      new RegExp(told.map((text) => text.replaceAll(/[.()[\]]/g, String.raw`\$&`)).join('.*')),
    ),
  },
});
const onePool = { 'ipam.spidernet.io/ippool': '{"ipv4": ["rack7-v4"]}' };

describe('an exact address', () => {
  it.each<readonly [string, Record<string, string>, (sandbox: HandMadeSandbox) => CallOptions]>([
    ['args.cni.ips', {}, () => ({ conf: { args: { cni: { ips: ['10.70.7.21/16'] } } } })],
    ['the capability "ips"', {}, () => ({ conf: { runtimeConfig: { ips: ['10.70.7.21'] } } })],
    ['IP of CNI_ARGS', {}, (sandbox) => inArgs(sandbox, '10.70.7.21')],
    [
      'the pod’s annotation',
      {
        'v1.multus-cni.io/default-network':
          '[{"name": "underlay", "namespace": "orbweaver-system", "ips": ["10.70.7.21/16"]}]',
      },
      () => ({}),
    ],
    [
      'an IPAMClaim',
      { 'v1.multus-cni.io/default-network': '[{"name": "underlay", "ipam-claim-reference": "asks"}]' },
      () => ({}),
    ],
    [
      'all of them',
      { 'v1.multus-cni.io/default-network': '[{"name": "underlay", "ips": ["10.70.7.21"]}]' },
      (sandbox) => ({
        ...inArgs(sandbox, '10.70.7.21'),
        conf: { args: { cni: { ips: ['10.70.7.21/16'] } }, runtimeConfig: { ips: ['10.70.7.21/16'] } },
      }),
    ],
  ])(
    'asked for by %s is what the pod gets; the family without a wish is served as ever',
    async (_, annotations, options) => {
      const sandbox = await cluster.sandbox('wish', annotations);
      const answer = await sandbox.add(options(sandbox));
      expect(addresses(answer)).toEqual(['10.70.7.21/16', expect.stringMatching(/^fd00:70::7:/)]);
      expect(await sandbox.look()).toContain('10.70.7.21/16');
    },
  );

  it('of an IPAMClaim is what its status has, whatever was asked for; and nothing is given while it is not there', async () => {
    await cluster.stack.apply(ipamClaim('has', { ipRequests: ['10.70.7.21/16'] }));
    const status = JSON.stringify({ status: { ips: ['10.70.7.23/16'], ownerPod: { name: 'earlier' } } });
    await cluster.stack.kubectl('patch', 'ipamclaim', 'has', '--subresource=status', '--type=merge', '-p', status);
    const naming = (claim: string) => ({
      ...onePool,
      'v1.multus-cni.io/default-network': JSON.stringify([{ name: 'underlay', 'ipam-claim-reference': claim }]),
    });
    expect(addresses(await (await cluster.sandbox('has', naming('has'))).add())).toEqual(['10.70.7.23/16']);
    const sandbox = await cluster.sandbox('lacks', naming('lacks'));
    expect(await sandbox.add()).toMatchObject(refused(7, 'InvalidAnnotation', 'the pod names IPAMClaim "lacks"'));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('is asked for of both families in one list', async () => {
    const sandbox = await cluster.sandbox('both');
    expect(addresses(await sandbox.add(inArgs(sandbox, '10.70.7.21,fd00:70::7:21')))).toEqual([
      '10.70.7.21/16',
      'fd00:70::7:21/64',
    ]);
  });

  it('is met again when the ADD is repeated, and kept when the sandbox is made anew', async () => {
    const first = await cluster.sandbox('again', onePool);
    expect(addresses(await first.add(inArgs(first, '10.70.7.21')))).toEqual(['10.70.7.21/16']);
    expect(addresses(await first.add(inArgs(first, '10.70.7.21')))).toEqual(['10.70.7.21/16']);
    expect(await first.del()).toMatchObject({ exitCode: 0 });
    const next = await cluster.successorOf(first);
    expect(addresses(await next.add(inArgs(next, '10.70.7.21')))).toEqual(['10.70.7.21/16']);
    expect(await cluster.claimsOf(next)).toEqual(['10.70.7.21 Bound']);
  });

  it('that another pod has is refused, and it is said who has it', async () => {
    const owner = await cluster.sandbox('owner', onePool);
    expect(addresses(await owner.add(inArgs(owner, '10.70.7.21')))).toEqual(['10.70.7.21/16']);
    const other = await cluster.sandbox('other', onePool);
    expect(await other.add(inArgs(other, '10.70.7.21'))).toMatchObject(
      refused(11, 'AddressTaken', 'Cannot claim 10.70.7.21', 'pod default/owner on node "node-a" has it (Bound)'),
    );
    expect(await cluster.claimsOf(other)).toEqual([]);
  });

  it.each([
    [
      'outside of the pod’s pools',
      '10.70.8.21',
      '"rack7-v4" may not give it: it is not in spec.ips, or in spec.excludeIPs',
    ],
    ['excluded', '10.70.7.40', 'it is not in spec.ips, or in spec.excludeIPs'],
    ['reserved', '10.70.7.30', 'a SpiderReservedIP has it'],
    ['the gateway', '10.70.0.1', 'it is its gateway'],
    ['of a family that the pod does not get', 'fd00:70::7:21', 'the pod gets no IPv6 address'],
    ['of another prefix length', '10.70.7.21/24', 'has prefix length 16, and 24 is asked'],
  ])('that is %s is refused with the reason, and nothing is left', async (_, ip, why) => {
    const sandbox = await cluster.sandbox('refused', onePool);
    expect(await sandbox.add(inArgs(sandbox, ip))).toMatchObject(refused(7, 'AddressNotOffered', 'Cannot claim', why));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('is refused where two sources differ, with both named', async () => {
    const sandbox = await cluster.sandbox('torn', onePool);
    const options = { ...inArgs(sandbox, '10.70.7.22'), conf: { args: { cni: { ips: ['10.70.7.21'] } } } };
    expect(await sandbox.add(options)).toMatchObject(
      refused(7, 'InvalidConfig', 'args.cni.ips asks for 10.70.7.21 and IP of CNI_ARGS for 10.70.7.22'),
    );
  });
});
