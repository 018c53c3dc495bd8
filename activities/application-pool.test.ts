import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ApplicationPoolReport } from '../contracts/application-pool.ts';
import type { PoolSubject, SeenApplication } from '../ipam/auto-pools/pool-wish.ts';
import { automaticPoolLabels } from '../ipam/automatic-pool.ts';
import { createApplicationPoolActivities } from './application-pool.ts';
import { PoolWorld } from './testing/pool-world.ts';

const subject: PoolSubject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'pay',
  name: 'api',
  ifName: 'eth0',
  family: 4,
};
const application = (
  some: Partial<SeenApplication> = {},
  annotations: Record<string, string> = {},
): SeenApplication => ({
  uid: 'a-11111',
  annotations: {
    'ipam.spidernet.io/subnet': '{"ipv4": ["rack7"]}',
    'ipam.spidernet.io/ippool-ip-number': '+0',
    ...annotations,
  },
  replicas: 3,
  ...some,
});
const subnet = (name: string, network: number) => ({
  metadata: { name, uid: `uid-of-${name}` },
  spec: {
    subnet: `10.70.${network}.0/24`,
    ips: [`10.70.${network}.10-10.70.${network}.19`],
    gateway: `10.70.${network}.1`,
  },
});
const at = (host: number): bigint => 0x0a460700n + BigInt(host);

let world: PoolWorld;
beforeEach(() => {
  world = new PoolWorld();
  world.subnetObjects.set('rack7', subnet('rack7', 7));
  world.subnetObjects.set('rack8', subnet('rack8', 8));
  world.present.set('Deployment/api', application());
});
const look = (some: Partial<PoolSubject> = {}): Promise<ApplicationPoolReport> =>
  createApplicationPoolActivities(world, { surplus: 1 }).seeToPool({ ...subject, ...some }, {});
const recordOf = (name: string): unknown =>
  JSON.parse(world.subnetObjects.get(name)?.status?.controlledIPPools ?? '{}');

