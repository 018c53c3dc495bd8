import { describe, expect, it } from '@jest/globals';
import { toFailure } from '../contracts/failures.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { holderOf, type NodeProcess, NodeWorld } from '../workers/node/testing/node-world.ts';
import { addRequest } from '../workflows/testing/node-model.ts';

const uid = addRequest().pod.uid;

async function open(
  request: AddRequest = onlyV4,
): Promise<{ world: NodeWorld; worker: NodeProcess; claim: () => Promise<readonly string[]> }> {
  const world = new NodeWorld();
  world.pools.set('v4', {
    metadata: { name: 'v4' },
    spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.29'], gateway: '10.70.8.1' },
  });
  world.pools.set('spare', {
    metadata: { name: 'spare' },
    spec: { subnet: '10.70.9.0/24', ips: ['10.70.9.20-10.70.9.21'] },
  });
  world.pools.set('v6', { metadata: { name: 'v6' }, spec: { subnet: 'fd70::/64', ips: ['fd70::10'] } });
  world.pods.set('pay/api-0', { uid, annotations: {}, isAlive: true });
  world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
  const worker = await world.start();
  worker.calls.open(request.nonce, 'ADD', request.attachment);
  const claim = async () => (await worker.activities.claimAddresses(request)).map(({ address }) => address);
  return { world, worker, claim };
}

const claimsPath = '/apis/orbweaver.io/v1alpha1/ipclaims';
const onlyV4 = withPools(['v4'], []);
describe('a claim that the pod already has', () => {
  it('is taken over when it is held for the pod, and kept afterwards', async () => {
    const { world, worker, claim } = await open();
    await world.putClaim('10.70.8.25', 'Held', holderOf('c0'));
    await worker.claims.loadOwn();
    expect(await claim()).toEqual(['10.70.8.25/24']);
    expect(world.api.all()[0]?.spec).toMatchObject({
      phase: 'Bound',
      kept: true,
      holders: [{ containerID: '5bc0ffee' }],
    });
    expect(world.api.all()).toHaveLength(1);
  });

  it('is taken over from an earlier sandbox that is proven gone', async () => {
    const { world, worker, claim } = await open();
    await world.putClaim('10.70.8.25', 'Bound', holderOf('c0'));
    await worker.claims.loadOwn();
    expect(await claim()).toEqual(['10.70.8.25/24']);
  });

  it.each(['alive', 'unproven'] as const)(
    'is left to an earlier sandbox that is %s, and another address is claimed',
    async (state) => {
      const { world, worker, claim } = await open();
      await world.putClaim('10.70.8.25', 'Bound', holderOf('c0'));
      await worker.claims.loadOwn();
      if (state === 'unproven') world.unproven.add('/run/netns/c0');
      else world.namespaces.set('/run/netns/c0', { cookie: 'of c0', links: new Map() });
      expect(await claim()).not.toContain('10.70.8.25/24');
      expect(world.holds).toContain('claim 10.70.8.25 Bound c0');
    },
  );

  it("is freed when it is held in a pool that is no longer one of the pod's", async () => {
    const { world, worker, claim } = await open();
    await world.putClaim('10.70.9.20', 'Held', holderOf('c0'), { pool: 'spare' });
    await worker.claims.loadOwn();
    const [address] = await claim();
    expect(address).toMatch(/^10\.70\.8\./);
    expect(world.api.all()).toHaveLength(1);
  });

  it('is given back when its pool was disabled meanwhile, and the ADD says so', async () => {
    const { world, worker, claim } = await open();
    await world.putClaim('10.70.8.25', 'Held', holderOf('c0'));
    await worker.claims.loadOwn();
    disableAfterReading(world, 'v4');
    await expect(claim()).rejects.toThrow('pool "v4" was disabled, deleted or cut just now');
    expect(world.holds.filter((line) => line.startsWith('claim'))).toEqual([]);
  });

  it('of another pod is never touched', async () => {
    const { world, worker, claim } = await open();
    await world.putClaim('10.70.8.25', 'Held', holderOf('c0', 'another-uid'));
    await worker.claims.loadOwn();
    expect(await claim()).not.toContain('10.70.8.25/24');
    expect(world.holds).toContain('claim 10.70.8.25 Held');
  });
});

