import type { Address } from './address.ts';
import { hash64 } from './hash64.ts';
import { contains, valuesFrom } from './interval-set.ts';
import type { PoolSnapshot } from './pool-snapshot.ts';

export type AddressPick =
  | { readonly outcome: 'picked'; readonly address: Address }
  | { readonly outcome: 'exhausted'; readonly capacity: bigint };

/** For whom an address is picked. */
export interface Claimant {
  readonly podUID: string;
  readonly ifName: string;
  /** Addresses whose claims already name this pod and interface: met before any other. */
  readonly own?: readonly Address[];
  /** Place in the pool to begin at, instead of the hash: ordinals of a StatefulSet that start first get neighbouring addresses. */
  readonly preferredIndex?: number;
}

/**
 * Picks the first free address from the hash of (pod UID, NIC, family) on, wrapping around; the claimant's own ones first.
 *
 * Two requests rarely race for one address, a retry meets its own claim first, and a released address is rarely met next:
 * a neighbour's stale ARP entry (RFC 826) rarely meets the next owner. `taken` holds what is known to be someone else's, so
 * own addresses stay out of it until they prove lost. Time is O(taken + intervals), whatever the size; nothing is changed.
 */
export function pickAddress(
  pool: PoolSnapshot,
  taken: ReadonlySet<bigint>,
  { podUID, ifName, own = [], preferredIndex }: Claimant,
): AddressPick {
  const { family, candidates } = pool;
  const kept = own.find((address) => isCandidate(pool, address) && !taken.has(address.value));
  if (kept) return { outcome: 'picked', address: kept };
  if (candidates.size > 0n) {
    const place = preferredIndex === undefined ? hash64(`${podUID}/${ifName}/${family}`) : BigInt(preferredIndex);
    const start = place % candidates.size;
    for (const value of valuesFrom(candidates, start)) {
      if (!taken.has(value)) return { outcome: 'picked', address: { family, value } };
    }
  }
  return { outcome: 'exhausted', capacity: candidates.size };
}

const isCandidate = (pool: PoolSnapshot, { family, value }: Address): boolean =>
  family === pool.family && contains(pool.candidates, value);
