import { describe, expect, it } from '@jest/globals';
import type { AddRequest, NetworkConf } from '../contracts/pod-network.ts';
import { holderOf, type NodeProcess, NodeWorld } from '../workers/node/testing/node-world.ts';
import { addRequest } from '../workflows/testing/node-model.ts';

const uid = addRequest().pod.uid;
const stranger = '02:00:00:00:00:aa';
const statefulSet = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'api', uid: 's1', controller: true };
const machine = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  name: 'vm',
  uid: 'v1',
  controller: true,
};
const identity = 'StatefulSet/pay/api/0';

const asks = (network: Partial<NetworkConf> = {}, base = addRequest()): AddRequest => ({
  ...base,
  network: { ...base.network, defaultIPv4Pools: ['v4'], defaultIPv6Pools: [], ...network },
});
const detecting: Partial<NetworkConf> = { probes: { conflicts: true } };

async function open(
  request: AddRequest,
  prepare: (world: NodeWorld) => Promise<void> | void = () => undefined,
): Promise<{ world: NodeWorld; worker: NodeProcess; claim: () => Promise<readonly string[]> }> {
  const world = new NodeWorld();
  world.pools.set('v4', {
    metadata: { name: 'v4' },
    spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.22'], gateway: '10.70.8.1' },
  });
  world.pools.set('v6', { metadata: { name: 'v6' }, spec: { subnet: 'fd70::/64', ips: ['fd70::10-fd70::11'] } });
  world.pods.set('pay/api-0', { uid, annotations: {}, isAlive: true });
  world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
  await prepare(world);
  const worker = await world.start();
  worker.calls.open(request.nonce, 'ADD', request.attachment);
  const claim = async () => (await worker.activities.claimAddresses(request)).map(({ address }) => address);
  return { world, worker, claim };
}

const everyV4 = ['10.70.8.20', '10.70.8.21', '10.70.8.22'];
const phases = (world: NodeWorld): readonly string[] =>
  world.api.all().map(({ metadata, spec }) => `${metadata.name} ${spec.phase}`);
const probes = (world: NodeWorld): number => world.trace.filter((call) => call === 'kernel.probe').length;

describe('an address for which something on the network answers', () => {
  it('§12.3 #2: is marked, and the next one is claimed in the same ADD', async () => {
    const { world, claim } = await open(asks(detecting));
    const [first = ''] = await (await open(asks())).claim(); // without detection
    world.strangers.set(first.replace('/24', ''), stranger);
    const [second = ''] = await claim();
    expect(second).not.toBe(first);
    expect(phases(world).toSorted()).toEqual(
      [`${first.replace('/24', '')} Conflicted`, `${second.replace('/24', '')} Bound`].toSorted(),
    );
    const until = world.api.all().find(({ spec }) => spec.phase === 'Conflicted')?.spec.until ?? '';
    expect(Math.abs(Date.parse(until) - Date.now() - 600_000)).toBeLessThan(60_000);
    expect(world.logged).toContainEqual(
      expect.objectContaining({
        message: 'address in use',
        fields: expect.objectContaining({ mac: stranger, address: first.replace('/24', '') }),
      }),
    );
  });

  it('stays marked when the ADD is undone, so that the next ADD does not meet it again', async () => {
    const request = asks({ ...detecting, defaultIPv6Pools: ['v6'] });
    const { world, worker, claim } = await open(request, (world) => {
      for (const address of ['10.70.8.20', 'fd70::10', 'fd70::11']) world.strangers.set(address, stranger);
    });
    await expect(claim()).rejects.toMatchObject({ type: 'PoolExhausted' });
    const { attachment, pod, nonce } = request;
    await worker.activities.removeLink({ attachment, pod, nonce, reason: 'failed-add' });
    await worker.activities.releaseAddresses({ attachment, pod, nonce, reason: 'failed-add' });
    expect(phases(world).filter((line) => !line.endsWith('Conflicted'))).toEqual([]);
    expect(world.holds.filter((line) => line.startsWith('link') || line.startsWith('record'))).toEqual([]);
  });

  it('is given all the same when nobody asked for detection', async () => {
    const { world, claim } = await open(asks(), (world) => {
      for (const address of everyV4) world.strangers.set(address, stranger);
    });
    expect(await claim()).toHaveLength(1);
    expect(probes(world)).toBe(0);
    expect(world.trace).not.toContain('kernel.plumb'); // nothing is made earlier than before
  });

  it('is looked for by the cluster’s setting, and a network may say otherwise', async () => {
    const on = (world: NodeWorld): void => {
      world.cluster = { ...world.cluster, probes: { ...world.cluster.probes, conflicts: true } };
    };
    const { world, claim } = await open(asks(), on);
    await claim();
    expect(probes(world)).toBe(1);
    const other = await open(asks({ probes: { conflicts: false } }), on);
    await other.claim();
    expect(probes(other.world)).toBe(0);
  });

  it('costs a pod the address that it had kept, when that is not sticky', async () => {
    const { world, claim } = await open(asks(detecting), async (world) => {
      await world.putClaim('10.70.8.21', 'Held', holderOf('c0'));
      world.strangers.set('10.70.8.21', stranger);
    });
    expect(await claim()).not.toContain('10.70.8.21/24');
    expect(phases(world)).toContain('10.70.8.21 Conflicted');
  });

  it('is told, with its MAC, when it is the only one that the pod asks for', async () => {
    const request = { ...asks(detecting), wishes: [{ source: 'IP of CNI_ARGS', ips: ['10.70.8.21'] }] };
    const { claim } = await open(request, (world) => void world.strangers.set('10.70.8.21', stranger));
    await expect(claim()).rejects.toMatchObject({
      type: 'AddressConflict',
      message: `Cannot use 10.70.8.21, which IP of CNI_ARGS asks for: ${stranger} on the network answers for it`,
    });
  });

  it('is told, each of them, when the pool has no other', async () => {
    const { claim } = await open(asks(detecting), (world) => {
      for (const address of everyV4) world.strangers.set(address, stranger);
    });
    const failure: unknown = await claim().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      type: 'PoolExhausted',
      message: expect.stringContaining('all 3 are in use. Found in use by something else: '),
    });
    for (const address of everyV4) expect(String(failure)).toContain(`${address} (${stranger})`);
  });

  it('ends the ADD at the eighth', async () => {
    const { world, claim } = await open(asks(detecting), (world) => {
      world.pools.set('v4', {
        metadata: { name: 'v4' },
        spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.99'] },
      });
      for (let last = 20; last < 100; last += 1) world.strangers.set(`10.70.8.${last}`, stranger);
    });
    await expect(claim()).rejects.toMatchObject({ type: 'AddressConflict' });
    expect(probes(world)).toBe(8);
  });
});