describe('an application that wishes for a pool', () => {
  it('gets one of its size, recorded by its Subnet before it is made', async () => {
    expect(await look()).toEqual({
      state: 'Ready',
      why: '',
      wanted: 3,
      pools: [{ name: 'auto4-api-eth0-11111', subnet: 'rack7', size: 3, role: 'serves' }],
      done: ['made pool "auto4-api-eth0-11111": 10.70.7.10-10.70.7.12 of SpiderSubnet "rack7"'],
    });
    expect(world.effects).toEqual(['record rack7', 'create auto4-api-eth0-11111']);
    expect(recordOf('rack7')).toEqual({
      'auto4-api-eth0-11111': { ips: ['10.70.7.10-10.70.7.12'], application: 'apps_v1_Deployment_pay_api' },
    });
    expect(world.stored.get('auto4-api-eth0-11111')).toMatchObject({
      metadata: { ownerReferences: [{ kind: 'SpiderSubnet', name: 'rack7', uid: 'uid-of-rack7', controller: true }] },
      spec: { subnet: '10.70.7.0/24', gateway: '10.70.7.1', ipVersion: 4 },
    });
  });

  it('changes nothing at a second look', async () => {
    await look();
    expect(await look()).toMatchObject({ state: 'Ready', done: [] });
    expect(world.effects).toHaveLength(2);
  });

  it('has a pool that grows with it, and shrinks as far as nobody has its addresses', async () => {
    await look();
    world.present.set('Deployment/api', application({ replicas: 5 }));
    expect(await look()).toMatchObject({ state: 'Ready', wanted: 5 });
    expect(world.poolLines).toEqual(['auto4-api-eth0-11111 10.70.7.10-10.70.7.14']);

    world.present.set('Deployment/api', application({ replicas: 1 }));
    const taken = world.takenOf('auto4-api-eth0-11111').add(at(11)).add(at(13));
    expect(await look()).toMatchObject({ state: 'Shrinking', why: '1 addresses too many are in use' });
    expect(world.poolLines).toEqual(['auto4-api-eth0-11111 10.70.7.11,10.70.7.13']);
    const { length } = world.effects;
    expect(await look()).toMatchObject({ state: 'Shrinking', done: [] });
    expect(world.effects).toHaveLength(length);

    taken.delete(at(11));
    expect(await look()).toMatchObject({ state: 'Ready' });
    expect(world.poolLines).toEqual(['auto4-api-eth0-11111 10.70.7.13']);
  });

  it('waits for a Subnet that is not there, goes, or has too little, and says so', async () => {
    world.subnetObjects.delete('rack7');
    expect(await look()).toMatchObject({
      state: 'WaitingForSubnet',
      why: 'SpiderSubnet "rack7" does not exist',
      pools: [],
    });
    const { metadata, spec } = subnet('rack7', 7);
    world.subnetObjects.set('rack7', { spec, metadata: { ...metadata, deletionTimestamp: 'now' } });
    expect(await look()).toMatchObject({ state: 'WaitingForSubnet', why: 'SpiderSubnet "rack7" is being deleted' });
    world.subnetObjects.set('rack7', { metadata, spec: { ...spec, ips: ['10.70.7.10'] } });
    expect(await look()).toMatchObject({
      state: 'WaitingForSubnet',
      why: 'SpiderSubnet "rack7" has 1 free address, and pool "auto4-api-eth0-11111" needs 3 more',
    });
    expect(world.effects).toEqual([]);
  });

  it('is told what is wrong with its wish, and keeps the pool that it has', async () => {
    await look();
    world.present.set('Deployment/api', application({}, { 'ipam.spidernet.io/ippool-ip-number': '3+2' }));
    expect(await look()).toMatchObject({ state: 'Refused', why: expect.stringContaining('3+2') });
    expect(world.stored.size).toBe(1);
  });

  it('is not looked up where a watch shows no pool of it, and keeps the one that it has if the watch was behind', async () => {
    world.isBehind = true;
    await look();
    expect(world.reads).toBe(0);
    expect(await look()).toMatchObject({ state: 'Ready', done: [] });
    expect(world.poolLines).toEqual(['auto4-api-eth0-11111 10.70.7.10-10.70.7.12']);
    expect(world.effects).toEqual(['record rack7', 'create auto4-api-eth0-11111']);
  });

  it('gets another name for its pool when somebody has the first', async () => {
    const foreign = { metadata: { name: 'auto4-api-eth0-11111' }, spec: { subnet: '10.70.9.0/24', ips: [] } };
    world.stored.set(foreign.metadata.name, {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderIPPool',
      ...foreign,
    });
    expect(await look()).toMatchObject({ state: 'Ready', pools: [{ name: 'auto4-api-eth0-11111-2' }] });
  });

  it('I00012: has a pool for each NIC and family', async () => {
    world.subnetObjects.set('six', {
      metadata: { name: 'six', uid: 'u6' },
      spec: { subnet: 'fd00:7::/64', ips: ['fd00:7::10-fd00:7::1f'] },
    });
    const subnets = '[{"interface":"eth0","ipv4":["rack7"],"ipv6":["six"]},{"interface":"net1","ipv4":["rack8"]}]';
    world.present.set('Deployment/api', application({}, { 'ipam.spidernet.io/subnets': subnets }));
    await look();
    await look({ family: 6 });
    await look({ ifName: 'net1' });
    expect(await look({ ifName: 'net1', family: 6 })).toMatchObject({ state: 'Gone' });
    expect(world.poolLines).toEqual([
      'auto4-api-eth0-11111 10.70.7.10-10.70.7.12',
      'auto4-api-net1-11111 10.70.8.10-10.70.8.12',
      'auto6-api-eth0-11111 fd00:7::10-fd00:7::12',
    ]);
  });
});

describe('§12.3 #30: an application that uses another Subnet now', () => {
  it('gets a new pool, and the old one stays until nobody has an address of it', async () => {
    await look();
    const taken = world.takenOf('auto4-api-eth0-11111').add(at(10));
    world.present.set('Deployment/api', application({}, { 'ipam.spidernet.io/subnet': '{"ipv4": ["rack8"]}' }));
    expect(await look()).toMatchObject({
      state: 'Replacing',
      pools: [
        { name: 'auto4-api-eth0-11111-2', subnet: 'rack8', size: 3, role: 'serves' },
        { name: 'auto4-api-eth0-11111', subnet: 'rack7', role: 'is to go' },
      ],
    });
    taken.clear();
    expect(await look()).toMatchObject({ state: 'Ready', done: [expect.stringContaining('removed pool')] });
    expect(world.poolLines).toEqual(['auto4-api-eth0-11111-2 10.70.8.10-10.70.8.12']);
  });

  it('or whose Subnet was made anew with another CIDR, as well', async () => {
    await look();
    world.takenOf('auto4-api-eth0-11111').add(at(10));
    world.subnetObjects.set('rack7', { ...subnet('rack8', 9), metadata: { name: 'rack7', uid: 'another' } });
    world.present.set('Deployment/api', application({ replicas: 4 }));
    expect(await look()).toMatchObject({
      state: 'Replacing',
      pools: [{ size: 4, role: 'serves' }, { role: 'is to go' }],
    });
    expect(world.poolLines[1]).toBe('auto4-api-eth0-11111-2 10.70.9.10-10.70.9.13');
  });
});

