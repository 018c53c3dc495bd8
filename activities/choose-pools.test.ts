import { describe, expect, it } from '@jest/globals';
import { readClusterSettings } from '../contracts/cluster-settings.ts';
import { type Failure, failures, toFailure } from '../contracts/failures.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { AddRequest, ClaimedAddress } from '../contracts/pod-network.ts';
import { poolAffinity, poolLabels } from '../ipam/auto-pools/pool-identity.ts';
import type { Application, Labels } from '../ipam/pool-request.ts';
import type { PoolObject } from '../ipam/pool-snapshot.ts';
import { type NodeProcess, NodeWorld } from '../workers/node/testing/node-world.ts';
import { addRequest } from '../workflows/testing/node-model.ts';

const { uid } = addRequest().pod;
const deployment: Application = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'pay',
  name: 'api',
  uid: 'd-1',
};

/** A pool whose addresses tell it apart: 10.70.<third>.10 to .19. */
const pool = (name: string, third: number, spec: Partial<PoolObject['spec']> = {}): PoolObject => ({
  metadata: { name },
  spec: { subnet: `10.70.${third}.0/24`, ips: [`10.70.${third}.10-10.70.${third}.19`], ...spec },
});
const automatic = (ifName = 'eth0'): PoolObject => ({
  metadata: {
    name: 'auto4-api',
    labels: poolLabels({ application: deployment, ifName, family: 4 }, { subnet: 'rack7', isReclaimed: true }),
  },
  spec: { ...pool('', 9).spec, podAffinity: { matchLabels: poolAffinity(deployment) } },
});

/** Another pod, on another node. */
const somebody: ClaimHolder = {
  namespace: 'pay',
  pod: 'api-1',
  podUID: 'other',
  interface: 'eth0',
  network: 'underlay',
  containerID: 'c1',
  netns: '/run/netns/c1',
  netnsCookie: '1',
  node: 'r7-n2',
  machineID: 'm2',
  bootID: 'b2',
};

interface Stage {
  readonly world: NodeWorld;
  readonly worker: NodeProcess;
  readonly add: (request?: AddRequest) => Promise<readonly ClaimedAddress[]>;
  /** Pools that gave the addresses. */
  readonly pools: (request?: AddRequest) => Promise<readonly string[]>;
  readonly failure: (request?: AddRequest) => Promise<Failure>;
}

async function stage(
  pools: readonly PoolObject[],
  annotations: Labels = {},
  prepare: (world: NodeWorld) => void = () => undefined,
): Promise<Stage> {
  const world = new NodeWorld();
  for (const one of pools) world.pools.set(one.metadata.name, one);
  world.pods.set('pay/api-0', { uid, annotations, isAlive: true });
  prepare(world);
  const worker = await world.start();
  const add = (request = addRequest()): Promise<readonly ClaimedAddress[]> => {
    worker.calls.open(request.nonce, 'ADD', request.attachment);
    return worker.activities.claimAddresses(request);
  };
  return {
    world,
    worker,
    add,
    pools: async (request) => (await add(request)).map((address) => address.pool),
    failure: async (request) =>
      toFailure(
        await add(request).then(
          (given) => Promise.reject(new Error(`It got ${given.map(({ address }) => address).join()}`)),
          (error: unknown) => error,
        ),
      ),
  };
}

const ippool = (...names: readonly string[]): Labels => ({
  'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: names }),
});
const ippools = (...nics: readonly object[]): Labels => ({ 'ipam.spidernet.io/ippools': JSON.stringify(nics) });
const networks = (...elements: readonly object[]): Labels => ({
  'k8s.v1.cni.cncf.io/networks': JSON.stringify(elements),
});
const reads = ({ trace }: NodeWorld): readonly string[] => trace.filter((call) => call.startsWith('surroundings.'));