describe('a sticky address for which something answers', () => {
  const sticky = (world: NodeWorld): void => {
    world.pods.set('pay/api-0', { uid, annotations: {}, ownerReferences: [statefulSet], isAlive: true });
  };

  it('fails the ADD with the MAC, and is kept', async () => {
    const request = asks(detecting);
    const { world, worker, claim } = await open(request, async (world) => {
      sticky(world);
      await world.putClaim('10.70.8.21', 'Held', holderOf('c0', 'earlier-uid'), { identity });
      world.strangers.set('10.70.8.21', stranger);
    });
    await expect(claim()).rejects.toMatchObject({
      type: 'AddressConflict',
      message: `Cannot use 10.70.8.21/24, which belongs to ${identity}: ${stranger} on the network answers for it`,
    });
    const { attachment, pod, nonce } = request;
    await worker.activities.releaseAddresses({ attachment, pod, nonce, reason: 'failed-add' });
    expect(phases(world)).toEqual(['10.70.8.21 Held']);
    expect(world.api.all()[0]?.spec.identity).toBe(identity);
  });

  it('is used once the other one is silent', async () => {
    const { claim } = await open(asks(detecting), async (world) => {
      sticky(world);
      await world.putClaim('10.70.8.21', 'Held', holderOf('c0', 'earlier-uid'), { identity });
    });
    expect(await claim()).toEqual(['10.70.8.21/24']);
  });

  it('is not kept before the pod ever had it: the next one is claimed', async () => {
    const { world, claim } = await open(asks(detecting), (world) => {
      sticky(world);
      world.strangers.set('10.70.8.20', stranger); // the ordinal's place
    });
    expect(await claim()).toEqual(['10.70.8.21/24']);
    expect(world.api.all().find(({ spec }) => spec.phase === 'Conflicted')?.spec.identity).toBeUndefined();
  });

  it('is not asked about while a machine migrates: its other pod answers', async () => {
    const vm = 'VirtualMachineInstance/pay/vm';
    const { world, claim } = await open(asks(detecting), async (world) => {
      const annotations = { 'kubevirt.io/migrationJobName': 'm1' };
      world.pods.set('pay/api-0', { uid, annotations, ownerReferences: [machine], isAlive: true });
      await world.putClaim('10.70.8.21', 'Bound', { ...holderOf('c0', 'source'), node: 'r7-n2' }, { identity: vm });
      world.strangers.set('10.70.8.21', stranger);
    });
    expect(await claim()).toEqual(['10.70.8.21/24']);
    expect(probes(world)).toBe(0);
  });
});

