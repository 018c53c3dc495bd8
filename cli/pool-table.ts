import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import { formatCidr } from '../ipam/cidr.ts';
import { subtract } from '../ipam/interval-set.ts';
import { type ReservedIPObject, readPoolCatalogue, readReservations } from '../ipam/pool-catalogue.ts';
import { isMalformed, type Pool, type PoolObject, type PoolSnapshot, readPool } from '../ipam/pool-snapshot.ts';
import type { Paint } from './paint.ts';
import { byAddress, shortID } from './pod-table.ts';
import { table } from './table.ts';
import { TakenAddresses } from './taken-addresses.ts';
import type { WallClock } from './wall-clock.ts';

export type PoolState = 'Ready' | 'Exhausted' | 'Disabled' | 'Terminating' | 'Malformed';

/** One pool: a line of `orb pools`, an element of `items` in its JSON. Counts are decimal text there: a /64 has 2^64. */
export interface PoolRow {
  readonly name: string;
  /** Absent, as all counts are, when the pool's text cannot be read. */
  readonly family?: 4 | 6;
  readonly subnet: string;
  /** Bound: in use by a pod. */
  readonly used: bigint;
  /** Kept for a pod that lives or an identity that stays. */
  readonly held: bigint;
  /** Given back, and free after a while. */
  readonly cooling: bigint;
  /** Given back without its node's word: given only when nothing else is left, after a probe. */
  readonly suspect: bigint;
  /** Something else on the network answers for it. */
  readonly conflicted: bigint;
  /** What an ADD could still get: neither claimed by anybody, nor reserved, nor the gateway. */
  readonly free?: bigint;
  /** What of `total` no pod can get, because a SpiderReservedIP or the gateway is there. */
  readonly reserved?: bigint;
  /** `ips` less `excludeIPs`, reserved addresses included: `status.totalIPCount`. */
  readonly total?: bigint;
  readonly isDefault: boolean;
  readonly state: PoolState;
  /** Why the state is Malformed. */
  readonly problem?: string;
}

/** A pool and who has its addresses: `orb pools NAME`. */
export interface PoolPage {
  readonly pool: PoolRow;
  /** What reserves addresses of it: SpiderReservedIPs by name, then the gateway. One address may be reserved twice. */
  readonly reservations: readonly Reservation[];
  /** By address. */
  readonly claims: readonly PoolClaim[];
}

export interface Reservation {
  readonly by: string;
  readonly count: bigint;
}

/** An address of the pool that is taken, and by whom. */
export interface PoolClaim {
  /** With prefix length. */
  readonly address: string;
  readonly phase: ClaimPhase;
  /** RFC 3339; only in the phases Cooling, Suspect and Conflicted. */
  readonly until?: string;
  /** What the address stays with when its pod is made anew. */
  readonly identity?: string;
  readonly holders: readonly PoolHolder[];
}

export interface PoolHolder {
  readonly namespace: string;
  readonly pod: string;
  readonly interface: string;
  readonly node: string;
  readonly containerID: string;
}

export interface PoolView {
  readonly pools: readonly PoolObject[];
  readonly reservations: readonly ReservedIPObject[];
  readonly claims: readonly IPClaim[];
}

/** All pools by name. Claims and pools were read one after the other, so counts are as true as a moment allows. */
export function poolRows({ pools, reservations, claims }: PoolView): readonly PoolRow[] {
  const catalogue = readPoolCatalogue(pools, reservations);
  const taken = new TakenAddresses(claims);
  const byPool = Map.groupBy(claims, ({ spec }) => spec.pool);
  return [...pools]
    .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name, 'en', { numeric: true }))
    .flatMap(({ metadata: { name }, spec }) => {
      const pool = catalogue.pools.get(name);
      if (pool === undefined) return [];
      const claimed = countPhases(byPool.get(name) ?? []);
      if (isMalformed(pool)) return [malformedRow(pool, spec.subnet, claimed)];
      // An overlapping pool may have claimed the address: it is not free here either.
      const free = pool.candidates.size - taken.countIn(pool.family, pool.candidates);
      return [readableRow(pool, claimed, free)];
    });
}

/** `undefined` when no pool has that name. */
export function poolPage(view: PoolView, name: string): PoolPage | undefined {
  const pool = poolRows(view).find((row) => row.name === name);
  const object = view.pools.find(({ metadata }) => metadata.name === name);
  if (pool === undefined || object === undefined) return undefined;
  const claims = view.claims.filter(({ spec }) => spec.pool === name).sort(byAddress);
  return { pool, reservations: reservationsIn(object, view.reservations), claims: claims.map(poolClaim) };
}

const poolClaim = ({ spec: { address, phase, until, identity, holders } }: IPClaim): PoolClaim => ({
  address,
  phase,
  ...(until === undefined ? {} : { until }),
  ...(identity === undefined ? {} : { identity }),
  holders: holders.map(({ namespace, pod, interface: nic, node, containerID }) => ({
    namespace,
    pod,
    interface: nic,
    node,
    containerID,
  })),
});

