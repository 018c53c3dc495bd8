import { formatAddress } from '../ipam/address.ts';
import { subtract } from '../ipam/interval-set.ts';
import { readPoolCatalogue } from '../ipam/pool-catalogue.ts';
import { isMalformed } from '../ipam/pool-snapshot.ts';
import type { Paint } from './paint.ts';
import { type PoolRow, type PoolView, poolRows } from './pool-table.ts';
import { TakenAddresses } from './taken-addresses.ts';

/** What of a pool nobody has: `orb free POOL`. Counts are decimal text in its JSON. */
export interface FreeRanges extends Pick<PoolRow, 'name' | 'state' | 'problem' | 'free' | 'total'> {
  /** Ascending; none for a pool that cannot be read. */
  readonly ranges: readonly FreeRange[];
}

export interface FreeRange {
  readonly first: string;
  readonly last: string;
  readonly count: bigint;
}

/** `undefined` when no pool has that name. */
export function freeRanges(view: PoolView, name: string): FreeRanges | undefined {
  const row = poolRows(view).find((one) => one.name === name);
  const pool = readPoolCatalogue(view.pools, view.reservations).pools.get(name);
  if (row === undefined || pool === undefined) return undefined;
  const { state, problem, free, total } = row;
  const known = {
    name,
    state,
    ...(problem === undefined ? {} : { problem }),
    ...(free === undefined ? {} : { free }),
    ...(total === undefined ? {} : { total }),
  };
  if (isMalformed(pool)) return { ...known, ranges: [] };
  const { family, candidates } = pool;
  const left = subtract(candidates, new TakenAddresses(view.claims).within(family, candidates));
  const text = (value: bigint): string => formatAddress({ family, value });
  return {
    ...known,
    ranges: left.intervals.map(({ first, last }) => ({
      first: text(first),
      last: text(last),
      count: last - first + 1n,
    })),
  };
}

/** The ranges as `spec.ips` would write them, one a line, below what there is to say of the pool. */
export function renderFree({ name, state, problem, free, total, ranges }: FreeRanges, paint: Paint): string {
  const ofAll = `${free ?? 0n} of ${total ?? 0n} addresses are free${ranges.length > 1 ? `, in ${ranges.length} ranges` : ''}`;
  const caveats = {
    Ready: undefined,
    Exhausted: `Who has them: orb pools ${name}`,
    Disabled: 'The pool is disabled: no pod gets one',
    Terminating: 'The pool is being deleted: no pod gets one',
    Malformed: `${paint('bad', 'Malformed:')} ${problem ?? ''}\nRemedy: kubectl edit spiderippool ${name}`,
  } as const satisfies Record<PoolRow['state'], string | undefined>;
  const caveat = caveats[state];
  return [
    `${paint('bold', name)}: ${free === undefined ? 'what is free cannot be told' : ofAll}`,
    ...(caveat === undefined ? [] : [caveat]),
    ...(ranges.length === 0
      ? []
      : [ranges.map(({ first, last }) => (first === last ? first : `${first}-${last}`)).join('\n')]),
  ].join('\n');
}
