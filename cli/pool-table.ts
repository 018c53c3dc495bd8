import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { fromClaimName } from '../ipam/address.ts';
import { formatCidr } from '../ipam/cidr.ts';
import { contains } from '../ipam/interval-set.ts';
import { type ReservedIPObject, readPoolCatalogue } from '../ipam/pool-catalogue.ts';
import { isMalformed, type Pool, type PoolObject, type PoolSnapshot } from '../ipam/pool-snapshot.ts';
import type { Paint } from './paint.ts';
import { type PodRow, podRows, renderPods } from './pod-table.ts';
import { table } from './table.ts';

export type PoolState = 'Ready' | 'Exhausted' | 'Disabled' | 'Terminating' | 'Malformed';

/** One pool: a line of `orb pools`, an element of `items` in its JSON. Counts are decimal text there: a /64 has 2^64. */
export interface PoolRow {
  readonly name: string;
  /** Absent, as all counts are, when the pool's text cannot be read. */
  readonly family?: 4 | 6;
  readonly subnet: string;
  /** Claims of this pool that are not Held: bound, or not yet free again. */
  readonly used: bigint;
  /** Claims kept for a pod that lives or an identity that stays. */
  readonly held: bigint;
  /** What an ADD could still get: neither claimed by anybody, nor reserved, nor the gateway. */
  readonly free?: bigint;
  /** `ips` less `excludeIPs`, reserved addresses included. */
  readonly total?: bigint;
  readonly isDefault: boolean;
  readonly state: PoolState;
  /** Why the state is Malformed. */
  readonly problem?: string;
}

/** A pool and who has its addresses: `orb pools NAME`. */
export interface PoolPage {
  readonly pool: PoolRow;
  readonly claims: readonly PodRow[];
}

export interface PoolView {
  readonly pools: readonly PoolObject[];
  readonly reservations: readonly ReservedIPObject[];
  readonly claims: readonly IPClaim[];
}

/** All pools by name. Claims and pools were read one after the other, so counts are as true as a moment allows. */
export function poolRows({ pools, reservations, claims }: PoolView): readonly PoolRow[] {
  const catalogue = readPoolCatalogue(pools, reservations);
  const taken = claims.flatMap(({ metadata }) => fromClaimName(metadata.name) ?? []);
  return [...pools]
    .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name, 'en', { numeric: true }))
    .flatMap(({ metadata: { name }, spec }) => {
      const pool = catalogue.pools.get(name);
      if (pool === undefined) return [];
      const own = claims.filter((claim) => claim.spec.pool === name);
      const held = BigInt(own.filter((claim) => claim.spec.phase === 'Held').length);
      const claimed = { used: BigInt(own.length) - held, held };
      if (isMalformed(pool)) return [malformedRow(pool, spec.subnet, claimed)];
      // An overlapping pool may have claimed the address: it is not free here either.
      const gone = taken.filter(
        ({ family, value }) => family === pool.family && contains(pool.candidates, value),
      ).length;
      return [readableRow(pool, claimed, pool.candidates.size - BigInt(gone))];
    });
}

/** `undefined` when no pool has that name. */
export function poolPage(view: PoolView, name: string): PoolPage | undefined {
  const pool = poolRows(view).find((row) => row.name === name);
  const claims = view.claims.filter(({ spec }) => spec.pool === name);
  return pool && { pool, claims: podRows(claims) };
}

export function renderPools(rows: readonly PoolRow[], columns?: number): string {
  const count = (value: bigint | undefined): string => value?.toString() ?? '–';
  const head = ['NAME', 'FAMILY', 'SUBNET', 'USED', 'FREE', 'HELD', 'TOTAL', 'DEFAULT', 'STATE'];
  const cells = rows.map((row) => [
    row.name,
    row.family === undefined ? '–' : `IPv${row.family}`,
    row.subnet,
    ...[row.used, row.free, row.held, row.total].map(count),
    row.isDefault ? 'yes' : 'no',
    row.state,
  ]);
  return table(head, cells, columns);
}

export function renderPoolPage({ pool, claims }: PoolPage, paint: Paint, columns?: number): string {
  return [
    renderPools([pool], columns),
    ...(pool.problem === undefined
      ? []
      : [`${paint('bad', 'Malformed:')} ${pool.problem}\nRemedy: kubectl edit spiderippool ${pool.name}`]),
    claims.length === 0 ? 'Nobody has an address of this pool.' : renderPods(claims, columns),
  ].join('\n\n');
}

type Claimed = Pick<PoolRow, 'used' | 'held'>;

const malformedRow = (pool: Extract<Pool, { problem: string }>, subnet: string, claimed: Claimed): PoolRow => ({
  name: pool.name,
  subnet,
  ...claimed,
  isDefault: pool.isDefault,
  state: 'Malformed',
  problem: pool.problem,
  ...(pool.family === undefined ? {} : { family: pool.family }),
});

const readableRow = (pool: PoolSnapshot, claimed: Claimed, free: bigint): PoolRow => ({
  name: pool.name,
  family: pool.family,
  subnet: formatCidr(pool.subnet),
  ...claimed,
  free,
  total: pool.total,
  isDefault: pool.isDefault,
  state: stateOf(pool, free),
});

function stateOf({ isTerminating, isDisabled }: PoolSnapshot, free: bigint): PoolState {
  if (isTerminating) return 'Terminating';
  if (isDisabled) return 'Disabled';
  return free === 0n ? 'Exhausted' : 'Ready';
}