function reservationsIn(object: PoolObject, reservations: readonly ReservedIPObject[]): readonly Reservation[] {
  const { gateway, ...spec } = object.spec;
  const nothing = readReservations([]).addresses;
  const configured = readPool({ ...object, spec }, nothing);
  if (isMalformed(configured)) return [];
  const { candidates, family } = configured;
  const withGateway = readPool(object, nothing);
  const found = reservations.map(({ metadata, spec: reserved }) => {
    const { addresses } = readReservations([{ metadata, spec: reserved }]);
    return { by: metadata.name, count: candidates.size - subtract(candidates, addresses[family]).size };
  });
  const gatewayCount = isMalformed(withGateway) ? 0n : candidates.size - withGateway.candidates.size;
  return [
    ...found.sort((a, b) => a.by.localeCompare(b.by, 'en', { numeric: true })),
    { by: `gateway ${gateway ?? ''}`, count: gatewayCount },
  ].filter(({ count }) => count > 0n);
}

export function renderPools(rows: readonly PoolRow[], columns?: number): string {
  const head = ['NAME', 'SUBNET', 'USED', 'FREE', 'HELD', 'BLOCKED', 'RESERVED', 'TOTAL', 'DEFAULT', 'STATE'];
  const cells = rows.map((row) => [
    row.name,
    row.subnet,
    ...[row.used, row.free, row.held, row.cooling + row.suspect + row.conflicted, row.reserved, row.total].map(
      shownCount,
    ),
    row.isDefault ? 'yes' : 'no',
    row.state,
  ]);
  return table(head, cells, columns);
}

/** Exact up to nine digits; the 2^64 addresses of an IPv6 pool are "1.84e19", and exact in the JSON. */
function shownCount(value: bigint | undefined): string {
  if (value === undefined) return '–';
  const digits = value.toString();
  return digits.length <= 9 ? digits : `${digits[0]}.${digits.slice(1, 3)}e${digits.length - 1}`;
}

export function renderPoolPage(
  { pool, reservations, claims }: PoolPage,
  clock: WallClock,
  paint: Paint,
  columns?: number,
): string {
  const blocked = [
    [pool.cooling, 'cooling'],
    [pool.suspect, 'suspect'],
    [pool.conflicted, 'conflicted'],
  ] as const;
  const facts = [
    ...blocked.filter(([count]) => count > 0n).map(([count, what]) => `${count} ${what}`),
    ...reservations.map(({ by, count }) => `${count} reserved by ${by}`),
  ];
  return [
    renderPools([pool], columns),
    ...(facts.length === 0 ? [] : [facts.join(', ')]),
    ...(pool.problem === undefined
      ? []
      : [`${paint('bad', 'Malformed:')} ${pool.problem}\nRemedy: kubectl edit spiderippool ${pool.name}`]),
    claims.length === 0 ? 'Nobody has an address of this pool.' : renderClaims(claims, clock, columns),
  ].join('\n\n');
}

function renderClaims(claims: readonly PoolClaim[], clock: WallClock, columns?: number): string {
  const head = ['ADDRESS', 'PHASE', 'UNTIL', 'POD', 'NIC', 'NODE', 'SANDBOX', 'KEPT FOR'];
  const cells = claims.flatMap(({ address, phase, until, identity, holders }) =>
    holders.map(({ namespace, pod, interface: nic, node, containerID }) => [
      address,
      phase,
      until === undefined ? '–' : clock.time(Date.parse(until)),
      `${namespace}/${pod}`,
      nic,
      node,
      shortID(containerID),
      identity ?? '–',
    ]),
  );
  const isKept = (column: number): boolean => cells.some((row) => row[column] !== '–');
  const shown = head.map((_, column) => column).filter((column) => !mayBeEmpty.has(column) || isKept(column));
  const pick = (row: readonly string[]): readonly string[] => shown.map((column) => row[column] ?? '');
  return table(pick(head), cells.map(pick), columns);
}

/** UNTIL and KEPT FOR: columns that most pools have nothing for. */
const mayBeEmpty = new Set([2, 7]);

type Claimed = Pick<PoolRow, 'used' | 'held' | 'cooling' | 'suspect' | 'conflicted'>;

function countPhases(claims: readonly IPClaim[]): Claimed {
  const count = (wanted: ClaimPhase): bigint => BigInt(claims.filter(({ spec }) => spec.phase === wanted).length);
  return {
    used: count('Bound'),
    held: count('Held'),
    cooling: count('Cooling'),
    suspect: count('Suspect'),
    conflicted: count('Conflicted'),
  };
}

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
  reserved: pool.total - pool.candidates.size,
  total: pool.total,
  isDefault: pool.isDefault,
  state: stateOf(pool, free),
});

function stateOf({ isTerminating, isDisabled }: PoolSnapshot, free: bigint): PoolState {
  if (isTerminating) return 'Terminating';
  if (isDisabled) return 'Disabled';
  return free === 0n ? 'Exhausted' : 'Ready';
}