describe('a DEL that arrives while addresses are claimed', () => {
  it('stops the search before its next address', async () => {
    const { world, worker, claim } = await open();
    afterReading(world, () => worker.calls.open('d'.repeat(32), 'DEL', onlyV4.attachment));
    await expect(claim()).rejects.toMatchObject({
      type: 'Cancelled',
      message: expect.stringContaining('a DEL for it has arrived'),
    });
    expect(world.trace).not.toContain('claims.take');
  });

  it('stops it between two families too', async () => {
    const { world, worker, claim } = await open(withPools(['v4'], ['v6']));
    world.onMoment = ({ call, at }) => {
      if (call === 'pools.fresh' && at === 'after') worker.calls.open('d'.repeat(32), 'DEL', onlyV4.attachment);
    };
    await expect(claim()).rejects.toMatchObject({ type: 'Cancelled' });
    expect(world.trace.filter((call) => call === 'claims.take')).toHaveLength(1);
  });
});

describe('an exhausted pool', () => {
  const fill = async (world: NodeWorld, from = 20, to = 29) => {
    for (let last = from; last <= to; last += 1)
      await world.putClaim(`10.70.8.${last}`, 'Bound', holderOf(`s${last}`, `uid-${last}`));
  };

  it('is not told when its addresses were met as taken one after another, but never all at once', async () => {
    const { world, claim } = await open();
    await fill(world, 20, 28);
    let lists = 0;
    world.holdAfter = async (call) => {
      if (call !== 'claims.takenNames') return;
      lists += 1;
      if (lists > 1) return;
      await fill(world, 29, 29); // the only free one goes to somebody else, and another one comes free
      await world.api.request({ method: 'DELETE', path: `${claimsPath}/10.70.8.22`, timeoutMs: 1000 });
    };
    expect(await claim()).toEqual(['10.70.8.22/24']);
    expect(lists).toBe(2);
  });

  it('is told with its exact numbers, and nothing is left but the record of the try', async () => {
    const { world, claim } = await open();
    await fill(world);
    const failure = toFailure(await claim().catch((error: unknown) => error));
    expect(failure).toEqual({
      type: 'PoolExhausted',
      message: 'Cannot claim an IPv4 address from pool "v4": all 10 are in use',
      remedy: expect.stringContaining('orb pools v4'),
    });
  });

  it('is told only from a list that began after the request arrived', async () => {
    const { world, worker } = await open();
    await fill(world);
    expect((await worker.claims.takenNames('v4', { notBeforeMs: 0 })).names.size).toBe(10);
    await world.api.request({
      method: 'DELETE',
      path: '/apis/orbweaver.io/v1alpha1/ipclaims/10.70.8.27',
      timeoutMs: 1,
    });
    world.nowMs += 1000;
    const late = { ...onlyV4, arrivedAtMs: world.nowMs };
    expect(await worker.activities.claimAddresses(late)).toMatchObject([{ address: '10.70.8.27/24' }]); // the old list names it
    expect(world.api.listCount).toBeGreaterThanOrEqual(2);
  });

  it('is read once after three addresses that were taken, however full it is', async () => {
    const { world, claim } = await open();
    await fill(world, 20, 28);
    expect(await claim()).toEqual(['10.70.8.29/24']);
    expect(world.trace.filter((call) => call === 'claims.takenNames').length).toBeLessThanOrEqual(1);
    expect(world.trace.filter((call) => call === 'claims.take').length).toBeLessThanOrEqual(4);
  });

  it('is not read again soon: what it showed as taken is tried last', async () => {
    const { world, worker, claim } = await open();
    await fill(world, 20, 28);
    await worker.claims.takenNames('v4', { notBeforeMs: 0 });
    expect(await claim()).toEqual(['10.70.8.29/24']);
    expect(world.trace.filter((call) => call === 'claims.take')).toHaveLength(1);
    expect(world.trace).not.toContain('claims.takenNames');
  });

  it('is read again when what it showed as taken is all there is', async () => {
    const { world, worker } = await open();
    await fill(world);
    await worker.claims.takenNames('v4', { notBeforeMs: 0 });
    await world.api.request({ method: 'DELETE', path: `${claimsPath}/10.70.8.24`, timeoutMs: 1000 });
    world.nowMs += 1000;
    const late = { ...onlyV4, arrivedAtMs: world.nowMs };
    expect(await worker.activities.claimAddresses(late)).toMatchObject([{ address: '10.70.8.24/24' }]);
  });

  it('is not needed to claim an address that was not tried yet', async () => {
    const { world, claim } = await open();
    await fill(world, 20, 28);
    world.onMoment = ({ call, at }) => {
      if (call === 'claims.takenNames' && at === 'before') throw new Error('the API server is too busy to list');
    };
    expect(await claim()).toEqual(['10.70.8.29/24']);
  });

  it('that has grown since it was read gives one of its new addresses', async () => {
    const { world, claim } = await open();
    await fill(world);
    afterReading(world, () => {
      world.pools.set('v4', {
        metadata: { name: 'v4' },
        spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.30'], gateway: '10.70.8.1' },
      });
    });
    expect(await claim()).toEqual(['10.70.8.30/24']);
  });

  it('is followed by the next pool that was named', async () => {
    const { world, claim } = await open(withPools(['v4', 'spare'], []));
    await fill(world);
    expect((await claim())[0]).toMatch(/^10\.70\.9\.2[01]\/24$/);
  });

  it('names every pool that was tried', async () => {
    const { world, claim } = await open(withPools(['v4', 'spare'], []));
    await fill(world);
    for (const last of [20, 21])
      await world.putClaim(`10.70.9.${last}`, 'Bound', holderOf(`t${last}`, `uid-t${last}`), { pool: 'spare' });
    await expect(claim()).rejects.toThrow(
      'Cannot claim an IPv4 address: of pool "v4" all 10 are in use; of pool "spare" all 2 are in use',
    );
  });

  it('of the second family fails the ADD, whose undo gives the first family back', async () => {
    const request = withPools(['v4'], ['v6']);
    const { world, worker, claim } = await open(request);
    await world.putClaim('fd70-0000-0000-0000-0000-0000-0000-0010', 'Bound', holderOf('s1', 'uid-1'), { pool: 'v6' });
    await expect(claim()).rejects.toThrow('Cannot claim an IPv6 address from pool "v6": the only one is in use');
    const { attachment, pod, nonce } = request;
    await worker.activities.releaseAddresses({ attachment, pod, nonce, reason: 'failed-add' });
    expect(world.holds).toEqual(['claim fd70-0000-0000-0000-0000-0000-0000-0010 Bound s1']);
  });
});