describe('what the choice of pools looks at', () => {
  it('is the namespace of the pod, always', async () => {
    const { world, pools } = await stage([pool('default', 8, { default: true }), pool('team', 9)], {}, (given) =>
      given.namespaceMarks.set('pay', { annotations: { 'ipam.spidernet.io/default-ipv4-ippool': '["te*"]' } }),
    );
    expect(await pools()).toEqual(['team']);
    expect(reads(world)).toEqual(['surroundings.namespace']);
  });

  it('is the node, once some pool asks for its labels', async () => {
    const rack7 = pool('rack7', 8, { nodeAffinity: { matchLabels: { rack: '7' } } });
    const { world, pools } = await stage([rack7, pool('any', 9)], ippool('any', 'rack7'), (given) => {
      given.nodeLabels = { rack: '7' };
    });
    expect(await pools()).toEqual(['rack7']);
    expect(reads(world)).toEqual(['surroundings.namespace', 'surroundings.nodeLabels']);
  });

  it('is the top controller, once a pool of an application is among the candidates', async () => {
    const given = (annotations: Labels) =>
      stage([automatic(), pool('any', 8)], annotations, (world) => {
        world.controller = deployment;
      });
    const plain = await given(ippool('any'));
    expect(await plain.pools()).toEqual(['any']);
    expect(reads(plain.world)).not.toContain('surroundings.controllerOf');
    const wild = await given(ippool('a*'));
    expect(await wild.pools()).toEqual(['auto4-api']);
    expect(reads(wild.world)).toContain('surroundings.controllerOf');
  });

  it('is the cluster’s settings', async () => {
    const { pools } = await stage(
      [
        pool('v4', 8, { default: true }),
        { metadata: { name: 'v6' }, spec: { subnet: 'fd70::/64', ips: ['fd70::10'], default: true } },
      ],
      {},
      (world) => {
        world.cluster = readClusterSettings({ ORBWEAVER_ENABLE_IPV4: 'false' }, []);
      },
    );
    expect(await pools()).toEqual(['v6']);
  });

  it.each([
    ['"macvlan"', 'match_master_subnet is for SR-IOV, and "macvlan" makes this interface'],
    ['"sriov"', 'cannot be compared with the PF, as match_master_subnet asks: eth9 has no PF'],
  ])('is no PF: a network of %s that matches its subnet gets none', async (madeBy, why) => {
    const { failure } = await stage([pool('v4', 8, { default: true })]);
    const request = addRequest();
    const network = { ...request.network, matchMasterSubnet: true, madeBy };
    expect(await failure({ ...request, network })).toMatchObject({
      type: 'NoPool',
      message: expect.stringContaining(why),
    });
  });
});

describe('a VF whose network matches the subnet of its PF', () => {
  const device = { kind: 'sriov', pciAddress: '0000:01:10.0', settings: {}, movesRdma: false } as const;
  const { link: _, ...network } = addRequest().network;
  const request = { ...addRequest(), network: { ...network, device, matchMasterSubnet: true, madeBy: '"sriov"' } };

  it('gets the pools in whose subnet the PF has an address', async () => {
    const { world, pools } = await stage([pool('v4', 8, { default: true }), pool('w4', 9, { default: true })]);
    world.masterAddresses = ['10.70.9.77/24', 'fd00::7/64'];
    expect(await pools(request)).toEqual(['w4']);
  });

  it('gets none when the PF has no address there', async () => {
    const { failure } = await stage([pool('v4', 8, { default: true })]);
    expect(await failure(request)).toMatchObject({ type: 'NoPool', message: expect.stringContaining('it has none') });
  });
});

describe('an automatic pool that is not there yet', () => {
  const wish = { 'ipam.spidernet.io/subnet': '{"ipv4": ["rack7"]}' };
  const given = (world: NodeWorld) => {
    world.controller = deployment;
  };

  it('is waited for', async () => {
    const { world, pools } = await stage([], wish, given);
    let looks = 0;
    world.onMoment = ({ call, at }) => {
      if (call !== 'pools.recent' || at !== 'before') return;
      looks += 1;
      if (looks === 2) world.pools.set('auto4-api', automatic());
    };
    expect(await pools()).toEqual(['auto4-api']);
  });

  it('is waited for no longer than a step may take, and the runtime is told to try again later', async () => {
    const { world, failure } = await stage([], wish, given);
    const told = await failure();
    expect(told).toMatchObject({ type: 'PoolAwaited', message: expect.stringContaining('is not there yet') });
    expect(failures[told.type].cniCode).toBe(11);
    expect(world.waitedMs).toBeGreaterThan(24_000);
    expect(world.waitedMs).toBeLessThanOrEqual(26_000);
  });

  it('is not waited for when nobody waits for the answer', async () => {
    const { world, worker, failure } = await stage([], wish, given);
    const request = addRequest();
    world.onMoment = ({ call, at }) => {
      if (call === 'pools.recent' && at === 'after')
        worker.calls.open(request.nonce, 'ADD', request.attachment).close();
    };
    expect(await failure(request)).toMatchObject({ type: 'CallerGone' });
  });

  it('is not waited for when a DEL has come', async () => {
    const { world, worker, failure } = await stage([], wish, given);
    world.onMoment = ({ call, at }) => {
      if (call === 'pools.recent' && at === 'after') worker.calls.open('d'.repeat(32), 'DEL', addRequest().attachment);
    };
    expect(await failure()).toMatchObject({ type: 'Cancelled' });
  });
});

