import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { coordinationDefaults } from '../contracts/coordination.ts';
import { nodeEndMac, nodeEndOf } from '../network/plan-pair.ts';
import { type Kernel, openKernel } from './kernel.ts';
import type { PlumbSpec } from './kernel-tasks.ts';
import { nameOf, TestNetwork } from './testing/test-network.ts';

jest.setTimeout(60_000); // programs are started in namespaces, and the machine may be busy

/** Container IDs of two pods on one bridge. */
const [one, other] = ['5b1e00112233', '77aa00112233'];
const endOf = (containerID: string): string => nodeEndOf({ containerID, ifName: 'eth0' });
const end = endOf(one);

let network: TestNetwork;
let kernel: Kernel;
let pod: string;

beforeAll(() => {
  network = new TestNetwork();
  kernel = openKernel({ threads: 2, hostNetns: network.node });
  // A link-local address of its own would change by itself, once nobody else turns out to have it.
  network.ip(network.node, 'link set dev eth1 addrgenmode none');
  network.ip(network.node, '-6 addr flush dev eth1');
  network.bridge('br0');
});
afterAll(async () => {
  await kernel.close();
  network.close();
});
beforeEach(() => {
  pod = network.pod();
});
afterEach(async () => {
  for (const containerID of [one, other]) {
    await kernel.unplumb({ containerID, ifName: 'eth0', netns: pod });
  }
});

async function specFor(netns: string, host: number, changes: Partial<PlumbSpec> = {}): Promise<PlumbSpec> {
  const { cookie } = await kernel.identifyNamespace(netns);
  return {
    containerID: one,
    ifName: 'eth0',
    netns,
    netnsCookie: cookie,
    link: { kind: 'veth', master: 'br0' },
    addresses: [
      {
        family: 4,
        address: `10.70.8.${host}/22`,
        pool: 'v4',
        gateway: '10.70.8.1',
        routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }],
      },
      { family: 6, address: `fd00:70::${host.toString(16)}/64`, pool: 'v6', routes: [] },
    ],
    ...changes,
  };
}

/** Nobody listens, so whoever has the address says so. */
function reaches(from: string, address: string): void {
  const connect = ['timeout', '10', 'bash', '-c', `< /dev/tcp/${address}/9`];
  const { stderr } = spawnSync('nsenter', [`--net=${from}`, ...connect], { encoding: 'utf8' });
  expect(stderr).toContain('Connection refused');
}

/** Both namespaces, less what differs from one making to the next: the pod's MAC, indexes, what the kernel does by itself. */
async function state(): Promise<unknown> {
  const namespaces = [await kernel.inspect(), await kernel.inspect(pod)];
  return JSON.parse(
    JSON.stringify(namespaces.map((one) => ({ ...one, addresses: one.addresses.filter((each) => !each.isLinkLocal) }))),
    function (this: { ifName?: string }, key, value: unknown) {
      const isDrawn = key === 'ifIndex' || key === 'parentIndex' || (key === 'mac' && this.ifName === 'eth0');
      return isDrawn ? undefined : value;
    },
  ) as unknown;
}

const dumps = (): unknown[] => [network.dump(network.node), network.dump(pod)];

