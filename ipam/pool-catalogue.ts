import type { Family } from './address.ts';
import { type Interval, intervalSet } from './interval-set.ts';
import { type Pool, type PoolObject, type ReservedAddresses, readPool } from './pool-snapshot.ts';
import { parseRange } from './range-grammar.ts';

/** What we read of a `SpiderReservedIP`; the generated CR type fits by structure. */
export interface ReservedIPObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: unknown };
  readonly spec: { readonly ipVersion?: number | undefined; readonly ips?: readonly string[] | undefined };
}

/** Every pool of the cluster as a value, read once per view of the cluster and then used by every request. */
export interface PoolCatalogue {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly reserved: ReservedAddresses;
  /** What was wrong with reservations; a reservation never makes a pool unusable. */
  readonly warnings: readonly string[];
}

/** Reads every pool and reservation; never throws. O(entries), so do it once per view and not once per request. */
export function readPoolCatalogue(
  pools: readonly PoolObject[],
  reservations: readonly ReservedIPObject[],
): PoolCatalogue {
  const reserved = readReservations(reservations);
  return {
    pools: new Map(pools.map((pool) => [pool.metadata.name, readPool(pool, reserved.addresses)])),
    reserved: reserved.addresses,
    warnings: reserved.warnings,
  };
}

/** Entries that can be read hold, each in its own family, even where `ipVersion` or a neighbour is wrong: reserving is safe. */
export function readReservations(reservations: readonly ReservedIPObject[]): {
  readonly addresses: ReservedAddresses;
  readonly warnings: readonly string[];
} {
  const intervals: Record<Family, Interval[]> = { 4: [], 6: [] };
  const warnings: string[] = [];
  for (const { metadata, spec } of reservations) {
    // A reservation that is being deleted no longer holds: spec/ipam.md §5.4.
    for (const entry of metadata.deletionTimestamp == null ? (spec.ips ?? []) : []) {
      const reading = parseRange(entry);
      if (reading.outcome === 'invalid') {
        warnings.push(`SpiderReservedIP "${metadata.name}": ${reading.problem}; the entry is ignored`);
        continue;
      }
      intervals[reading.family].push(reading.interval);
      if (spec.ipVersion !== undefined && spec.ipVersion !== reading.family) {
        warnings.push(
          `SpiderReservedIP "${metadata.name}": "${entry}" is not of its ipVersion ${spec.ipVersion}; it is reserved all the same`,
        );
      }
    }
  }
  return { addresses: { 4: intervalSet(intervals[4]), 6: intervalSet(intervals[6]) }, warnings };
}