describe('a sticky address of a node that was lost, of which nobody has said that it is silent', () => {
  const lost = { ...holderOf('c0', 'earlier-uid'), node: 'r7-n9', machineID: 'm9' };
  const kept = async (world: NodeWorld, last = lost): Promise<void> => {
    world.pods.set('pay/api-0', { uid, annotations: {}, ownerReferences: [statefulSet], isAlive: true });
    await world.putClaim('10.70.8.21', 'Held', last, { identity, unproven: true });
  };

  it('is taken when nobody answers for it, whatever the settings say', async () => {
    const { world, claim } = await open(asks(), kept);
    expect(await claim()).toEqual(['10.70.8.21/24']);
    expect(probes(world)).toBe(1);
    expect(world.api.all()[0]?.spec).not.toHaveProperty('unproven');
  });

  it('stays as it is, and the ADD fails with the MAC, when something does', async () => {
    const { world, claim } = await open(asks(), async (world) => {
      await kept(world);
      world.strangers.set('10.70.8.21', stranger);
    });
    await expect(claim()).rejects.toMatchObject({
      type: 'AddressConflict',
      message: expect.stringContaining(`${stranger} on the network answers for it`),
    });
    expect(world.api.all().map(({ spec }) => spec)).toMatchObject([{ phase: 'Held', identity, unproven: true }]);
  });

  it('has to be waited for where nobody can be asked', async () => {
    const { claim } = await open(asks(), async (world) => {
      await kept(world);
      world.whyMute = '"eth0" is an ipvlan';
    });
    await expect(claim()).rejects.toMatchObject({
      type: 'StickyAddressInUse',
      message: expect.stringContaining('"eth0" is an ipvlan'),
    });
  });

  it('is not asked about when the sandbox is of this machine, and lives', async () => {
    const { world, claim } = await open(asks(), async (world) => {
      await kept(world, holderOf('c0', 'earlier-uid'));
      world.namespaces.set('/run/netns/c0', { cookie: 'of c0', links: new Map() });
    });
    await expect(claim()).rejects.toMatchObject({ type: 'StickyAddressInUse' });
    expect(probes(world)).toBe(0);
  });
});

