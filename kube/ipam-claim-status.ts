import {
  allocatedCondition,
  allocationReasons,
  type IPAMClaimStatus,
  isAllocatedByUs,
  ownerOf,
} from '../contracts/ipam-claim.ts';
import type { ClaimRow } from './claim-feed.ts';

/**
 * The status that an IPAMClaim should have, by the claims of its addresses; what is published when that is right, or is not ours
 * to say. Conditions of others stay.
 *
 * @param nowText RFC 3339.
 */
export function ipamClaimStatus(
  claims: readonly ClaimRow[],
  published: IPAMClaimStatus | undefined,
  nowText: string,
): IPAMClaimStatus | undefined {
  const held = claims.filter(({ phase }) => phase === 'Bound' || phase === 'Held').toSorted(newestFirst);
  const ips = ([isIPv4, isIPv6] as const).flatMap((isOfFamily) => held.find(isOfFamily)?.address ?? []);
  if (ips.length === 0 && !isAllocatedByUs(published)) return published;
  const holder = held[0]?.holders.at(-1);
  const owner = holder === undefined ? '' : nameOf(holder.pod);
  const condition = ips.length > 0 ? claimed : released;
  const before = published?.conditions?.find(({ type }) => type === allocatedCondition);
  const isSame = ips.join() === published?.ips?.join() && owner === ownerOf(published);
  if (isSame && before?.reason === condition.reason && before.status === condition.status) return published;
  const lastTransitionTime = before?.status === condition.status ? before.lastTransitionTime : nowText;
  const others = (published?.conditions ?? []).filter(({ type }) => type !== allocatedCondition);
  const conditions = [...others, { ...condition, lastTransitionTime }];
  return { ips, ...(owner !== '' && { ownerPod: { name: owner } }), conditions };
}

const claimed = {
  type: allocatedCondition,
  status: 'True',
  reason: allocationReasons.claimed,
  message: 'The addresses are claimed, and kept until this IPAMClaim is deleted',
} as const;

const released = {
  type: allocatedCondition,
  status: 'False',
  reason: allocationReasons.released,
  message:
    'The addresses that it had are claimed no more; the next pod that names it gets others, or those of spec.ipRequests',
} as const;

/** What is Bound is in use; of two that are, the younger one. */
const newestFirst = (one: ClaimRow, other: ClaimRow): number =>
  Number(other.phase === 'Bound') - Number(one.phase === 'Bound') ||
  other.createdAtSeconds - one.createdAtSeconds ||
  (one.address < other.address ? -1 : 1);

const isIPv6 = ({ address }: ClaimRow): boolean => address.includes(':');
const isIPv4 = (row: ClaimRow): boolean => !isIPv6(row);

/** Of "namespace/name". */
const nameOf = (pod: string): string => pod.slice(pod.indexOf('/') + 1);