describe('a pool that changes between being read and the claim', () => {
  it.each([
    ['disabled', (world: NodeWorld) => disable(world, 'v4')],
    ['deleted', (world: NodeWorld) => void world.pools.delete('v4')],
    ['being deleted', (world: NodeWorld) => edit(world, 'v4', { metadata: { name: 'v4', deletionTimestamp: 'now' } })],
    ['cut', (world: NodeWorld) => edit(world, 'v4', { spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.200'] } })],
  ])('gets its address back when it is %s, and the next pool serves', async (_, change) => {
    const { world, claim } = await open(withPools(['v4', 'spare'], []));
    afterReading(world, () => change(world));
    expect((await claim())[0]).toMatch(/^10\.70\.9\./);
    expect(world.holds.filter((line) => line.startsWith('claim'))).toHaveLength(1);
  });

  it('fails the ADD when it was the only one', async () => {
    const { world, claim } = await open();
    disableAfterReading(world, 'v4');
    await expect(claim()).rejects.toThrow(
      'Cannot claim an IPv4 address: pool "v4" was disabled, deleted or cut just now',
    );
    expect(world.holds.filter((line) => line.startsWith('claim'))).toEqual([]);
  });
});

describe('what is never given', () => {
  it('is a reserved address, also when it is the only one', async () => {
    const { world, claim } = await open(withPools([], ['v6']));
    world.reservations.push({ metadata: { name: 'router' }, spec: { ips: ['fd70::10'] } });
    await expect(claim()).rejects.toThrow('none can be given: spec.ips is empty, or all of it is excluded or reserved');
    expect(world.api.all()).toEqual([]);
  });

  it('is an address to a pod that is unknown, or that was made anew under the same name', async () => {
    const { world, claim } = await open();
    world.pods.set('pay/api-0', { uid: 'another', annotations: {}, isAlive: true });
    await expect(claim()).rejects.toMatchObject({
      type: 'PodNotFound',
      message: expect.stringContaining(`UID "${uid}"`),
    });
    expect(world.api.all()).toEqual([]);
  });

  it('is an address to a pod that is finished or being deleted', async () => {
    const { world, claim } = await open();
    world.pods.set('pay/api-0', { uid, annotations: {}, isAlive: false });
    await expect(claim()).rejects.toMatchObject({ type: 'PodNotAlive' });
    expect(world.api.all()).toEqual([]);
  });
});

describe('a refusal of the selection', () => {
  it.each([
    ['an unknown pool', { 'ipam.spidernet.io/ippool': '{"ipv4":["nowhere"]}' }, 'PoolNotFound'],
    ['a malformed annotation', { 'ipam.spidernet.io/ippool': '{"ipv4":' }, 'InvalidAnnotation'],
  ])('for %s claims nothing', async (_, annotations, type) => {
    const { world, claim } = await open();
    world.pods.set('pay/api-0', { uid, annotations, isAlive: true });
    await expect(claim()).rejects.toMatchObject({ type });
    expect(world.api.all()).toEqual([]);
  });

  it('says in the log which pools were skipped, and why', async () => {
    const { world, claim } = await open(withPools(['nowhere', 'v4'], []));
    await claim();
    expect(world.logged).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        message: 'pools skipped',
        fields: expect.objectContaining({ skipped: '"nowhere" does not exist' }),
      }),
    );
  });
});

