import type { AddressSpaceSpec } from '../../contracts/crds/addressspace.ts';
import { parseCidr } from '../cidr.ts';
import { type Interval, type IntervalSet, intersect, intervalSet, isSameSet, subtract } from '../interval-set.ts';
import { formatRanges, parseRange } from '../range-grammar.ts';
import { asObject, asText, specOf } from './json-object.ts';
import { keepsSpec } from './lifecycle.ts';
import { readMetadata } from './metadata.ts';
import { isOverlapping } from './neighbours.ts';
import { readNetworkFields } from './network-fields.ts';

/**
 * What the `AddressSpace` object of a family holds: creations and edits that are being judged, or were admitted and may be in no
 * list yet. Not every pool: what exists is in the list of pools (decision 016). One entry is bounded (256 ranges), their number is not.
 */
export interface AddressSpace {
  readonly entries: readonly SpaceEntry[];
}

/** One creation or edit: `uid` and `generation` are those that the object will have, as the validating webhook sees them. */
export type SpaceEntry = AddressSpaceSpec['entries'][number];

/** uid → generation of every pool and SpiderSubnet in the newest list that this replica has read. */
export type SeenObjects = ReadonlyMap<string, number>;

export type Reservation =
  | { readonly outcome: 'reserved'; readonly space: AddressSpace }
  | { readonly outcome: 'denied'; readonly status: 409; readonly message: string };

/** Longer than a request can take in the API server (60 s) and in our webhook (10 s). */
export const entryLifetimeMs = 90_000;

/** The entry of a CREATE, or of an UPDATE with `old`; undefined when nobody has to know of it: no address changes, or none can be read. */
export function entryFor(object: unknown, old: unknown, now: number): SpaceEntry | undefined {
  const { kind, metadata } = asObject(object);
  const { uid, generation } = asObject(metadata);
  if ((kind !== 'SpiderIPPool' && kind !== 'SpiderSubnet') || keepsSpec(old, object)) return undefined;
  const { subnet, addresses } = readNetworkFields(specOf(object));
  if (!subnet || (old != null && isSameSet(readNetworkFields(specOf(old)).addresses, addresses))) return undefined;
  const kept = rounded(addresses);
  return {
    kind,
    name: readMetadata(object).name,
    uid: asText(uid),
    generation: typeof generation === 'number' ? generation : 1,
    subnet: asText(specOf(object)['subnet']),
    ranges: formatRanges(kept, subnet.address.family),
    ...(kept.size > addresses.size && { rounded: true }),
    since: now,
  };
}

/**
 * Adds an entry, unless another that is being decided stands in its way; entries that are over go. The answer holds once the space is
 * written on the condition that it is still the one that was read, before the list in which `seen` was found.
 */
export function reserve(space: AddressSpace, entry: SpaceEntry, seen: SeenObjects, now: number): Reservation {
  const { entries } = settle(
    { entries: space.entries.filter(({ since }) => Math.abs(now - since) < entryLifetimeMs) },
    seen,
  );
  const rival = entries.find((other) => isInTheWay(entry, other));
  if (!rival) return { outcome: 'reserved', space: { entries: [...entries, entry] } };
  const message =
    `Cannot give the addresses of spec.subnet "${entry.subnet}" to ${entry.kind} "${entry.name}": ${rival.kind} "${rival.name}" ` +
    `of ${rival.subnet}, which is being created or changed at this moment, is in the way: look at that one, or repeat this in 90 s`;
  return { outcome: 'denied', status: 409, message };
}

/** Without the entries of objects that a list shows. The same space when there is none. */
export function settle(space: AddressSpace, seen: SeenObjects): AddressSpace {
  const entries = space.entries.filter(({ uid, generation }) => (seen.get(uid) ?? 0) < generation);
  return entries.length === space.entries.length ? space : { entries };
}

const mostRanges = 256;

/** At most 256 intervals that cover all of the set. What they cover too much is kept from others until the object is seen. */
function rounded(set: IntervalSet): IntervalSet {
  const together = Math.ceil(set.intervals.length / mostRanges);
  if (together <= 1) return set;
  const covers: Interval[] = [];
  for (let at = 0; at < set.intervals.length; at += together) {
    const group = set.intervals.slice(at, at + together);
    const [first, last] = [group[0], group.at(-1)];
    if (first && last) covers.push({ first: first.first, last: last.last });
  }
  return intervalSet(covers);
}

/** Whether `entry` has to wait for `other`. Of one object, the API server decides: resourceVersion and name are its own. */
function isInTheWay(entry: SpaceEntry, other: SpaceEntry): boolean {
  if (entry.kind === other.kind && entry.name === other.name) return false;
  const [own, subnet] = [parseCidr(entry.subnet), parseCidr(other.subnet)];
  if (!own || !isOverlapping(own, subnet)) return false;
  if (entry.kind === other.kind) {
    const isOneSubnet = entry.kind === 'SpiderIPPool' && entry.subnet === other.subnet;
    return !isOneSubnet || intersect(rangesOf(entry), rangesOf(other)).size > 0n;
  }
  // A pool may lie inside a Subnet that does not manage it; a Subnet must not come to lie over such a pool.
  if (entry.subnet !== other.subnet) return entry.kind === 'SpiderSubnet';
  const [pool, whole] = entry.kind === 'SpiderIPPool' ? [entry, other] : [other, entry];
  return whole.rounded === true || subtract(rangesOf(pool), rangesOf(whole)).size > 0n;
}

const rangesOf = ({ ranges }: SpaceEntry): IntervalSet =>
  intervalSet(
    ranges.flatMap((text) => {
      const reading = parseRange(text);
      return reading.outcome === 'range' ? [reading.interval] : [];
    }),
  );