describe('an interface of kind veth', () => {
  it('is a pair: one end in the pod, the other a port of the bridge, both marked and up', async () => {
    const { mac, ifIndex, mtuBytes } = await kernel.plumb(await specFor(pod, 20));
    const alias = `orbweaver:${one}/eth0`;
    const isUp = { flags: expect.arrayContaining(['UP', 'LOWER_UP']), linkinfo: { info_kind: 'veth' } };
    expect(network.json(pod, '-d link show dev eth0')).toMatchObject([
      { ...isUp, address: mac, ifindex: ifIndex, mtu: mtuBytes, group: '28530', ifalias: alias },
    ]);
    expect(network.json(network.node, `-d link show dev ${end}`)).toMatchObject([
      {
        ...isUp,
        address: nodeEndMac({ containerID: one, ifName: 'eth0' }),
        mtu: 1500,
        master: 'br0',
        group: '28530',
        ifalias: alias,
        linkinfo: { info_kind: 'veth', info_slave_kind: 'bridge', info_slave_data: { state: 'forwarding' } },
      },
    ]);
  });

  it('does what the commands that it prints do', async () => {
    const { commands } = await kernel.plumb(await specFor(pod, 20));
    const made = await state();
    const { commands: removal } = await kernel.unplumb({ containerID: one, ifName: 'eth0', netns: pod });
    const run = (command: string) => spawnSync('nsenter', [`--net=${network.node}`, 'sh', '-ec', command]);
    expect(commands.map((command) => run(command).status)).toEqual(commands.map(() => 0));
    expect(await state()).toEqual(made);
    expect(removal.map((command) => run(command).status)).toEqual([0]);
  });

  it('reaches another pod of the bridge, in both families', async () => {
    const second = network.pod();
    await kernel.plumb(await specFor(pod, 20));
    await kernel.plumb(await specFor(second, 21, { containerID: other }));
    for (const address of ['10.70.8.21', 'fd00:70::15']) reaches(pod, address);
    for (const address of ['10.70.8.20', 'fd00:70::14']) reaches(second, address);
    await kernel.unplumb({ containerID: other, ifName: 'eth0', netns: second });
  });

  it('reaches the network through the bridge’s uplink, which gives the bridge its MAC as before', async () => {
    network.ip(network.node, 'link add br1 up type bridge');
    network.ip(network.node, 'link set dev eth1 address 02:00:00:00:00:e1 master br1');
    try {
      await kernel.plumb(await specFor(pod, 20, { link: { kind: 'veth', master: 'br1' } }));
      for (const gateway of ['10.70.8.1', 'fd00:70::1']) reaches(pod, gateway);
      expect(network.json(network.node, 'link show dev br1')).toMatchObject([{ address: '02:00:00:00:00:e1' }]);
    } finally {
      await kernel.unplumb({ containerID: one, ifName: 'eth0', netns: pod });
      network.ip(network.node, 'link del br1');
    }
  });

  it('with a smaller MTU leaves the bridge its own', async () => {
    const spec = await specFor(pod, 20, { link: { kind: 'veth', master: 'br0', mtuBytes: 1400 } });
    expect(await kernel.plumb(spec)).toMatchObject({ mtuBytes: 1400 });
    expect(network.json(network.node, 'link show dev br0')).toMatchObject([{ mtu: 1500 }]);
    expect(network.json(network.node, `link show dev ${end}`)).toMatchObject([{ mtu: 1500 }]);
  });

  it('is tied to its node like every other, by a pair of its own', async () => {
    network.ip(network.node, 'addr add 10.70.8.2/22 dev br0');
    try {
      const spec = await specFor(pod, 20, { yieldsDefaultRoute: true });
      await kernel.plumb(spec);
      const place = { containerID: one, ifName: 'eth0', netns: pod, netnsCookie: spec.netnsCookie };
      const request = { ...place, settings: coordinationDefaults, awaitedNics: [], defaultRoutes: [] };
      const { operations } = await kernel.planCoordination(request);
      await kernel.applyCoordination({ ...place, operations });
      reaches(pod, '10.70.8.2');
      reaches(network.node, '10.70.8.20');
      expect(network.json(network.node, 'route get 10.70.8.20')).toMatchObject([{ dev: `veth${one.slice(0, 11)}` }]);
      expect(await kernel.checkCoordination(request)).toEqual([]);
      expect(await kernel.check(spec)).toEqual([]);
      await kernel.uncoordinate({ ...place, operations });
    } finally {
      network.ip(network.node, 'addr del 10.70.8.2/22 dev br0');
      spawnSync('ip', ['-n', nameOf(network.node), 'rule', 'del', 'table', '500']);
    }
  });
});

describe('a repeated ADD', () => {
  it('finds nothing to do', async () => {
    const spec = await specFor(pod, 20);
    const first = await kernel.plumb(spec);
    expect(await kernel.plumb(spec)).toEqual({ ...first, commands: [] });
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])('completes what was left after %i steps', async (steps) => {
    const spec = await specFor(pod, 20);
    const { commands } = await kernel.plumb(spec);
    expect(commands).toHaveLength(8);
    const whole = await state();
    await kernel.unplumb(spec);
    for (const command of commands.slice(0, steps)) {
      spawnSync('nsenter', [`--net=${network.node}`, 'sh', '-ec', command]);
    }
    expect((await kernel.plumb(spec)).commands).toHaveLength(8 - steps);
    expect(await state()).toEqual(whole);
  });

  it.each([
    [`link set dev ${end} nomaster`, `The node’s end "${end}" is no port of "br0"`],
    [`link set dev ${end} down`, `The node’s end "${end}" is down`],
    [`link set dev ${end} mtu 1300`, `The node’s end "${end}" has an MTU of 1300 instead of 1500`],
  ])('after "ip %s" makes good what CHECK has found', async (damage, sentence) => {
    const spec = await specFor(pod, 20);
    await kernel.plumb(spec);
    const whole = await state();
    network.ip(network.node, damage);
    expect(await kernel.check(spec)).toEqual([sentence]);
    await kernel.plumb(spec);
    expect(await kernel.check(spec)).toEqual([]);
    expect(await state()).toEqual(whole);
  });
});