describe('a Suspect address', () => {
  const suspect = { ...holderOf('gone', 'gone-uid'), node: 'r7-n9', machineID: 'm9' };
  const until = '9999-12-31T23:59:59Z';
  const full = async (world: NodeWorld): Promise<void> => {
    await world.putClaim('10.70.8.20', 'Bound', holderOf('s1', 'uid-1'));
    await world.putClaim('10.70.8.21', 'Suspect', suspect, { until });
    await world.putClaim('10.70.8.22', 'Bound', holderOf('s2', 'uid-2'));
  };

  it('is taken when nothing else is left and nobody answers for it, whatever the settings say', async () => {
    const { world, claim } = await open(asks(), full);
    expect(await claim()).toEqual(['10.70.8.21/24']);
    expect(probes(world)).toBe(1);
    const spec = world.api.all().find(({ metadata }) => metadata.name === '10.70.8.21')?.spec;
    expect(spec).toMatchObject({ phase: 'Bound', holders: [{ containerID: '5bc0ffee' }] });
    expect(spec).not.toHaveProperty('until');
  });

  it('is not touched while another one is free', async () => {
    const { world, claim } = await open(asks(), (world) => world.putClaim('10.70.8.21', 'Suspect', suspect, { until }));
    expect(await claim()).not.toContain('10.70.8.21/24');
    expect(phases(world)).toContain('10.70.8.21 Suspect');
  });

  it('becomes Conflicted when its last owner answers, and Suspect again after that', async () => {
    const { world, claim } = await open(asks(), async (world) => {
      await full(world);
      world.strangers.set('10.70.8.21', stranger);
    });
    await expect(claim()).rejects.toMatchObject({ type: 'PoolExhausted', message: expect.stringContaining(stranger) });
    const spec = world.api.all().find(({ metadata }) => metadata.name === '10.70.8.21')?.spec;
    expect(spec).toMatchObject({ phase: 'Conflicted', unproven: true, holders: [suspect] });
  });

  it('is left alone where nobody can be asked', async () => {
    const { world, claim } = await open(asks(), async (world) => {
      await full(world);
      world.whyMute = '"eth0" is an ipvlan';
    });
    await expect(claim()).rejects.toMatchObject({ type: 'PoolExhausted' });
    expect(phases(world)).toContain('10.70.8.21 Suspect');
  });

  it('goes to one of two pods that want it at the same moment', async () => {
    const world = (await open(asks(), full)).world;
    const outcomes = await Promise.allSettled(
      ['ca', 'cb'].map(async (containerID, at) => {
        const pod = { namespace: 'pay', name: `api-${at}`, uid: `uid-of-${containerID}` };
        const request = asks({}, { ...addRequest('eth0', String(at).repeat(32), containerID), pod });
        world.pods.set(`pay/${pod.name}`, { uid: pod.uid, annotations: {}, isAlive: true });
        world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
        const worker = await world.start();
        worker.calls.open(request.nonce, 'ADD', request.attachment);
        return await worker.activities.claimAddresses(request);
      }),
    );
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('a gateway', () => {
  const requested: Partial<NetworkConf> = { probes: { gateways: true } };

  it('that answers lets the ADD go on', async () => {
    const { claim } = await open(asks(requested), (world) => void world.strangers.set('10.70.8.1', stranger));
    expect(await claim()).toHaveLength(1);
  });

  it('that does not answer fails the ADD, whose undo leaves nothing', async () => {
    const request = asks(requested);
    const { world, worker, claim } = await open(request);
    await expect(claim()).rejects.toMatchObject({
      type: 'GatewayUnreachable',
      message: expect.stringMatching(
        /^Cannot use 10\.70\.8\.2\d\/24 of pool "v4" on "eth0": its gateway 10\.70\.8\.1 does not answer \(asked 3 times\)$/,
      ),
    });
    const { attachment, pod, nonce } = request;
    await worker.activities.removeLink({ attachment, pod, nonce, reason: 'failed-add' });
    await worker.activities.releaseAddresses({ attachment, pod, nonce, reason: 'failed-add' });
    expect(world.holds).toEqual([]);
  });

  it('is not asked of a pool that has none', async () => {
    const { world, claim } = await open(asks({ ...requested, defaultIPv4Pools: [], defaultIPv6Pools: ['v6'] }));
    expect(await claim()).toHaveLength(1);
    expect(probes(world)).toBe(0);
  });
});

describe('where nobody can be asked', () => {
  it('the ADD goes on, and the log says why nothing was asked', async () => {
    const everything = { probes: { conflicts: true, gateways: true } };
    const { world, claim } = await open(asks(everything), (world) => {
      world.whyMute = '"eth0" is an ipvlan, which shares its MAC with others';
    });
    expect(await claim()).toHaveLength(1);
    const warnings = world.logged.filter(({ message }) => message === 'the network is not asked about the addresses');
    expect(warnings).toHaveLength(1);
  });
});

describe('two families', () => {
  it('are asked about at the same time, and fail together', async () => {
    const request = asks({ ...detecting, defaultIPv6Pools: ['v6'] });
    const { world, claim } = await open(request);
    let [open4, most] = [0, 0];
    world.onMoment = ({ call, at }) => {
      if (call !== 'kernel.probe') return;
      open4 += at === 'before' ? 1 : -1;
      most = Math.max(most, open4);
    };
    world.holdAfter = async (call) => {
      if (call === 'kernel.probe') await new Promise((resolve) => setImmediate(resolve));
    };
    expect(await claim()).toHaveLength(2);
    expect(most).toBe(2);
  });

  it('are both through before a failure of one is told', async () => {
    const request = asks({ ...detecting, defaultIPv6Pools: ['v6'] });
    const { world, claim } = await open(request, (world) => {
      for (const address of everyV4) world.strangers.set(address, stranger);
    });
    world.holdAfter = async (call) => {
      if (call === 'pools.fresh') await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await expect(claim()).rejects.toMatchObject({ type: 'PoolExhausted' });
    const before = world.trace.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(world.trace).toHaveLength(before);
  });
});

describe('in chained mode', () => {
  const chained: Partial<NetworkConf> = { ...detecting, provides: 'addresses' };
  const request = (): AddRequest => {
    const { network, ...rest } = asks(chained);
    const { link: _, ...bare } = network;
    return { ...rest, network: bare };
  };

  it('the interface of the main plugin is asked from, and its addresses are announced', async () => {
    const { world, claim } = await open(request(), (world) => {
      const [namespace] = world.namespaces.values();
      namespace?.links.set('eth0', { owner: '', addresses: new Set() });
    });
    expect(await claim()).toHaveLength(1);
    expect(world.trace).not.toContain('kernel.plumb');
    expect(world.trace).toContain('kernel.announce');
  });

  it('nothing is asked or announced while the main plugin has made none', async () => {
    const { world, claim } = await open(request());
    expect(await claim()).toHaveLength(1);
    expect(world.trace).not.toContain('kernel.announce');
    expect(world.logged.map(({ message }) => message)).toContain('the network is not asked about the addresses');
  });
});
