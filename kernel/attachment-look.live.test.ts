import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { coordinationDefaults } from '../contracts/coordination.ts';
import type { CoordinateSpec } from './coordination-tasks.ts';
import { type Kernel, openKernel } from './kernel.ts';
import type { LookSpec } from './kernel-tasks.ts';
import { TestNetwork } from './testing/test-network.ts';

jest.setTimeout(60_000); // programs are started in namespaces, and the machine may be busy

let network: TestNetwork;
let kernel: Kernel;
let pod: string;
let spec: LookSpec;

beforeEach(async () => {
  network = new TestNetwork();
  kernel = openKernel({ threads: 1, hostNetns: network.node });
  network.ip(network.node, 'addr add 10.70.8.2/22 dev eth1');
  pod = network.pod();
  const { cookie: netnsCookie } = await kernel.identifyNamespace(pod);
  const place = { containerID: '5b1e00112233445566', ifName: 'eth0', netns: pod, netnsCookie };
  const plumb = {
    ...place,
    link: { kind: 'macvlan', master: 'eth1', mode: 'bridge', mtuBytes: 1400 },
    addresses: [{ family: 4, address: '10.70.8.20/22', pool: 'v4', routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }] }],
    yieldsDefaultRoute: true,
  } as const;
  const coordination: CoordinateSpec = {
    ...place,
    settings: { ...coordinationDefaults, hijackCIDRs: ['10.96.0.0/12'] },
    awaitedNics: ['eth0'],
    defaultRoutes: [{ dst: '0.0.0.0/0', gateway: '10.70.8.1' }],
  };
  await kernel.plumb(plumb);
  const { operations } = await kernel.planCoordination(coordination);
  await kernel.applyCoordination({ netns: pod, netnsCookie, operations });
  spec = { ...place, shared: [], plumb, coordination };
});
afterEach(async () => {
  await kernel.close();
  network.close();
});

const wrong = async (): Promise<string[]> => {
  const { facts, obstacles } = await kernel.lookAt(spec);
  expect(obstacles).toEqual([]);
  return facts.flatMap(({ at, what, state }) => (state === 'right' ? [] : [`${state}: ${at} ${what}`])).toSorted();
};

describe('an attachment that is looked at', () => {
  it('is as it should be right after it was made', async () => {
    expect(await wrong()).toEqual([]);
    const texts = (await kernel.lookAt(spec)).facts.map(({ at, what }) => `${at} ${what}`);
    expect(texts).toEqual(
      expect.arrayContaining([
        'pod link eth0 macvlan mode bridge mtu 1400 up alias orbweaver:5b1e00112233445566/eth0',
        'pod address 10.70.8.20/22 dev eth0',
        'pod route default via 10.70.8.1 dev eth0 proto 79',
        'pod route default via 10.70.8.2 dev veth0 table 100 src 10.70.8.20 proto 79',
        'pod rule fwmark 0x1 lookup 100 pref 1000 proto 79',
        'pod sysctl net.ipv4.conf.veth0.rp_filter=0',
        'pod nftables table inet orbweaver',
        'node route 10.70.8.20/32 dev veth5b1e0011223 table 500 proto 79',
        'node rule lookup 500 pref 1000 proto 79',
      ]),
    );
  });

  it('shows what was changed behind our back, as it is and as it should be', async () => {
    network.ip(pod, 'link set dev eth0 mtu 1300');
    network.ip(pod, 'route del 10.96.0.0/12');
    network.ip(pod, 'rule del pref 1000');
    network.ip(network.node, 'route del 10.70.8.20/32 table 500');
    const alias = 'alias orbweaver:5b1e00112233445566/eth0';
    expect(await wrong()).toEqual([
      'missing: node route 10.70.8.20/32 dev veth5b1e0011223 table 500 proto 79',
      `missing: pod link eth0 macvlan mode bridge mtu 1400 up ${alias}`,
      'missing: pod route 10.96.0.0/12 via 10.70.8.2 dev veth0 src 10.70.8.20 proto 79',
      'missing: pod rule fwmark 0x1 lookup 100 pref 1000 proto 79',
      `surplus: pod link eth0 macvlan mode bridge mtu 1300 up ${alias}`,
    ]);
  });

  it('says what stands in its way when its interface is another one now', async () => {
    network.ip(pod, 'link set dev eth0 alias stranger');
    network.ip(pod, 'link set dev eth0 group 7');
    const { obstacles } = await kernel.lookAt(spec);
    expect(obstacles).toEqual([expect.stringContaining('which is not ours')]);
  });

  it('changes nothing', async () => {
    network.ip(pod, 'rule del pref 1000');
    const before = network.dump(pod);
    await kernel.lookAt(spec);
    expect(network.dump(pod)).toEqual(before);
  });
});
