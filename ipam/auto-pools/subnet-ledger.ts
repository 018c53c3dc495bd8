import type { Family } from '../address.ts';
import { readAutomaticPool } from '../automatic-pool.ts';
import { type IntervalSet, intersect, intervalSet, isSameSet, smallest, subtract, union } from '../interval-set.ts';
import { isMalformed, type PoolObject, type ReservedAddresses, readPool } from '../pool-snapshot.ts';
import { formatRanges, parseRange } from '../range-grammar.ts';
import { applicationText } from './pool-identity.ts';

/** What we read of a `SpiderSubnet`; the generated CR type fits by structure. */
export interface SubnetObject {
  readonly metadata: PoolObject['metadata'] & { readonly uid?: string | undefined };
  readonly spec: Pick<PoolObject['spec'], 'ipVersion' | 'subnet' | 'ips' | 'excludeIPs' | 'gateway' | 'routes'>;
  readonly status?: {
    readonly controlledIPPools?: string | undefined;
    readonly totalIPCount?: number | undefined;
    readonly allocatedIPCount?: number | undefined;
  };
}

/**
 * Which addresses of a SpiderSubnet belong to which pool: what its status records, and what the pools of its CIDR really have. An
 * address that either of them gives to a pool is that pool's, so a write that never came can only keep addresses back.
 */
export interface SubnetLedger {
  readonly subnet: SubnetObject;
  readonly family: Family;
  readonly isTerminating: boolean;
  /** `ips` less `excludeIPs`. */
  readonly addresses: IntervalSet;
  /** Those of them that a pool may get: less the gateway and reserved addresses. */
  readonly givable: IntervalSet;
  /** The record, by name of the pool. */
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  /** The pools of this CIDR, by name. */
  readonly pools: ReadonlyMap<string, LedgerPool>;
}

export interface LedgerEntry {
  readonly ips: IntervalSet;
  /** Only of automatic pools: "apps_v1_Deployment_pay_api". */
  readonly application?: string;
}

export interface LedgerPool {
  readonly ips: IntervalSet;
  /** Only of automatic pools. */
  readonly application?: string;
}

export type LedgerReading =
  | { readonly outcome: 'ledger'; readonly ledger: SubnetLedger }
  | { readonly outcome: 'malformed'; readonly problem: string };

const nothing = intervalSet([]);
const nothingReserved: ReservedAddresses = { 4: nothing, 6: nothing };

/** Reads a Subnet with all pools whose `spec.subnet` is the same; other pools are left out. */
export function readLedger(
  subnet: SubnetObject,
  pools: readonly PoolObject[],
  reserved: ReservedAddresses,
): LedgerReading {
  const whole = readPool(subnet, nothingReserved);
  const usable = readPool(subnet, reserved);
  if (isMalformed(whole)) return { outcome: 'malformed', problem: whole.problem };
  if (isMalformed(usable)) return { outcome: 'malformed', problem: usable.problem };
  return {
    outcome: 'ledger',
    ledger: {
      subnet,
      family: whole.family,
      isTerminating: whole.isTerminating,
      addresses: whole.candidates,
      givable: usable.candidates,
      entries: readEntries(subnet.status?.controlledIPPools),
      pools: new Map(
        pools.flatMap((pool) =>
          pool.spec.subnet === subnet.spec.subnet ? [[pool.metadata.name, readLedgerPool(pool)] as const] : [],
        ),
      ),
    },
  };
}

/** Addresses of a pool, in use or not; none when it cannot be read, for then it gives none. */
export function addressesOf(pool: PoolObject): IntervalSet {
  const read = readPool(pool, nothingReserved);
  return isMalformed(read) ? nothing : read.candidates;
}

function readLedgerPool(pool: PoolObject): LedgerPool {
  const made = readAutomaticPool(pool.metadata.labels ?? {}, pool.spec.podAffinity?.matchLabels ?? {});
  return { ips: addressesOf(pool), ...(made && { application: applicationText(made.application) }) };
}

let newest: { readonly text: string; readonly entries: ReadonlyMap<string, LedgerEntry> } | undefined;

/** What is no record (it is written by machines, but anybody may) counts as none: the audit puts it right. */
export function readEntries(text = '{}'): ReadonlyMap<string, LedgerEntry> {
  // Admission judges all pools of a round by one record, twice each.
  if (newest?.text !== text) newest = { text, entries: parseEntries(text) };
  return newest.entries;
}

