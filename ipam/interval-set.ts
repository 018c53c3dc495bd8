/** The values from `first` to `last`, both included; `first` ≤ `last`. */
export interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

/** A set of values as sorted intervals that neither overlap nor touch, so a /8 costs as much as one address. */
export interface IntervalSet {
  readonly intervals: readonly Interval[];
  readonly size: bigint;
}

/** The set of every value in any of the intervals, which may come in any order and overlap. */
export function intervalSet(intervals: Iterable<Interval>): IntervalSet {
  const merged: { first: bigint; last: bigint }[] = [];
  let previous: { first: bigint; last: bigint } | undefined;
  for (const { first, last } of [...intervals].sort((a, b) => compare(a.first, b.first))) {
    if (previous === undefined || first > previous.last + 1n) {
      previous = { first, last };
      merged.push(previous);
    } else if (last > previous.last) {
      previous.last = last;
    }
  }
  return fromSorted(merged);
}

export const union = (...sets: readonly IntervalSet[]): IntervalSet =>
  intervalSet(sets.flatMap((set) => set.intervals));

/** What is in `set` and not in `removed`. */
export function subtract(set: IntervalSet, removed: IntervalSet): IntervalSet {
  const kept: Interval[] = [];
  for (const { first, last } of set.intervals) {
    let next = first;
    for (const hole of overlapping(removed, { first, last })) {
      if (next < hole.first) kept.push({ first: next, last: hole.first - 1n });
      next = hole.last + 1n;
    }
    if (next <= last) kept.push({ first: next, last });
  }
  return fromSorted(kept);
}

/** What is in both. */
export const intersect = (a: IntervalSet, b: IntervalSet): IntervalSet => subtract(a, subtract(a, b));

/** The `count` smallest values, or all where there are fewer. */
export function smallest({ intervals }: IntervalSet, count: bigint): IntervalSet {
  const taken: Interval[] = [];
  let rest = count;
  for (const { first, last } of intervals) {
    if (rest <= 0n) break;
    const length = last - first + 1n;
    taken.push(length <= rest ? { first, last } : { first, last: first + rest - 1n });
    rest -= length;
  }
  return fromSorted(taken);
}

export const isSameSet = (a: IntervalSet, b: IntervalSet): boolean =>
  a.intervals.length === b.intervals.length &&
  a.intervals.every(({ first, last }, at) => first === b.intervals[at]?.first && last === b.intervals[at]?.last);

export const contains = (set: IntervalSet, value: bigint): boolean => {
  const found = set.intervals[firstEndingAtOrAfter(set, value)];
  return found !== undefined && found.first <= value;
};

/** The value with `index` smaller ones in the set; `undefined` outside 0 … size − 1. */
export function nth(set: IntervalSet, index: bigint): bigint | undefined {
  if (index < 0n) return undefined;
  let rest = index;
  for (const { first, last } of set.intervals) {
    const length = last - first + 1n;
    if (rest < length) return first + rest;
    rest -= length;
  }
  return undefined;
}

/** Every value once, ascending from the one at `index` and then from the smallest. Lazy: what is not asked for costs nothing. */
export function* valuesFrom(set: IntervalSet, index: bigint): Generator<bigint, void, void> {
  const start = nth(set, index);
  if (start === undefined) return;
  for (const { first, last } of set.intervals) {
    for (let value = first > start ? first : start; value <= last; value++) yield value;
  }
  for (const { first, last } of set.intervals) {
    for (let value = first; value <= last && value < start; value++) yield value;
  }
}

function* overlapping(set: IntervalSet, { first, last }: Interval): Generator<Interval, void, void> {
  for (let index = firstEndingAtOrAfter(set, first); index < set.intervals.length; index++) {
    const interval = set.intervals[index];
    if (interval === undefined || interval.first > last) return;
    yield interval;
  }
}

/** Index of the first interval whose last value is `value` or more; the number of intervals when none is. */
function firstEndingAtOrAfter({ intervals }: IntervalSet, value: bigint): number {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const interval = intervals[middle];
    if (interval && interval.last < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

const fromSorted = (intervals: readonly Interval[]): IntervalSet => ({
  intervals,
  size: intervals.reduce((size, { first, last }) => size + last - first + 1n, 0n),
});

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));