describe('many sandboxes at once', () => {
  it('never share an address, and the pool gives all that it has', async () => {
    const world = new NodeWorld();
    world.pools.set('v4', {
      metadata: { name: 'v4' },
      spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.49'] },
    });
    const worker = await world.start();
    const claims = Array.from({ length: 40 }, async (_, index) => {
      const pod = { namespace: 'pay', name: `api-${index}`, uid: `uid-${index}` };
      world.pods.set(`pay/api-${index}`, { uid: pod.uid, annotations: {}, isAlive: true });
      const request = {
        ...addRequest('eth0', index.toString(16).padStart(32, '0'), `c${index}`),
        pod,
        network: onlyV4.network,
      };
      worker.calls.open(request.nonce, 'ADD', request.attachment);
      return (await worker.activities.claimAddresses(request)).map(({ address }) => address);
    });
    const outcomes = await Promise.allSettled(claims);
    const given = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []));
    expect(new Set(given).size).toBe(30);
    expect(given).toHaveLength(30);
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [toFailure(outcome.reason).type] : [],
    );
    expect(refused).toEqual(Array.from({ length: 10 }, () => 'PoolExhausted'));
  });
});

function withPools(v4: readonly string[], v6: readonly string[]): AddRequest {
  const request = addRequest();
  return { ...request, network: { ...request.network, defaultIPv4Pools: v4, defaultIPv6Pools: v6 } };
}

function edit(world: NodeWorld, name: string, change: object): void {
  const pool = world.pools.get(name);
  if (pool !== undefined) world.pools.set(name, { ...pool, ...change });
}

function disable(world: NodeWorld, name: string): void {
  const pool = world.pools.get(name);
  if (pool !== undefined) edit(world, name, { spec: { ...pool.spec, disable: true } });
}

function afterReading(world: NodeWorld, act: () => void): void {
  world.onMoment = ({ call, at }) => {
    if (call === 'pools.recent' && at === 'after') act();
  };
}

const disableAfterReading = (world: NodeWorld, name: string): void => afterReading(world, () => disable(world, name));