function parseEntries(text: string): ReadonlyMap<string, LedgerEntry> {
  const entries = new Map<string, LedgerEntry>();
  for (const [pool, found] of Object.entries(parseObject(text))) {
    const { ips, application } = (typeof found === 'object' && found !== null ? found : {}) as Record<string, unknown>;
    const ranges = Array.isArray(ips) ? ips.flatMap(readRange) : [];
    entries.set(pool, { ips: intervalSet(ranges), ...(typeof application === 'string' && { application }) });
  }
  return entries;
}

const readRange = (text: unknown) => {
  const reading = typeof text === 'string' ? parseRange(text) : undefined;
  return reading?.outcome === 'range' ? [reading.interval] : [];
};

function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

/** The status that says what the ledger does (spec/ipam.md §1.2), as an int64 and Spiderpool's JSON can hold it. */
export function ledgerStatus({ family, addresses, entries }: SubnetLedger): NonNullable<SubnetObject['status']> {
  const sorted = [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const records = sorted.map(([pool, { ips, application }]) => [
    pool,
    { ips: formatRanges(ips, family), ...(application !== undefined && { application }) },
  ]);
  return {
    ...(records.length > 0 && { controlledIPPools: JSON.stringify(Object.fromEntries(records)) }),
    totalIPCount: counted(addresses.size),
    allocatedIPCount: counted(sorted.reduce((sum, [, { ips }]) => sum + ips.size, 0n)),
  };
}

/** What does not fit into an int64 is written as the largest that does (kube/int64-json.ts). */
const counted = (size: bigint): number => Math.min(Number(size), 2 ** 63);

/** What a pool asks of its Subnet. */
export interface PoolDemand {
  readonly pool: string;
  readonly application: string;
  readonly size: bigint;
  /** Addresses of the pool that somebody has. They stay. */
  readonly taken: Iterable<bigint>;
}

export type Reservation =
  /** `ips` are more than asked for when more of them are taken. */
  | { readonly outcome: 'reserved'; readonly ips: IntervalSet; readonly ledger: SubnetLedger }
  | { readonly outcome: 'short'; readonly missing: bigint; readonly free: bigint };

/**
 * Sets addresses aside for an automatic pool, so that it has as many as it demands: the lowest free ones join, the lowest that
 * nobody has leave. All that are missing, or none. What a write that was cut short recorded for this very pool is taken first.
 */
export function reserve(ledger: SubnetLedger, { pool, application, size, taken }: PoolDemand): Reservation {
  const own = ledger.pools.get(pool)?.ips ?? nothing;
  const missing = size - own.size;
  const free = subtract(subtract(ledger.givable, own), ofOthers(ledger, pool));
  if (missing > free.size) return { outcome: 'short', missing, free: free.size };
  const recorded = smallest(intersect(free, ledger.entries.get(pool)?.ips ?? nothing), missing);
  const added = union(recorded, smallest(subtract(free, recorded), missing - recorded.size));
  const inUse = intervalSet(Array.from(taken, (value) => ({ first: value, last: value })));
  const ips = subtract(union(own, added), smallest(subtract(own, inUse), -missing));
  const entries = new Map(ledger.entries).set(pool, { ips, application });
  return { outcome: 'reserved', ips, ledger: { ...ledger, entries } };
}

const ofOthers = ({ entries, pools }: SubnetLedger, pool: string): IntervalSet =>
  union(...[...entries, ...pools].flatMap(([name, { ips }]) => (name === pool ? [] : [ips])));

export interface Audit {
  /** The record put right. */
  readonly ledger: SubnetLedger;
  /** Pools whose record says something else than they do, and may be on its way to be true. */
  readonly doubtful: readonly string[];
}

/**
 * Compares the record with the pools. That of manual pools is put right at once: nothing is ever set aside for them. That of an
 * automatic pool is written before the pool, so a difference is only doubtful; the pool is right when it has been `overdue`.
 */
export function audit(ledger: SubnetLedger, overdue: ReadonlySet<string>): Audit {
  const entries = new Map<string, LedgerEntry>();
  const doubtful: string[] = [];
  for (const [name, { application, ips }] of ledger.pools) {
    const recorded = ledger.entries.get(name)?.ips ?? nothing;
    const real = intersect(ips, ledger.addresses);
    const isDoubtful = application !== undefined && !isSameSet(recorded, real);
    if (isDoubtful) doubtful.push(name);
    const kept = isDoubtful && !overdue.has(name) ? recorded : real;
    if (application !== undefined) entries.set(name, { ips: kept, application });
    else if (kept.size > 0) entries.set(name, { ips: kept });
  }
  for (const [name, entry] of ledger.entries) {
    if (ledger.pools.has(name) || entry.application === undefined || ledger.isTerminating) continue;
    doubtful.push(name);
    if (!overdue.has(name)) entries.set(name, entry);
  }
  return { ledger: { ...ledger, entries }, doubtful };
}
