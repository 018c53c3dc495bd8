import { type Family, fromClaimName } from '../ipam/address.ts';
import { type IntervalSet, intervalSet } from '../ipam/interval-set.ts';

/** The addresses that somebody has, whoever: counted and taken away in O(log n) per range, because pools are many and claims are more. */
export class TakenAddresses {
  readonly #sorted: Readonly<Record<Family, readonly bigint[]>>;

  constructor(claims: readonly { readonly metadata: { readonly name: string } }[]) {
    const values: Record<Family, bigint[]> = { 4: [], 6: [] };
    for (const { metadata } of claims) {
      const address = fromClaimName(metadata.name);
      if (address !== undefined) values[address.family].push(address.value);
    }
    for (const family of [4, 6] as const) values[family].sort((a, b) => (a < b ? -1 : Number(a > b)));
    this.#sorted = values;
  }

  countIn(family: Family, set: IntervalSet): bigint {
    const sorted = this.#sorted[family];
    const counts = set.intervals.map(
      ({ first, last }) => firstAtOrAfter(sorted, last + 1n) - firstAtOrAfter(sorted, first),
    );
    return BigInt(counts.reduce((sum, count) => sum + count, 0));
  }

  /** Those of the set, as a set. */
  within(family: Family, set: IntervalSet): IntervalSet {
    const sorted = this.#sorted[family];
    return intervalSet(
      set.intervals.flatMap(({ first, last }) =>
        sorted
          .slice(firstAtOrAfter(sorted, first), firstAtOrAfter(sorted, last + 1n))
          .map((value) => ({ first: value, last: value })),
      ),
    );
  }
}

/** Index of the first value that is `wanted` or more; the number of values when none is. */
function firstAtOrAfter(sorted: readonly bigint[], wanted: bigint): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? wanted) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
