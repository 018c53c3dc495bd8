import type { Failure } from '../contracts/failures.ts';
import type { Family } from './address.ts';
import { noPoolNamed, noPoolServes } from './failures.ts';
import type { PoolCatalogue } from './pool-catalogue.ts';
import { poolFilters } from './pool-filters.ts';
import { type PoolRequest, poolLevels } from './pool-levels.ts';
import { isMalformed, type MalformedPool, type PoolSnapshot } from './pool-snapshot.ts';
import type { SkippedPool } from './skipped-pool.ts';

export type PoolSelection =
  | {
      readonly outcome: 'selected';
      /** The level that decided, for a log line. */
      readonly source: string;
      /** Every family that was asked for, IPv4 first. The pod needs an address of each. */
      readonly families: readonly FamilyCandidates[];
    }
  | { readonly outcome: 'refused'; readonly failure: Failure };

export interface FamilyCandidates {
  readonly family: Family;
  /** Tried in this order, at least one; later ones are backups. */
  readonly pools: readonly PoolSnapshot[];
  readonly skipped: readonly SkippedPool[];
}

/**
 * Chooses the pools of one NIC: the first level that names any decides, for both families; pools keep the order in which
 * they were named. A named pool that cannot serve is skipped with its reason while its family has another one; a family
 * that was asked for is never dropped. Total and pure; levels and filters are lists that later rules join.
 */
export function selectPools(request: PoolRequest, catalogue: PoolCatalogue): PoolSelection {
  for (const { source, read } of poolLevels) {
    const reading = read(request, catalogue);
    if (reading.outcome === 'refused') return reading;
    if (reading.outcome === 'absent') continue;
    const families = ([4, 6] as const)
      .filter((family) => reading.pools[family].length > 0)
      .map((family) => poolsOfFamily(family, reading.pools[family], request, catalogue));
    const unserved = families.filter(({ pools }) => pools.length === 0);
    return unserved.length > 0
      ? { outcome: 'refused', failure: noPoolServes(unserved, source) }
      : { outcome: 'selected', source, families };
  }
  return { outcome: 'refused', failure: noPoolNamed(sources, unreadableDefaults(catalogue)) };
}

const sources = poolLevels.map(({ source }) => source);

const unreadableDefaults = ({ pools }: PoolCatalogue): readonly MalformedPool[] =>
  [...pools.values()]
    .filter((pool) => isMalformed(pool))
    .filter(({ isDefault }) => isDefault)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));

function poolsOfFamily(
  family: Family,
  names: readonly string[],
  request: PoolRequest,
  catalogue: PoolCatalogue,
): FamilyCandidates {
  const pools: PoolSnapshot[] = [];
  const skipped: SkippedPool[] = [];
  for (const name of new Set(names)) {
    const pool = catalogue.pools.get(name);
    const skip = (reason: string) => skipped.push({ name, reason, isMissing: !pool });
    if (!pool) {
      skip(/[*?[]/.test(name) ? 'is a wildcard, which is not supported yet' : 'does not exist');
    } else if (isMalformed(pool)) {
      skip(`is malformed (${pool.problem})`);
    } else {
      const objection = poolFilters
        .map((filter) => filter(pool, family, request))
        .find((reason) => reason !== undefined);
      if (objection === undefined) pools.push(pool);
      else skip(objection);
    }
  }
  return { family, pools, skipped };
}
