import { type Cidr, formatCidr, intervalOf, parseCidr } from '../cidr.ts';
import { type IntervalSet, intersect } from '../interval-set.ts';
import { asText, specOf } from './json-object.ts';
import { readNetworkFields } from './network-fields.ts';

/** A pool or a SpiderSubnet of a list. It may be malformed where this webhook was not asked. */
interface Neighbour {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly subnet: string };
}

/** Those whose subnet overlaps with this one and is not the same. */
export function overlapping<Other extends Neighbour>(
  name: string,
  subnet: Cidr,
  others: readonly Other[],
): readonly Other[] {
  const own = formatCidr(subnet);
  const known = new Map<string, boolean>([[own, false]]); // pools are many, subnets few
  return others.filter((other) => {
    const text = asText(specOf(other)['subnet']);
    const overlaps = known.get(text) ?? isOverlapping(subnet, parseCidr(text));
    known.set(text, overlaps);
    return overlaps && other.metadata.name !== name;
  });
}

export function isOverlapping(a: Cidr, b: Cidr | undefined): boolean {
  if (b?.address.family !== a.address.family) return false;
  const [left, right] = [intervalOf(a), intervalOf(b)];
  return left.first <= right.last && right.first <= left.last;
}

/** Pools of the same subnet that give some of these addresses. */
export function sharedAddresses(
  name: string,
  subnet: Cidr,
  addresses: IntervalSet,
  pools: readonly Neighbour[],
): readonly { readonly pool: string; readonly shared: IntervalSet }[] {
  const own = formatCidr(subnet);
  if (addresses.size === 0n) return [];
  return pools.flatMap((pool) => {
    const spec = specOf(pool);
    if (spec['subnet'] !== own || pool.metadata.name === name) return [];
    const shared = intersect(addresses, addressesOf(spec));
    return shared.size === 0n ? [] : [{ pool: pool.metadata.name, shared }];
  });
}

/** Of the `spec` of pools as a list gave them: all requests of a round are judged by one list. */
const addressesBySpec = new WeakMap<object, IntervalSet>();

function addressesOf(spec: ReturnType<typeof specOf>): IntervalSet {
  const found = addressesBySpec.get(spec) ?? readNetworkFields(spec).addresses;
  addressesBySpec.set(spec, found);
  return found;
}
