import type { Failure } from '../contracts/failures.ts';
import type { AddressWish } from '../contracts/pod-network.ts';
import { type Address, familyName, formatAddress, parseAddress } from './address.ts';
import { cidrContains, formatCidr, parseCidr } from './cidr.ts';
import { contains, intervalSet } from './interval-set.ts';
import type { PoolSnapshot, ReservedAddresses } from './pool-snapshot.ts';
import type { FamilyCandidates } from './select-pools.ts';
import { shownValue } from './shown-value.ts';
import { listSkipped } from './skipped-pool.ts';

/** An exact address: its interface gets this one of its family, or none. */
export interface WantedAddress {
  readonly address: Address;
  /** Asked along; that of the pool has to be the same. */
  readonly prefixLength?: number;
  /** Who asks, as a message names it. */
  readonly source: string;
}

export type WishReading =
  | { readonly outcome: 'wanted' /** At most one of each family. */; readonly wanted: readonly WantedAddress[] }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** Brings together what several sources ask for: nobody comes first, so those that differ are refused. */
export function readWishes(wishes: readonly AddressWish[]): WishReading {
  const wanted: WantedAddress[] = [];
  for (const { source, ips } of wishes) {
    for (const text of ips) {
      const wish = readWish(source, text);
      if (wish === undefined) return refused(`${source} asks for "${shownValue(text)}", which is no address`, allowed);
      const at = wanted.findIndex(({ address }) => address.family === wish.address.family);
      const other = wanted[at];
      if (other === undefined) wanted.push(wish);
      else if (!agree(other, wish)) return refused(contradiction(other, wish), 'Ask for one of them, or for none');
      else if (other.prefixLength === undefined) wanted[at] = wish;
    }
  }
  return { outcome: 'wanted', wanted };
}

/** `wanted`: no other address of this family will do, and `pools` have no other. */
export interface WantedCandidates extends FamilyCandidates {
  readonly wanted?: WantedAddress;
}

export type Narrowing =
  | { readonly outcome: 'narrowed'; readonly families: readonly WantedCandidates[] }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/**
 * Leaves of a family with a wanted address the pools that may give it, each with nothing else to give; other families stay as
 * they are. Refused with the reason of each pool when none may, and for a family that the pod gets no address of.
 *
 * @param source What named the pools, as a message names it.
 */
export function narrowTo(
  wanted: readonly WantedAddress[],
  families: readonly FamilyCandidates[],
  reserved: ReservedAddresses,
  source: string,
): Narrowing {
  const notAsked = wanted.find(({ address }) => !families.some(({ family }) => family === address.family));
  if (notAsked !== undefined) {
    const family = familyName(notAsked.address.family);
    return notOffered(notAsked, `the pod gets no ${family} address, by ${source}`, `Name an ${family} pool there`);
  }
  const narrowed: WantedCandidates[] = [];
  for (const candidates of families) {
    const wish = wanted.find(({ address }) => address.family === candidates.family);
    if (wish === undefined) {
      narrowed.push(candidates);
      continue;
    }
    const looks = candidates.pools.map((pool) => ({ pool, objection: objectionOf(pool, wish, reserved) }));
    const pools = looks.filter(({ objection }) => objection === undefined).map(({ pool }) => only(pool, wish));
    if (pools.length === 0) {
      const reasons = looks.map(({ pool: { name }, objection: reason = '' }) => ({ name, reason }));
      const why = listSkipped([...reasons, ...candidates.skipped]);
      return notOffered(wish, why, `Ask for an address of one of these pools, or name its pool in ${source}`);
    }
    narrowed.push({ ...candidates, pools, wanted: wish });
  }
  return { outcome: 'narrowed', families: narrowed };
}

/** Somebody else has it. */
export const addressTaken = ({ address, source }: WantedAddress, by: string): Failure => ({
  type: 'AddressTaken',
  message: `Cannot claim ${formatAddress(address)}, which ${source} asks for: ${by}`,
  remedy: `Ask for another address, or see what it is used for: orb ip ${formatAddress(address)}`,
});

const allowed = 'Write each as an address, with or without its prefix length: "10.70.8.20" or "10.70.8.20/22"';

function readWish(source: string, text: string): WantedAddress | undefined {
  const cidr = parseCidr(text);
  const address = cidr?.address ?? parseAddress(text);
  return address && { address, ...(cidr && { prefixLength: cidr.prefixLength }), source };
}

const agree = (one: WantedAddress, other: WantedAddress): boolean =>
  one.address.value === other.address.value &&
  (one.prefixLength === undefined || other.prefixLength === undefined || one.prefixLength === other.prefixLength);

const contradiction = (one: WantedAddress, other: WantedAddress): string =>
  one.source === other.source
    ? `${one.source} asks for ${shown(one)} and ${shown(other)}: an interface gets one ${familyName(one.address.family)} address`
    : `${one.source} asks for ${shown(one)} and ${other.source} for ${shown(other)}`;

const shown = ({ address, prefixLength }: WantedAddress): string =>
  prefixLength === undefined ? formatAddress(address) : formatCidr({ address, prefixLength });

/** Why the pool may not give this address, as the rest of a sentence that begins with its name. */
function objectionOf(
  { subnet, gateway, candidates }: PoolSnapshot,
  { address, prefixLength }: WantedAddress,
  reserved: ReservedAddresses,
): string | undefined {
  if (!cidrContains(subnet, address)) return `is ${formatCidr(subnet)}`;
  if (prefixLength !== undefined && prefixLength !== subnet.prefixLength) {
    return `has prefix length ${subnet.prefixLength}, and ${prefixLength} is asked`;
  }
  if (contains(candidates, address.value)) return undefined;
  if (contains(reserved[address.family], address.value)) return 'may not give it: a SpiderReservedIP has it';
  if (gateway?.value === address.value) return 'may not give it: it is its gateway';
  return 'may not give it: it is not in spec.ips, or in spec.excludeIPs';
}

const only = (pool: PoolSnapshot, { address: { value } }: WantedAddress): PoolSnapshot => ({
  ...pool,
  candidates: intervalSet([{ first: value, last: value }]),
});

const refused = (message: string, remedy: string): WishReading => ({
  outcome: 'refused',
  failure: { type: 'InvalidConfig', message: `Cannot tell which address is wanted: ${message}`, remedy },
});

const notOffered = (
  { address, source }: WantedAddress,
  why: string,
  remedy: string,
): { readonly outcome: 'refused'; readonly failure: Failure } => ({
  outcome: 'refused',
  failure: {
    type: 'AddressNotOffered',
    message: `Cannot claim ${formatAddress(address)}, which ${source} asks for: ${why}`,
    remedy,
  },
});
