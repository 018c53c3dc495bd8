import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { contains } from '../interval-set.ts';
import {
  type AddressSpace,
  entryFor,
  entryLifetimeMs,
  reserve,
  type SeenObjects,
  type SpaceEntry,
  settle,
} from './address-space.ts';
import { readNetworkFields } from './network-fields.ts';
import { validatePoolCreate } from './pool-rules.ts';
import { pool, subnet, world } from './testing/objects.ts';

const v4 = { subnet: '10.1.0.0/16' };
const nobody: SeenObjects = new Map();
const empty: AddressSpace = { entries: [] };

function entry(object: SpiderIPPool | SpiderSubnet, now = 0): SpaceEntry {
  const found = entryFor(object, undefined, now);
  if (!found) throw new Error('needs no entry');
  return found;
}

/** Whether `second` may be created while `first` is being created. */
function passes(second: SpiderIPPool | SpiderSubnet, first: SpiderIPPool | SpiderSubnet): boolean {
  return reserve({ entries: [entry(first)] }, entry(second), nobody, 1).outcome === 'reserved';
}

const a = pool({ ...v4, ips: ['10.1.0.1-10.1.0.9'] }, { name: 'a' });
const b = (spec: object): SpiderIPPool => pool(spec, { name: 'b' });

describe('an entry', () => {
  it('says who wants which addresses', () => {
    expect(
      entryFor(pool({ ...v4, ips: ['10.1.0.1-10.1.0.9', '10.1.1.1'], excludeIPs: ['10.1.0.4'] }), undefined, 17),
    ).toEqual({
      kind: 'SpiderIPPool',
      name: 'p',
      uid: 'uid-of-p',
      generation: 1,
      subnet: '10.1.0.0/16',
      ranges: ['10.1.0.1-10.1.0.3', '10.1.0.5-10.1.0.9', '10.1.1.1'],
      since: 17,
    });
  });

  it.each([
    ['an edit that changes no address', { ...a, spec: { ...a.spec, disable: true } }, a],
    ['an object whose subnet cannot be read', pool({ subnet: 'x' }), undefined],
    ['a reservation', { ...a, kind: 'SpiderReservedIP' }, undefined],
  ])('is not needed for %s', (_, object, old) => {
    expect(entryFor(object, old, 0)).toBeUndefined();
  });

  it('of very many ranges covers them with 256, and more', () => {
    const ips = Array.from({ length: 20_000 }, (_, at) => `10.1.${at >> 7}.${(at & 127) * 2}`);
    const { ranges, rounded } = entry(pool({ ...v4, ips }));
    expect([ranges.length <= 256, rounded]).toEqual([true, true]);
    const covered = readNetworkFields({ ...v4, ips: ranges }).addresses;
    const wanted = readNetworkFields({ ...v4, ips }).addresses;
    expect(wanted.intervals.every(({ first, last }) => contains(covered, first) && contains(covered, last))).toBe(true);
  });
});

describe('of two that are being created at one moment, the second', () => {
  it.each([
    ['a pool that shares an address', b({ ...v4, ips: ['10.1.0.9'] }), a],
    ['a pool of a subnet that overlaps', b({ subnet: '10.1.4.0/24' }), a],
    ['a Subnet of the same CIDR', subnet(v4, { name: 't' }), subnet(v4)],
    ['a Subnet over a pool of another CIDR', subnet({ subnet: '10.0.0.0/8' }), a],
    ['a Subnet of that CIDR which lacks an address of the pool', subnet({ ...v4, ips: ['10.1.0.1-10.1.0.8'] }), a],
    ['a pool with an address that the Subnet lacks', a, subnet({ ...v4, ips: ['10.1.0.1-10.1.0.8'] })],
  ])('waits when it is %s', (_, second, first) => {
    expect(passes(second, first)).toBe(false);
  });

  it.each([
    ['a pool of the same subnet without a shared address', b({ ...v4, ips: ['10.1.0.10'] }), a],
    ['a pool of another subnet', b({ subnet: '10.2.0.0/16', ips: ['10.2.0.1'] }), a],
    ['a pool of the other family', b({ subnet: 'fd00::/64', ips: ['fd00::1'] }), a],
    ['a Subnet of that CIDR with all addresses of the pool', subnet({ ...v4, ips: ['10.1.0.0-10.1.255.255'] }), a],
    ['a pool in a Subnet of another CIDR', a, subnet({ subnet: '10.0.0.0/8' })],
    ['another edit of the same pool, of which resourceVersion lets one pass', a, a],
  ])('passes when it is %s', (_, second, first) => {
    expect(passes(second, first)).toBe(true);
  });

  it('waits for a Subnet whose ranges are only known roughly', () => {
    const ips = Array.from({ length: 300 }, (_, at) => `10.1.${at >> 7}.${(at & 127) * 2}`);
    expect(passes(b({ ...v4, ips: ['10.1.0.0'] }), subnet({ ...v4, ips }))).toBe(false);
  });

  it('is told whom it waits for and for how long at most', () => {
    expect(reserve({ entries: [entry(a)] }, entry(b({ ...v4, ips: ['10.1.0.9'] })), nobody, 1)).toEqual({
      outcome: 'denied',
      status: 409,
      message:
        'Cannot give the addresses of spec.subnet "10.1.0.0/16" to SpiderIPPool "b": SpiderIPPool "a" of 10.1.0.0/16, which is ' +
        'being created or changed at this moment, is in the way: look at that one, or repeat this in 90 s',
    });
  });
});