describe('an application that is gone, or wishes no more', () => {
  const withoutWish = (): SeenApplication => ({ uid: 'a-11111', annotations: {}, replicas: 3 });

  it.each([
    ['gone', () => world.present.delete('Deployment/api')],
    ['without a wish (§12.3 #30)', () => world.present.set('Deployment/api', withoutWish())],
  ])('%s: its pool goes once nobody has an address of it', async (_what, happen) => {
    await look();
    happen();
    const taken = world.takenOf('auto4-api-eth0-11111').add(at(12));
    expect(await look()).toMatchObject({ state: 'Removing', pools: [{ role: 'is to go' }] });
    taken.clear();
    expect(await look()).toMatchObject({ state: 'Gone', pools: [] });
    expect(world.poolLines).toEqual([]);
  });

  it('I00015: leaves a pool that is to be kept, which the next of its name and kind takes over and resizes', async () => {
    const kept = { 'ipam.spidernet.io/ippool-reclaim': 'false' };
    world.present.set('Deployment/api', application({}, kept));
    await look();
    world.present.delete('Deployment/api');
    expect(await look()).toMatchObject({ state: 'Kept', pools: [{ role: 'is kept' }] });

    world.present.set('Deployment/api', application({ uid: 'b-22222', replicas: 4 }, kept));
    expect(await look()).toMatchObject({ state: 'Ready', pools: [{ name: 'auto4-api-eth0-11111', size: 4 }] });
    const labels = world.stored.get('auto4-api-eth0-11111')?.metadata.labels;
    expect(labels?.[automaticPoolLabels.applicationUID]).toBe('b-22222');
  });

  it('I00016: leaves the kept pool alone for one of the same name and another kind', async () => {
    world.present.set('Deployment/api', application({}, { 'ipam.spidernet.io/ippool-reclaim': 'false' }));
    await look();
    world.present.delete('Deployment/api');
    world.present.set('StatefulSet/api', application({ uid: 'c-33333' }));
    expect(await look({ kind: 'StatefulSet' })).toMatchObject({ pools: [{ name: 'auto4-api-eth0-33333' }] });
    expect(world.stored.get('auto4-api-eth0-11111')?.metadata.labels?.[automaticPoolLabels.applicationUID]).toBe(
      'a-11111',
    );
  });

  it('I00019: takes a kept pool with it after all, once its wish says so', async () => {
    world.present.set('Deployment/api', application({}, { 'ipam.spidernet.io/ippool-reclaim': 'false' }));
    await look();
    world.present.set('Deployment/api', application());
    await look();
    world.present.delete('Deployment/api');
    expect(await look()).toMatchObject({ state: 'Gone' });
    expect(world.poolLines).toEqual([]);
  });

  it('leaves the pool that goes to nobody: the next of its name gets one of its own', async () => {
    await look();
    world.takenOf('auto4-api-eth0-11111').add(at(10));
    world.present.set('Deployment/api', application({ uid: 'b-22222' }));
    expect(await look()).toMatchObject({
      state: 'Replacing',
      pools: [
        { name: 'auto4-api-eth0-22222', role: 'serves' },
        { name: 'auto4-api-eth0-11111', role: 'is to go' },
      ],
    });
    expect(world.poolLines[1]).toBe('auto4-api-eth0-22222 10.70.7.13-10.70.7.15');
  });
});

describe('cut short anywhere', () => {
  const story: readonly (() => void)[] = [
    () => world.present.set('Deployment/api', application({ replicas: 4 })),
    () => world.takenOf('auto4-api-eth0-11111').add(at(10)).add(at(12)),
    () => world.present.set('Deployment/api', application({ replicas: 2 })),
    () => world.present.set('Deployment/api', application({}, { 'ipam.spidernet.io/subnet': '{"ipv4": ["rack8"]}' })),
    () => world.takenOf('auto4-api-eth0-11111').clear(),
    () => world.present.delete('Deployment/api'),
  ];
  const cuts = Array.from({ length: 8 }, (_, effect) =>
    (['before', 'after'] as const).flatMap((at) =>
      (['up to date', 'behind'] as const).map((watch) => ({ effect, at, watch })),
    ),
  ).flat();

  it.each(cuts)('$at effect $effect, watch $watch: the next look ends as if nothing had happened', async (cut) => {
    const { effect, at, watch } = cut;
    world.isBehind = watch === 'behind';
    let begun = 0;
    let isCut = false;
    world.moment = (_what, when) => {
      if (when === 'before') begun += 1;
      if (isCut || when !== at || begun !== effect + 1) return;
      isCut = true;
      throw new Error('cut short');
    };
    for (const happen of story) {
      happen();
      const { state } = await look().catch(() => look());
      expect(['Ready', 'Replacing', 'Gone']).toContain(state);
    }
    expect(isCut).toBe(true);
    expect(world.poolLines).toEqual([]);
  });
});