describe('an automatic pool that is full', () => {
  const wish = (more: Labels = {}): Labels => ({ 'ipam.spidernet.io/subnet': '{"ipv4": ["rack7"]}', ...more });
  const sized = (last: number): PoolObject => {
    const { metadata, spec } = automatic();
    return { metadata, spec: { ...spec, ips: [`10.70.9.10-10.70.9.${last}`] } };
  };
  async function full(annotations: Labels): Promise<Stage> {
    const staged = await stage([sized(10)], annotations, (world) => {
      world.controller = deployment;
    });
    await staged.world.putClaim('10.70.9.10', 'Bound', somebody, { pool: 'auto4-api' });
    return staged;
  }
  /** Counts the looks at the pool; the third finds what `grow` did. */
  function atThirdLook(world: NodeWorld, grow: () => void): void {
    let looks = 0;
    world.onMoment = ({ call, at }) => {
      if (call !== 'pools.fresh' || at !== 'before') return;
      looks += 1;
      if (looks === 3) grow();
    };
  }

  it('is waited for while it may grow with its application', async () => {
    const { world, add } = await full(wish());
    atThirdLook(world, () => world.pools.set('auto4-api', sized(11)));
    expect(await add()).toMatchObject([{ address: '10.70.9.11/24' }]);
    expect(world.waitedMs).toBe(100 + 200);
  });

  it('is exhausted when it has not grown within 5 seconds', async () => {
    const { world, failure } = await full(wish({ 'ipam.spidernet.io/ippool-ip-number': '+0' }));
    expect(await failure()).toMatchObject({ type: 'PoolExhausted' });
    expect(world.waitedMs).toBeGreaterThanOrEqual(5000);
    expect(world.waitedMs).toBeLessThan(6000);
  });

  it('is exhausted at once when its size is fixed', async () => {
    const { world, failure } = await full(wish({ 'ipam.spidernet.io/ippool-ip-number': '1' }));
    expect(await failure()).toMatchObject({ type: 'PoolExhausted' });
    expect(world.waitedMs).toBe(0);
  });

  it('is not waited for by other pods than those of an application', async () => {
    const { world, failure } = await stage([pool('v4', 8, { ips: ['10.70.8.10'], default: true })]);
    await world.putClaim('10.70.8.10', 'Bound', somebody);
    expect(await failure()).toMatchObject({ type: 'PoolExhausted' });
    expect(world.waitedMs).toBe(0);
  });

  it('is not waited for when nobody waits for the answer', async () => {
    const { world, worker, failure } = await full(wish());
    const request = addRequest();
    atThirdLook(world, () => worker.calls.open(request.nonce, 'ADD', request.attachment).close());
    expect(await failure(request)).toMatchObject({ type: 'CallerGone' });
  });
});

describe('routes of a NIC', () => {
  const gateway = { gateway: '10.70.8.1', default: true };
  const toOffice = { 'ipam.spidernet.io/routes': '[{"dst": "10.200.0.0/16", "gw": "10.70.8.9"}]' };

  it('follow the item of the NIC in the annotation, not the network configuration', async () => {
    const { add } = await stage(
      [pool('v4', 8, gateway)],
      ippools({ interface: 'eth0', ipv4: ['v4'], cleangateway: true }),
    );
    expect(await add()).toMatchObject([{ gateway: '10.70.8.1', routes: [] }]);
  });

  it('include those that the pod asks for', async () => {
    const { add } = await stage([pool('v4', 8, gateway)], toOffice);
    expect(await add()).toMatchObject([
      {
        routes: [
          { dst: '10.200.0.0/16', gw: '10.70.8.9' },
          { dst: '0.0.0.0/0', gw: '10.70.8.1' },
        ],
      },
    ]);
  });

  it('that lead nowhere from this NIC are told in the log', async () => {
    const { world, add } = await stage([pool('v4', 9, { default: true })], toOffice);
    expect(await add()).toMatchObject([{ routes: [] }]);
    expect(world.logged).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: { warning: expect.stringContaining('left to another NIC') } }),
    );
  });

  it('that the pod asks for go to its first NIC in that network, and to no second one', async () => {
    const { worker, add } = await stage([pool('v4', 8, { default: true })], toOffice);
    const [first, second] = [addRequest('eth0'), addRequest('net1', 'b'.repeat(32))];
    const addresses = await add(first);
    expect(addresses).toMatchObject([{ routes: [{ dst: '10.200.0.0/16', gw: '10.70.8.9' }] }]);
    await worker.ports.records.write({ ...(await recordOf(worker, first)), addresses }); // as its next step does
    expect((await add(second))[0]?.routes).toEqual([]);
    expect(await add({ ...first, nonce: 'c'.repeat(32) })).toEqual(addresses);
  });
});

