import type { Family } from './address.ts';
import { applicationKey } from './automatic-pool.ts';
import { type Interval, intervalSet } from './interval-set.ts';
import {
  isMalformed,
  type MalformedPool,
  type Pool,
  type PoolObject,
  type PoolSnapshot,
  type ReservedAddresses,
  readPool,
} from './pool-snapshot.ts';
import { parseRange } from './range-grammar.ts';

/** What we read of a `SpiderReservedIP`; the generated CR type fits by structure. */
export interface ReservedIPObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: unknown };
  readonly spec: { readonly ipVersion?: number | undefined; readonly ips?: readonly string[] | undefined };
}

/** Every pool of the cluster as a value, read once per view of the cluster and then used by every request. */
export interface PoolCatalogue {
  readonly pools: ReadonlyMap<string, Pool>;
  /** Names of all pools by family, sorted: what wildcards match. A pool without a readable subnet is in none. */
  readonly names: PoolNames;
  /** Those with `spec.default: true`. */
  readonly defaults: PoolNames;
  /** Default pools whose family nobody can tell, sorted by name. */
  readonly unreadableDefaults: readonly MalformedPool[];
  /** Pools that were made for an application, by `applicationKey`, sorted by name; none that is being deleted. */
  readonly automatic: ReadonlyMap<string, readonly PoolSnapshot[]>;
  /** Some pool looks at the labels of nodes, so `PoolRequest.node.labels` has to be read. */
  readonly asksForNodeLabels: boolean;
  readonly reserved: ReservedAddresses;
  /** What was wrong with reservations; a reservation never makes a pool unusable. */
  readonly warnings: readonly string[];
}

type PoolNames = Readonly<Record<Family, readonly string[]>>;

/** Reads every pool and reservation; never throws. O(entries), so do it once per view and not once per request. */
export function readPoolCatalogue(
  pools: readonly PoolObject[],
  reservations: readonly ReservedIPObject[],
): PoolCatalogue {
  const reserved = readReservations(reservations);
  // Sorted, so that nothing depends on the order in which the API server lists them.
  const sorted = pools
    .map((pool) => readPool(pool, reserved.addresses))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  const defaults = sorted.filter(({ isDefault }) => isDefault);
  const readable = sorted.flatMap((pool) => (isMalformed(pool) ? [] : pool));
  return {
    pools: new Map(sorted.map((pool) => [pool.name, pool])),
    names: namesByFamily(sorted),
    defaults: namesByFamily(defaults),
    unreadableDefaults: defaults.filter((pool) => isMalformed(pool)).filter(({ family }) => family === undefined),
    automatic: Map.groupBy(
      readable.filter(({ automatic, isTerminating }) => automatic !== undefined && !isTerminating),
      ({ automatic }) => (automatic === undefined ? '' : applicationKey(automatic.application)),
    ),
    asksForNodeLabels: readable.some(({ nodeName, nodeAffinity }) => nodeName.length === 0 && nodeAffinity),
    reserved: reserved.addresses,
    warnings: reserved.warnings,
  };
}

const namesByFamily = (pools: readonly Pool[]): PoolNames => ({
  4: pools.filter(({ family }) => family === 4).map(({ name }) => name),
  6: pools.filter(({ family }) => family === 6).map(({ name }) => name),
});

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
