import { type Family, familyName } from './address.ts';
import { globMatches, isGlob, parseGlob } from './glob.ts';
import type { PoolCatalogue } from './pool-catalogue.ts';
import type { Pool } from './pool-snapshot.ts';

/** A pool that somebody named, whether it can serve or not. */
export interface Nominee {
  /** Of the pool, or the wildcard itself when it matches none. */
  readonly name: string;
  /** As it is written: the wildcard, or the name. */
  readonly namedAs: string;
  readonly pool?: Pool;
  /** Why there is no pool, as the rest of a sentence that begins with the name. */
  readonly problem?: string;
}

/**
 * Turns what is written into pools: wildcards in place, among pools of the family and sorted by name; each pool once, where it
 * is named first. O(pools) per wildcard.
 */
export function nominate(names: readonly string[], family: Family, catalogue: PoolCatalogue): readonly Nominee[] {
  const nominees = new Map<string, Nominee>();
  const add = (nominee: Nominee) => {
    if (!nominees.has(nominee.name)) nominees.set(nominee.name, nominee);
  };
  for (const namedAs of new Set(names)) {
    if (!isGlob(namedAs)) {
      const pool = catalogue.pools.get(namedAs);
      add({ name: namedAs, namedAs, ...(pool ? { pool } : { problem: 'does not exist' }) });
      continue;
    }
    const matched = matches(namedAs, catalogue.names[family]);
    if (matched.length === 0) add({ name: namedAs, namedAs, problem: `matches no ${familyName(family)} pool` });
    for (const name of matched) {
      const pool = catalogue.pools.get(name);
      add({ name, namedAs, ...(pool && { pool }) });
    }
  }
  return [...nominees.values()];
}

/** A malformed one matches nothing; whoever wrote it was told when it was read. */
function matches(wildcard: string, names: readonly string[]): readonly string[] {
  const glob = parseGlob(wildcard);
  return glob.outcome === 'malformed' ? [] : names.filter((name) => globMatches(glob.tokens, name));
}
