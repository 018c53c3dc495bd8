import { type Family, familyName, formatAddress, parseAddress } from '../address.ts';
import { type Cidr, cidrContains, formatCidr, intervalOf, networkOf, parseCidr } from '../cidr.ts';
import { contains, type Interval, type IntervalSet, intervalSet, subtract } from '../interval-set.ts';
import { asObject, asText, type JsonObject } from './json-object.ts';
import { invalid, type Problem } from './problem.ts';
import { readRangeList } from './range-list.ts';

/** What a pool and a SpiderSubnet have in common: `subnet`, `ips`, `excludeIPs`, `gateway`, `routes`, and all that is wrong with them. */
export interface NetworkFields {
  /** Host bits are zero. Absent when it cannot be read; then nothing is inside it. */
  readonly subnet?: Cidr;
  readonly ips: IntervalSet;
  readonly excluded: IntervalSet;
  /** `ips` less `excludeIPs`. */
  readonly addresses: IntervalSet;
  readonly problems: readonly Problem[];
}

/** Reads the fields of a spec; never throws. Entries that are wrong are problems and left out of the sets. */
export function readNetworkFields(spec: JsonObject, enabled: readonly Family[] = [4, 6]): NetworkFields {
  const problems: Problem[] = [];
  const subnet = readSubnet(spec['subnet'], enabled, problems);
  checkVersion(spec['ipVersion'], subnet, problems);
  const ips = readAddresses('spec.ips', spec['ips'], subnet, problems);
  const excluded = readAddresses('spec.excludeIPs', spec['excludeIPs'], subnet, problems);
  const addresses = subtract(ips, excluded);
  checkGateway(spec['gateway'], subnet, addresses, problems);
  checkRoutes(spec['routes'], subnet, problems);
  return { ...(subnet && { subnet }), ips, excluded, addresses, problems };
}

function readSubnet(value: unknown, enabled: readonly Family[], problems: Problem[]): Cidr | undefined {
  const found = parseCidr(asText(value));
  if (!found) {
    const what = value == null ? 'is missing' : 'is not a CIDR';
    problems.push(invalid('spec.subnet', value, what, 'write network/prefix length, such as "10.70.8.0/22"'));
    return undefined;
  }
  const subnet = networkOf(found);
  const canonical = formatCidr(subnet);
  const { family } = subnet.address;
  if (subnet.address.value !== found.address.value) {
    problems.push(invalid('spec.subnet', value, 'has host bits set', `write "${canonical}"`));
  } else if (value !== canonical) {
    problems.push(invalid('spec.subnet', value, 'is not in canonical form', `write "${canonical}"`));
  }
  if (!enabled.includes(family)) {
    const remedy = `use a subnet of the other family, or set ORBWEAVER_ENABLE_IPV${family}=true`;
    problems.push(invalid('spec.subnet', value, `is ${familyName(family)}, which is off in this cluster`, remedy));
  }
  return subnet;
}

function checkVersion(value: unknown, subnet: Cidr | undefined, problems: Problem[]): void {
  if (value == null) return;
  if (value !== 4 && value !== 6) {
    problems.push(invalid('spec.ipVersion', value, 'is no IP version', 'write 4 or 6, or leave it out'));
  } else if (subnet && value !== subnet.address.family) {
    const what = `contradicts spec.subnet "${formatCidr(subnet)}"`;
    problems.push(invalid('spec.ipVersion', value, what, 'leave it out: it is derived from the subnet'));
  }
}

function readAddresses(field: string, value: unknown, subnet: Cidr | undefined, problems: Problem[]): IntervalSet {
  const entries = readRangeList(field, value, problems);
  if (!subnet) return intervalSet([]);
  const { family } = subnet.address;
  const bounds = intervalOf(subnet);
  const inside: Interval[] = [];
  for (const { at, text, family: found, interval } of entries) {
    if (found === family && bounds.first <= interval.first && interval.last <= bounds.last) inside.push(interval);
    else
      problems.push(
        invalid(`${field}[${at}]`, text, `is not inside spec.subnet "${formatCidr(subnet)}"`, within(subnet)),
      );
  }
  return intervalSet(inside);
}

function checkGateway(value: unknown, subnet: Cidr | undefined, addresses: IntervalSet, problems: Problem[]): void {
  if (value == null) return;
  const gateway = parseAddress(asText(value));
  if (!gateway) {
    problems.push(invalid('spec.gateway', value, 'is not an address', 'write one address, without prefix length'));
  } else if (subnet && !cidrContains(subnet, gateway)) {
    problems.push(invalid('spec.gateway', value, `is not inside spec.subnet "${formatCidr(subnet)}"`, within(subnet)));
  } else if (subnet && contains(addresses, gateway.value)) {
    const remedy = 'take it out of spec.ips, or add it to spec.excludeIPs';
    problems.push(invalid('spec.gateway', value, 'is one of spec.ips, so a pod could get it', remedy));
  }
}

function checkRoutes(value: unknown, subnet: Cidr | undefined, problems: Problem[]): void {
  if (value == null) return;
  if (!Array.isArray(value)) {
    problems.push(invalid('spec.routes', value, 'is not a list', 'write a list of {dst, gw}'));
    return;
  }
  const seen = new Set<string>();
  for (const [at, entry] of (value as readonly unknown[]).entries()) {
    const route = asObject(entry);
    checkDestination(`spec.routes[${at}].dst`, route['dst'], subnet, seen, problems);
    const gw = route['gw'];
    const hop = parseAddress(asText(gw));
    const field = `spec.routes[${at}].gw`;
    if (!hop) {
      const what = gw == null ? 'is missing' : 'is not an address';
      problems.push(invalid(field, gw, what, 'write the next hop, an address inside spec.subnet'));
    } else if (subnet && !cidrContains(subnet, hop)) {
      problems.push(invalid(field, gw, `is not inside spec.subnet "${formatCidr(subnet)}"`, within(subnet)));
    }
  }
}

/** @param seen Destinations so far, of which none may come twice: the kernel would refuse the second, and with it the pod. */
function checkDestination(
  field: string,
  value: unknown,
  subnet: Cidr | undefined,
  seen: Set<string>,
  problems: Problem[],
): void {
  const found = parseCidr(asText(value));
  if (!found) {
    const what = value == null ? 'is missing' : 'is not a CIDR';
    problems.push(invalid(field, value, what, 'write network/prefix length, such as "10.64.0.0/10"'));
    return;
  }
  const dst = networkOf(found);
  const { family } = dst.address;
  if (subnet && family !== subnet.address.family) {
    const what = `is ${familyName(family)} and spec.subnet is ${familyName(subnet.address.family)}`;
    problems.push(invalid(field, value, what, `move the route to a pool that is ${familyName(family)}`));
  } else if (dst.prefixLength === 0) {
    problems.push(invalid(field, value, 'is the default route', 'name its next hop in spec.gateway instead'));
  } else if (seen.has(formatCidr(dst))) {
    problems.push(invalid(field, value, 'is the destination of an earlier route too', 'keep one of them'));
  }
  seen.add(formatCidr(dst));
}

function within(subnet: Cidr): string {
  const { family } = subnet.address;
  const { first, last } = intervalOf(subnet);
  return `choose from ${formatAddress({ family, value: first })} to ${formatAddress({ family, value: last })}`;
}