describe('a pair goes', () => {
  it('with its end in the pod, and leaves pod and node as they were', async () => {
    const before = dumps();
    const spec = await specFor(pod, 20);
    await kernel.plumb(spec);
    expect(await kernel.unplumb(spec)).toEqual({ removed: true, commands: [`ip -n ${nameOf(pod)} link del dev eth0`] });
    expect(dumps()).toEqual(before);
    expect(await kernel.unplumb(spec)).toEqual({ removed: false, commands: [] });
  });

  it('when a step is refused after it was made', async () => {
    const before = dumps();
    const spec = await specFor(pod, 20);
    const switchOff = ['sysctl', '-w', 'net.ipv6.conf.default.disable_ipv6=1'];
    spawnSync('ip', ['netns', 'exec', nameOf(pod), ...switchOff]);
    await expect(kernel.plumb(spec)).rejects.toMatchObject({ type: 'KernelRefused' });
    expect(network.dump(network.node)).toEqual(before[0]);
    expect(network.json(pod, 'link show').map(({ ifname }) => ifname)).toEqual(['lo']);
  });

  it('by its end on the node when nobody can say where the other one is', async () => {
    const hidden = network.pod();
    const spec = await specFor(hidden, 20);
    await kernel.plumb(spec);
    const gone = { containerID: one, ifName: 'eth0', netns: '/run/netns/none', netnsCookie: '1234567' };
    expect(await kernel.unplumb(gone)).toEqual({ removed: true, commands: [`ip link del dev ${end}`] });
    expect(network.json(hidden, 'link show').map(({ ifname }) => ifname)).toEqual(['lo']);
  });

  it('with its end on the node when the pod has put its mark on another link', async () => {
    const inner = network.pod();
    const spec = await specFor(pod, 20);
    await kernel.plumb(spec);
    network.ip(pod, `link set dev eth0 netns ${nameOf(inner)}`);
    network.ip(pod, 'link add eth0 group 28530 type veth peer name other');
    expect(await kernel.unplumb(spec)).toEqual({
      removed: true,
      commands: [`ip -n ${nameOf(pod)} link del dev eth0`, `ip link del dev ${end}`],
    });
    expect(network.json(inner, 'link show').map(({ ifname }) => ifname)).toEqual(['lo']);
  });

  it('with a sandbox that vanished, at once', async () => {
    const gone = network.pod();
    const spec = await specFor(gone, 20);
    await kernel.plumb(spec);
    network.remove(gone);
    await kernel.unplumb(spec);
    expect(network.json(network.node, 'link show').map(({ ifname }) => ifname)).not.toContain(end);
  });

  it('from a namespace that only a process still has', async () => {
    const hidden = network.pod();
    const spec = await specFor(hidden, 20);
    await kernel.plumb(spec);
    const process = spawn('ip', ['netns', 'exec', nameOf(hidden), 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      process.stdin.write('ready');
      await once(process.stdout, 'data');
      network.remove(hidden);
      expect(await kernel.unplumb(spec)).toMatchObject({ removed: true });
    } finally {
      process.kill();
      await once(process, 'exit');
    }
  });

  it('and another’s link of its name on the node does not', async () => {
    network.ip(network.node, `link add ${end} type bridge`);
    try {
      const before = dumps();
      const spec = await specFor(pod, 20);
      await expect(kernel.plumb(spec)).rejects.toMatchObject({
        type: 'InterfaceExists',
        message: expect.stringContaining(`the node already has a link "${end}" (bridge, MAC`),
      });
      expect(await kernel.unplumb(spec)).toEqual({ removed: false, commands: [] });
      expect(dumps()).toEqual(before);
    } finally {
      network.ip(network.node, `link del ${end}`);
    }
  });
});

describe('a bridge', () => {
  it.each([
    ['that is none', 'eth1', 'InvalidConfig', 'it is no Linux bridge (veth'],
    ['that is not there', 'br9', 'ParentLinkMissing', 'the node has no such link'],
    ['that is down', 'br2', 'ParentLinkMissing', 'that link is down'],
  ])('%s is refused, and nothing is changed', async (_, master, type, message) => {
    network.ip(network.node, 'link add br2 type bridge');
    try {
      const before = dumps();
      const refused = { type, message: expect.stringContaining(message) };
      const spec = await specFor(pod, 20, { link: { kind: 'veth', master } });
      await expect(kernel.plumb(spec)).rejects.toMatchObject(refused);
      expect(dumps()).toEqual(before);
    } finally {
      network.ip(network.node, 'link del br2');
    }
  });
});

describe('what orb explain sees of it', () => {
  it('is both ends, and what was taken off the bridge', async () => {
    const spec = await specFor(pod, 20);
    await kernel.plumb(spec);
    const { netns, netnsCookie } = spec;
    const look = async () =>
      (await kernel.lookAt({ containerID: one, ifName: 'eth0', netns, netnsCookie, shared: [], plumb: spec })).facts
        .filter(({ what }) => what.startsWith('link '))
        .map(({ at, what, state }) => `${state}: ${at} ${what}`);
    const alias = `alias orbweaver:${one}/eth0`;
    const whole = [
      `right: node link ${end} veth mtu 1500 up master br0 ${alias}`,
      `right: pod link eth0 veth mtu 1500 up ${alias}`,
    ];
    expect(await look()).toEqual(whole);
    network.ip(network.node, `link set dev ${end} nomaster`);
    expect(await look()).toEqual([
      `missing: node link ${end} veth mtu 1500 up master br0 ${alias}`,
      `surplus: node link ${end} veth mtu 1500 up ${alias}`,
      whole[1],
    ]);
  });
});