async function recordOf(worker: NodeProcess, { attachment }: AddRequest) {
  const record = await worker.ports.records.read(attachment);
  if (record === undefined) throw new Error('It has no record');
  return record;
}

describe('an exact address', () => {
  const asked = (...ips: readonly string[]): AddRequest => ({
    ...addRequest(),
    wishes: [{ source: 'args.cni.ips', ips }],
  });
  const two = [pool('v4', 8, { default: true }), pool('spare', 9, { default: true })];

  it('is what the pod gets, from whichever of its pools has it', async () => {
    const { add } = await stage(two);
    expect(await add(asked('10.70.9.13'))).toMatchObject([{ address: '10.70.9.13/24', pool: 'spare' }]);
  });

  it('may be asked for in the pod’s annotation, for each NIC its own', async () => {
    const annotations = networks({ name: 'vlan', interface: 'net1', ips: ['10.70.8.17/24'] });
    const { add } = await stage(two, annotations);
    expect(await add(addRequest('net1'))).toMatchObject([{ address: '10.70.8.17/24' }]);
  });

  it('may be that of an IPAMClaim', async () => {
    const annotations = networks({ name: 'vlan', interface: 'net1', 'ipam-claim-reference': 'vm-1.net1' });
    const { add } = await stage(two, annotations, (world) => world.ipamClaims.set('pay/vm-1.net1', ['10.70.8.18/24']));
    expect(await add(addRequest('net1'))).toMatchObject([{ address: '10.70.8.18/24' }]);
  });

  it('of one IPAMClaim is not given to two NICs, whether their pools may give it or not', async () => {
    const both = networks(
      { name: 'vlan', interface: 'net1', 'ipam-claim-reference': 'first' },
      { name: 'vlan', interface: 'net2', 'ipam-claim-reference': 'first' },
    );
    for (const disable of [false, true]) {
      const { failure } = await stage([pool('v4', 8, { disable })], { ...ippool('v4'), ...both });
      expect(await failure(addRequest('net2'))).toMatchObject({
        type: 'InvalidAnnotation',
        message: expect.stringMatching(
          /^Cannot give net2 the addresses of IPAMClaim "first": net1 of the pod names it too/,
        ),
      });
    }
  });

  it('is refused where two sources differ', async () => {
    const { world, failure } = await stage(two, networks({ name: 'vlan', interface: 'net1', ips: ['10.70.8.17'] }));
    expect(
      await failure({ ...addRequest('net1'), wishes: [{ source: 'IP of CNI_ARGS', ips: ['10.70.8.18'] }] }),
    ).toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringMatching(
        /IP of CNI_ARGS asks for 10\.70\.8\.18 and ips of net1 in pod annotation .* for 10\.70\.8\.17$/,
      ),
    });
    expect(world.api.all()).toEqual([]);
  });

  it('is refused with the reason of each pool where none may give it', async () => {
    const { world, failure } = await stage(two);
    expect(await failure(asked('10.70.8.50'))).toMatchObject({
      type: 'AddressNotOffered',
      message: expect.stringContaining('"v4" may not give it: it is not in spec.ips'),
    });
    expect(world.api.all()).toEqual([]);
  });

  it('is refused when somebody has it, and it is said who', async () => {
    const { world, failure } = await stage(two);
    await world.putClaim('10.70.8.13', 'Bound', somebody);
    expect(await failure(asked('10.70.8.13'))).toMatchObject({
      type: 'AddressTaken',
      message: 'Cannot claim 10.70.8.13, which args.cni.ips asks for: pod pay/api-1 on node "r7-n2" has it (Bound)',
    });
    expect(world.api.all()).toHaveLength(1);
  });

  it('is met again by a repeated ADD of the same sandbox', async () => {
    const { world, add } = await stage(two);
    await add(asked('10.70.8.13'));
    world.records.clear();
    expect(await add({ ...asked('10.70.8.13'), nonce: 'b'.repeat(32) })).toMatchObject([{ address: '10.70.8.13/24' }]);
    expect(world.api.all()).toHaveLength(1);
  });
});
