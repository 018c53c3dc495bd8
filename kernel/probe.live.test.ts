import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { LinkConf } from '../contracts/pod-network.ts';
import { defaultProbeTiming } from '../contracts/probing.ts';
import { type Kernel, openKernel } from './kernel.ts';
import type { ProbeSpec } from './open-probes.ts';
import { TestNetwork } from './testing/test-network.ts';

jest.setTimeout(30_000); // threads start, and silence takes its time

let network: TestNetwork;
let kernel: Kernel;
let outsideMac: string;

beforeAll(async () => {
  network = new TestNetwork();
  kernel = openKernel({ threads: 2, hostNetns: network.node });
  outsideMac = macOf(network.outside, 'wire');
  const { ask } = await podOn();
  await ask('10.70.8.1'); // the threads are there
}, 60_000);
afterAll(async () => {
  await kernel.close();
  network.close();
});

const macOf = (netns: string, ifName: string): string =>
  String(network.json(netns, `link show dev ${ifName}`)[0]?.['address']);

/** A pod with an interface that is up and has no address. */
async function podOn(mode: 'bridge' | 'private' = 'bridge'): Promise<{ netns: string; ask: typeof ask }> {
  const netns = network.pod();
  const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
  const link: LinkConf = { kind: 'macvlan', master: 'eth1', mode };
  await kernel.plumb({ containerID: 'c0', ifName: 'eth0', netns, netnsCookie, link, addresses: [] });
  const ask = (target: string, more: Partial<ProbeSpec> = {}) =>
    kernel.probe({ netns, netnsCookie, ifName: 'eth0', target, timing: defaultProbeTiming, ...more });
  return { netns, ask };
}

describe('a search for duplicates from a pod’s new interface', () => {
  it.each(['10.70.8.1', 'fd00:70::1'])('finds a host outside that has %s, with its MAC', async (address) => {
    const { ask } = await podOn();
    expect(await ask(address)).toEqual({ outcome: 'answered', mac: outsideMac });
  });

  it.each(['10.70.8.77', 'fd00:70::77'])('hears nobody for %s, which is free', async (address) => {
    const { ask } = await podOn();
    expect(await ask(address)).toEqual({ outcome: 'silent' });
  });

  it.each([
    ['10.70.8.50', 'addr add 10.70.8.50/22 dev eth0'],
    ['fd00:70::50', 'addr add fd00:70::50/64 dev eth0 nodad'],
  ])('finds another pod on the same parent that has %s', async (address, configured) => {
    const neighbour = await podOn();
    network.ip(neighbour.netns, configured);
    const { ask } = await podOn();
    expect(await ask(address)).toEqual({ outcome: 'answered', mac: macOf(neighbour.netns, 'eth0') });
    network.remove(neighbour.netns);
  });

  it('leaves the neighbours’ tables as they were', async () => {
    const { netns, ask } = await podOn();
    const mac = macOf(netns, 'eth0');
    await ask('10.70.8.1');
    expect(network.json(network.outside, 'neigh show').filter(({ lladdr }) => lladdr === mac)).toEqual([]);
  });

  it('does not take the kernel’s own link-local search for a duplicate', async () => {
    const { netns, ask } = await podOn();
    const [shown] = network.json(netns, '-6 addr show dev eth0');
    const [{ local } = { local: '' }] = (shown?.['addr_info'] ?? []) as { local: string }[];
    expect(await ask(local)).toEqual({ outcome: 'silent' }); // its own MAC
  });

  it('is asked fifty at once, and none waits for another', async () => {
    const { ask } = await podOn();
    const ended: string[] = [];
    const search = async (address: string): Promise<string> => {
      const { outcome } = await ask(address);
      ended.push(outcome);
      return outcome;
    };
    const free = Array.from({ length: 50 }, (_, at) => search(`10.70.9.${at + 1}`));
    const found = search('10.70.8.1'); // asked last, and answered before the silence of the others is over
    expect(await Promise.all(free)).toEqual(free.map(() => 'silent'));
    expect([await found, ended[0]]).toEqual(['answered', 'answered']);
  });
});

