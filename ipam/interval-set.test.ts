import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  contains,
  type Interval,
  type IntervalSet,
  intersect,
  intervalSet,
  isSameSet,
  nth,
  smallest,
  subtract,
  union,
  valuesFrom,
} from './interval-set.ts';

/** Every operation is compared with the same one on plain sets of the numbers 0 … 30. */
const universe = Array.from({ length: 31 }, (_, value) => BigInt(value));
const intervals: fc.Arbitrary<Interval[]> = fc.array(
  fc
    .tuple(fc.bigInt(0n, 30n), fc.bigInt(0n, 8n))
    .map(([first, more]) => ({ first, last: first + more > 30n ? 30n : first + more })),
  { maxLength: 8 },
);
const sets = intervals.map((list) => intervalSet(list));
const inAny = (list: readonly Interval[]) => (value: bigint) =>
  list.some(({ first, last }) => first <= value && value <= last);
const valuesOf = (set: IntervalSet): bigint[] => universe.filter(inAny(set.intervals));

it('keeps every value of the intervals and no other, sorted, apart and counted', () => {
  fc.assert(
    fc.property(intervals, (list) => {
      const set = intervalSet(list);
      expect(valuesOf(set)).toEqual(universe.filter(inAny(list)));
      expect(set.size).toBe(BigInt(valuesOf(set).length));
      set.intervals.forEach(({ first, last }, index) => {
        expect(first <= last).toBe(true);
        const previous = set.intervals[index - 1];
        expect(previous === undefined || previous.last + 1n < first).toBe(true);
      });
    }),
  );
});

it('unites and subtracts as sets of numbers do', () => {
  fc.assert(
    fc.property(sets, sets, (a, b) => {
      expect(valuesOf(union(a, b))).toEqual(universe.filter((value) => contains(a, value) || contains(b, value)));
      const rest = subtract(a, b);
      expect(valuesOf(rest)).toEqual(universe.filter((value) => contains(a, value) && !contains(b, value)));
      expect(rest).toEqual(intervalSet(rest.intervals));
    }),
  );
});

it('intersects as sets of numbers do, and gives its smallest values', () => {
  fc.assert(
    fc.property(sets, sets, fc.bigInt(-1n, 40n), (a, b, count) => {
      expect(valuesOf(intersect(a, b))).toEqual(valuesOf(a).filter((value) => contains(b, value)));
      const least = smallest(a, count);
      expect(valuesOf(least)).toEqual(valuesOf(a).slice(0, Math.max(0, Number(count))));
      expect(least).toEqual(intervalSet(least.intervals));
    }),
  );
});

it('is the same set when it has the same values', () => {
  fc.assert(
    fc.property(sets, sets, (a, b) => {
      expect(isSameSet(a, b)).toBe(valuesOf(a).join() === valuesOf(b).join());
      expect(isSameSet(a, union(a, subtract(a, b)))).toBe(true);
    }),
  );
});

it('contains and counts through its values in order', () => {
  fc.assert(
    fc.property(sets, (set) => {
      const values = valuesOf(set);
      expect(universe.filter((value) => contains(set, value))).toEqual(values);
      expect(universe.map((index) => nth(set, index))).toEqual(universe.map((index) => values[Number(index)]));
      expect(nth(set, -1n)).toBeUndefined();
    }),
  );
});

describe('valuesFrom', () => {
  it('gives every value once, from the start on and around', () => {
    fc.assert(
      fc.property(sets, fc.nat({ max: 40 }), (set, index) => {
        const values = valuesOf(set);
        const expected = index < values.length ? [...values.slice(index), ...values.slice(0, index)] : [];
        expect([...valuesFrom(set, BigInt(index))]).toEqual(expected);
      }),
    );
  });

  it('costs nothing for values that nobody asks for', () => {
    const all = intervalSet([{ first: 0n, last: (1n << 128n) - 1n }]);
    const [first, second] = valuesFrom(all, (1n << 128n) - 1n);
    expect([first, second]).toEqual([(1n << 128n) - 1n, 0n]);
  });
});
