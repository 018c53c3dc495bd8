import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Address, formatAddress } from './address.ts';
import { contains, type Interval, intervalSet, subtract, valuesFrom } from './interval-set.ts';
import { pickAddress } from './pick-address.ts';
import type { PoolSnapshot } from './pool-snapshot.ts';

const base = 0x0a460800n; // 10.70.8.0
function poolOf(intervals: readonly Interval[], excluded: readonly Interval[] = []): PoolSnapshot {
  const candidates = subtract(intervalSet(intervals), intervalSet(excluded));
  return {
    name: 'rack7-v4',
    family: 4,
    subnet: { address: { family: 4, value: base }, prefixLength: 24 },
    routes: [],
    total: candidates.size,
    candidates,
    isDefault: false,
    isDisabled: false,
    isTerminating: false,
    nodeName: [],
    namespaceName: [],
    multusName: [],
  };
}
const everyAddressOf = (pool: PoolSnapshot): bigint[] => [...valuesFrom(pool.candidates, 0n)];
const api0 = { podUID: '9c1f6f3a-6a0e-4b5e-9d5e-3f8c3f1a7b10', ifName: 'eth0' };

const parts = fc.array(
  fc
    .tuple(fc.bigInt(0n, 60n), fc.bigInt(0n, 20n))
    .map(([first, more]) => ({ first: base + first, last: base + first + more })),
  { maxLength: 5 },
);
const pools = fc.tuple(parts, parts).map(([given, excluded]) => poolOf(given, excluded));
const takens = fc.array(fc.bigInt(base, base + 85n)).map((values) => new Set(values));
const claimants = fc.record({ podUID: fc.uuid(), ifName: fc.constantFrom('eth0', 'net1') });

describe('pickAddress', () => {
  it('gives a free address from the pool until every address is taken', () => {
    fc.assert(
      fc.property(pools, takens, claimants, (pool, before, claimant) => {
        const taken = new Set(before);
        let pick = pickAddress(pool, taken, claimant);
        for (; pick.outcome === 'picked'; pick = pickAddress(pool, taken, claimant)) {
          expect(pick.address.family).toBe(4);
          expect(taken.has(pick.address.value)).toBe(false);
          expect(contains(pool.candidates, pick.address.value)).toBe(true);
          taken.add(pick.address.value);
        }
        expect(pick.capacity).toBe(BigInt(everyAddressOf(pool).length));
        expect(everyAddressOf(pool).every((value) => taken.has(value))).toBe(true);
      }),
    );
  });

  it('gives the same claimant the same address, whatever was taken elsewhere', () => {
    fc.assert(
      fc.property(pools, claimants, takens, (pool, claimant, others) => {
        const pick = pickAddress(pool, new Set(), claimant);
        if (pick.outcome === 'exhausted') return;
        others.delete(pick.address.value);
        expect(pickAddress(pool, others, claimant)).toEqual(pick);
      }),
    );
  });

  it('meets an own claim before any other address, unless it is lost or no longer a candidate', () => {
    fc.assert(
      fc.property(pools, takens, claimants, fc.bigInt(base, base + 90n), (pool, taken, claimant, value) => {
        const own: Address = { family: 4, value };
        const pick = pickAddress(pool, taken, { ...claimant, own: [{ family: 6, value: own.value }, own] });
        const isGivable = contains(pool.candidates, own.value) && !taken.has(own.value);
        expect(pick).toEqual(isGivable ? { outcome: 'picked', address: own } : pickAddress(pool, taken, claimant));
      }),
    );
  });

  it('gives up an own claim that proved lost', () => {
    const pool = poolOf([{ first: base, last: base + 8n }]);
    const own: Address = { family: 4, value: base + 2n };
    expect(pickAddress(pool, new Set(), { ...api0, own: [own] })).toEqual({ outcome: 'picked', address: own });
    expect(pickAddress(pool, new Set([own.value]), { ...api0, own: [own] })).toEqual(
      pickAddress(pool, new Set(), api0),
    );
  });

  it('walks up from its place and wraps around to the smallest', () => {
    const pool = poolOf([{ first: base, last: base + 8n }]);
    const taken = new Set<bigint>();
    const order = Array.from({ length: 9 }, () => {
      const pick = pickAddress(pool, taken, api0);
      if (pick.outcome === 'exhausted') return -1n;
      taken.add(pick.address.value);
      return pick.address.value - base;
    });
    const start = order[0] ?? 0n;
    expect(order).toEqual(Array.from({ length: 9 }, (_, step) => (start + BigInt(step)) % 9n));
    expect(start).toBe(7n); // not 0, which would show no wrap
  });

  it('begins at the place that is preferred, so that ordinals which start first are neighbours', () => {
    const pool = poolOf([{ first: base, last: base + 4n }]);
    const taken = new Set<bigint>();
    const places = [0, 1, 2, 7, 0, 0].map((preferredIndex) => {
      const pick = pickAddress(pool, taken, { ...api0, preferredIndex });
      if (pick.outcome === 'exhausted') return 'exhausted';
      taken.add(pick.address.value);
      return Number(pick.address.value - base);
    });
    expect(places).toEqual([0, 1, 2, 3, 4, 'exhausted']);
  });

  it('sends two NICs of a pod to different places', () => {
    const pool = poolOf([{ first: base, last: base + 255n }]);
    expect(pickAddress(pool, new Set(), api0)).not.toEqual(pickAddress(pool, new Set(), { ...api0, ifName: 'net1' }));
  });

  it('rarely sends two pods to one address', () => {
    const pool = poolOf([{ first: base, last: base + 65_535n }]);
    const places = fc.sample(fc.uuid(), { numRuns: 1000, seed: 7 }).map((podUID) => {
      const pick = pickAddress(pool, new Set(), { podUID, ifName: 'eth0' });
      return pick.outcome === 'picked' ? formatAddress(pick.address) : 'exhausted';
    });
    // 1000 throws into 65,536 places: 7.6 collisions are to be expected
    expect(places.length - new Set(places).size).toBeLessThanOrEqual(20);
  });

  it('needs no more steps than addresses are taken, in a pool of any size', () => {
    const pool = { ...poolOf([{ first: 0n, last: (1n << 64n) - 1n }]), family: 6 as const };
    const asked = new Set<bigint>();
    const first500: ReadonlySet<bigint> = Object.assign(new Set<bigint>(), {
      has: (value: bigint) => asked.add(value).size <= 500,
    });
    expect(pickAddress(pool, first500, api0).outcome).toBe('picked');
    expect(asked.size).toBe(501);
  });

  it('is exhausted at once when the pool has no address', () => {
    expect(pickAddress(poolOf([]), new Set(), api0)).toEqual({ outcome: 'exhausted', capacity: 0n });
  });
});