describe('the interface that was made to ask from', () => {
  it('is completed with its addresses afterwards, and keeps its MAC', async () => {
    const { netns } = await podOn();
    const mac = macOf(netns, 'eth0');
    const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
    const routes = [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }];
    const addresses = [{ family: 4, address: '10.70.8.61/22', pool: 'v4', gateway: '10.70.8.1', routes }] as const;
    const link: LinkConf = { kind: 'macvlan', master: 'eth1', mode: 'bridge' };
    const made = await kernel.plumb({ containerID: 'c0', ifName: 'eth0', netns, netnsCookie, link, addresses });
    expect(made.mac).toBe(mac);
    expect(made.commands.map((line) => line.split(' ').slice(3, 5).join(' '))).toEqual(['addr add', 'route add']);
  });
});

describe('a search from the parent', () => {
  it('does not reach the pods on it, which is why it is done from the pod', async () => {
    const neighbour = await podOn();
    network.ip(neighbour.netns, 'addr add 10.70.8.51/22 dev eth0');
    const other = openKernel({ threads: 1, hostNetns: neighbour.netns });
    const { cookie: netnsCookie } = await other.identifyNamespace(network.node);
    const place = { netns: network.node, netnsCookie, ifName: 'eth1', timing: defaultProbeTiming };
    expect(await other.probe({ ...place, target: '10.70.8.51' })).toEqual({ outcome: 'silent' });
    expect(await other.probe({ ...place, target: '10.70.8.1' })).toMatchObject({ outcome: 'answered' });
    await other.close();
  }, 60_000);
});

describe('a question for a gateway', () => {
  it.each([
    ['10.70.8.1', '10.70.8.60'],
    ['fd00:70::1', 'fd00:70::60'],
  ])('at %s is answered before the own address is configured', async (target, from) => {
    const { ask } = await podOn();
    expect(await ask(target, { from })).toEqual({ outcome: 'answered', mac: outsideMac });
  });

  it.each([
    ['10.70.8.2', '10.70.8.60'],
    ['fd00:70::2', 'fd00:70::60'],
  ])('at %s, where none is, stays without answer', async (target, from) => {
    const { ask } = await podOn();
    expect(await ask(target, { from })).toEqual({ outcome: 'silent' });
  });
});

describe('an interface of another plugin', () => {
  const pair = async (): Promise<Pick<ProbeSpec, 'netns' | 'netnsCookie' | 'timing'>> => {
    const netns = network.pod();
    network.ip(network.node, `link add link eth1 name tmp0 type macvlan mode bridge`);
    network.ip(network.node, `link set dev tmp0 netns ${netns.slice('/run/netns/'.length)}`);
    network.ip(netns, 'link set dev tmp0 name net1');
    const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
    return { netns, netnsCookie, timing: defaultProbeTiming };
  };

  it('that is still down is brought up first', async () => {
    const place = await pair();
    expect(await kernel.probe({ ...place, ifName: 'net1', target: '10.70.8.1' })).toMatchObject({
      outcome: 'answered',
    });
    expect(network.json(place.netns, 'link show dev net1')[0]?.['flags']).toContain('UP');
  });

  it('that is not there yet, or is the loopback, is mute', async () => {
    const place = await pair();
    expect(await kernel.probe({ ...place, ifName: 'eth0', target: '10.70.8.1' })).toEqual({
      outcome: 'mute',
      why: 'the sandbox has no interface "eth0" yet',
    });
    expect(await kernel.probe({ ...place, ifName: 'lo', target: '10.70.8.1' })).toMatchObject({ outcome: 'mute' });
  });

  it('without carrier is told as that', async () => {
    const netns = network.pod();
    network.ip(netns, 'link add eth0 type veth peer name far');
    const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
    const question = { netns, netnsCookie, ifName: 'eth0', target: '10.70.8.1', timing: defaultProbeTiming };
    await expect(kernel.probe(question)).rejects.toMatchObject({
      type: 'ParentLinkMissing',
      message: expect.stringContaining('without carrier'),
    });
  });

  it('of a sandbox that is gone is refused', async () => {
    const place = await pair();
    await expect(
      kernel.probe({ ...place, netnsCookie: '1', ifName: 'net1', target: '10.70.8.1' }),
    ).rejects.toMatchObject({ type: 'InvalidNamespace' });
  });
});

it('the probing thread ends with the kernel’s others, whatever is still asked', async () => {
  const { netns } = await podOn();
  const other = openKernel({ threads: 1, hostNetns: network.node });
  const { cookie: netnsCookie } = await other.identifyNamespace(netns);
  const lost = other.probe({ netns, netnsCookie, ifName: 'eth0', target: '10.70.8.99', timing: defaultProbeTiming });
  const told = lost.catch((error: unknown) => error);
  await other.close();
  expect(await told).toMatchObject({ type: 'Internal' });
}, 60_000);
