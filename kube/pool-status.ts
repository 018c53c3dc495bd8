import type { SpiderIPPool, SpiderIPPoolStatus } from '../contracts/crds/spiderippool.ts';
import { intervalSet } from '../ipam/interval-set.ts';
import { isMalformed, readPool } from '../ipam/pool-snapshot.ts';
import { int64Max } from './int64-json.ts';

/** What of a claim shows in its pool's status. */
export interface CountedClaim {
  /** With prefix length. */
  readonly address: string;
  /** `pod` is namespace/name. */
  readonly holders: readonly { readonly pod: string; readonly podUID: string }[];
}

/** More records than these are not published: it is the text that slows Spiderpool, 405 KB to etcd for each ADD at 4,000. */
export const mostRecords = 500;

/**
 * The status that a pool should show (spec/ipam.md §1.1).
 *
 * Every claim counts, whatever its phase: its name is taken until the claim is gone, so what is left of `totalIPCount` is never
 * more than what a new pod can get. A Suspect one may be given to somebody as a last resort, but then it is the same claim.
 */
export const poolStatus = (
  totalIPCount: number | undefined,
  claims: ReadonlySet<CountedClaim>,
): SpiderIPPoolStatus => ({
  ...(claims.size > 0 && claims.size <= mostRecords && { allocatedIPs: recordsOf(claims) }),
  ...(totalIPCount !== undefined && { totalIPCount }),
  allocatedIPCount: claims.size,
});

/** `ips` less `excludeIPs`, at most what an int64 holds; undefined for a pool that cannot be read, which gives no address. */
export function totalIPCount(pool: SpiderIPPool): number | undefined {
  const read = readPool(pool, nothing);
  return isMalformed(read) ? undefined : Math.min(Number(read.total), int64Max);
}

/** Spiderpool's text: sorted as Go sorts the keys of a map. */
function recordsOf(claims: ReadonlySet<CountedClaim>): string {
  const records = Array.from(
    claims,
    ({ address, holders: [holder] }) =>
      [address.replace(/\/\d+$/, ''), { pod: holder?.pod ?? '', podUid: holder?.podUID ?? '' }] as const,
  );
  return JSON.stringify(Object.fromEntries(records.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

/** Reservations are not subtracted: spec/ipam.md §1.1. */
const nothing = { 4: intervalSet([]), 6: intervalSet([]) };