describe('an entry is over', () => {
  const rival = entry(b({ ...v4, ips: ['10.1.0.9'] }), entryLifetimeMs);

  it('when its object was seen with that generation', () => {
    expect(reserve({ entries: [entry(a)] }, rival, new Map([['uid-of-a', 1]]), 1)).toEqual({
      outcome: 'reserved',
      space: { entries: [rival] },
    });
  });

  it('not when it was seen as it was before the edit', () => {
    const edit = entry(pool(a.spec, { name: 'a', generation: 2 }));
    expect(reserve({ entries: [edit] }, rival, new Map([['uid-of-a', 1]]), 1).outcome).toBe('denied');
  });

  it.each([
    [entryLifetimeMs - 1, 'denied'],
    [entryLifetimeMs, 'reserved'],
  ])('when it is 90 s old: after %i ms the next is %s', (now, outcome) => {
    expect(reserve({ entries: [entry(a, 0)] }, rival, nobody, now).outcome).toBe(outcome);
  });

  it('when a clock that wrote it was far ahead', () => {
    expect(reserve({ entries: [entry(a, 10 * entryLifetimeMs)] }, rival, nobody, 0).outcome).toBe('reserved');
  });

  it('and nothing has to be written when none is', () => {
    const space = { entries: [entry(a)] };
    expect(settle(space, nobody)).toBe(space);
    expect(settle(space, new Map([['uid-of-a', 1]]))).toEqual(empty);
  });
});

/**
 * Replicas that admit pools as the server does: read the space, list what exists, judge, write on the condition that the space is
 * unchanged; some time later the API server stores the pool. The schedule says who takes the next step.
 */
class Cluster {
  #version = 0;
  #space = empty;
  readonly stored: SpiderIPPool[] = [];

  /** Creates the pool; stops after each step. */
  *create(object: SpiderIPPool): Generator<void, void, void> {
    for (;;) {
      const [version, space] = [this.#version, this.#space];
      yield;
      const pools = [...this.stored];
      yield;
      const seen: SeenObjects = new Map(pools.map(({ metadata }) => [metadata.uid ?? '', metadata.generation ?? 0]));
      if (validatePoolCreate(object, world({ pools })).outcome === 'denied') return;
      const reservation = reserve(space, entry(object), seen, 1);
      if (reservation.outcome === 'denied') return;
      yield;
      if (version !== this.#version) continue;
      this.#version += 1;
      this.#space = reservation.space;
      yield;
      this.stored.push(object);
      return;
    }
  }

  run(objects: readonly SpiderIPPool[], schedule: readonly number[]): void {
    const running = objects.map((object) => this.create(object));
    for (let turn = 0; running.length > 0; turn += 1) {
      const next = (schedule[turn % schedule.length] ?? 0) % running.length;
      if (running[next]?.next().done) running.splice(next, 1);
    }
  }
}

describe('pools that are created at the same moment (§12.3 #28)', () => {
  const schedules = fc.array(fc.nat(99), { minLength: 1, maxLength: 60 });

  it('are stored without overlap, whoever is how fast', () => {
    const specs = fc.record({
      subnet: fc.constantFrom('10.1.0.0/16', '10.1.0.0/24', '10.0.0.0/8', '10.2.0.0/16'),
      ips: fc.array(
        fc.nat(20).map((last) => `10.1.0.${last}`),
        { maxLength: 3 },
      ),
    });
    fc.assert(
      fc.property(fc.array(specs, { maxLength: 8 }), schedules, (wanted, schedule) => {
        const cluster = new Cluster();
        cluster.run(
          wanted.map((spec, at) =>
            pool({ ...spec, ips: spec.subnet === '10.2.0.0/16' ? [] : spec.ips }, { name: `p${at}` }),
          ),
          schedule,
        );
        cluster.stored.forEach((one, at) => {
          const others = cluster.stored.toSpliced(at, 1);
          expect(validatePoolCreate(one, world({ pools: others })).outcome).toBe('allowed');
        });
        if (wanted.length > 0) expect(cluster.stored.length).toBeGreaterThan(0);
      }),
    );
  });

  it('leave exactly one of 100 that want the same', () => {
    fc.assert(
      fc.property(schedules, (schedule) => {
        const cluster = new Cluster();
        const same = Array.from({ length: 100 }, (_, at) =>
          pool({ ...v4, ips: ['10.1.0.1-10.1.0.9'] }, { name: `p${at}` }),
        );
        cluster.run(same, schedule);
        expect(cluster.stored).toHaveLength(1);
      }),
      { numRuns: 5 },
    );
  });

  it('fit by the thousand into one object while all of them are on their way', () => {
    const entries = Array.from({ length: 5000 }, (_, at) =>
      entry(
        pool(
          {
            subnet: `10.${at >> 8}.${at & 255}.0/24`,
            ips: [`10.${at >> 8}.${at & 255}.10-10.${at >> 8}.${at & 255}.250`],
          },
          { name: `rack-${at}-production-v4`, uid: '6f9619ff-8b86-d011-b42d-00c04fc964ff' },
        ),
        1_800_000_000_000,
      ),
    );
    expect(JSON.stringify({ entries }).length).toBeLessThan(1_200_000);
  });
});
