import { type Address, type Family, familyName, parseAddress } from './address.ts';
import { type Cidr, cidrContains, intervalOf, networkOf, parseCidr } from './cidr.ts';
import { type Interval, type IntervalSet, intervalSet, subtract } from './interval-set.ts';
import { parseRange } from './range-grammar.ts';

/** What we read of a `SpiderIPPool`; the generated CR type fits by structure. */
export interface PoolObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: unknown };
  readonly spec: {
    readonly ipVersion?: number | undefined;
    readonly subnet: string;
    readonly ips?: readonly string[] | undefined;
    readonly excludeIPs?: readonly string[] | undefined;
    readonly gateway?: string | undefined;
    readonly routes?: readonly { readonly dst: string; readonly gw: string }[] | undefined;
    readonly default?: boolean | undefined;
    readonly disable?: boolean | undefined;
  };
}

/** A pool as a value: either everything that choosing an address needs, or why it cannot be used. */
export type Pool = PoolSnapshot | MalformedPool;

interface PoolStanding {
  readonly name: string;
  readonly isDefault: boolean;
  readonly isDisabled: boolean;
  readonly isTerminating: boolean;
}

export interface PoolSnapshot extends PoolStanding {
  readonly family: Family;
  readonly subnet: Cidr;
  readonly gateway?: Address;
  readonly routes: readonly PoolRoute[];
  /** `ips` less `excludeIPs`: what `status.totalIPCount` counts. */
  readonly total: bigint;
  /** What may be handed out: `ips` less `excludeIPs`, reserved addresses and the gateway. Its size is the pool's capacity. */
  readonly candidates: IntervalSet;
}

export interface MalformedPool extends PoolStanding {
  /** Absent when not even `subnet` can be read. */
  readonly family?: Family;
  /** Every entry that is wrong, in one sentence. */
  readonly problem: string;
}

export interface PoolRoute {
  readonly dst: Cidr;
  readonly gw: Address;
}

/**
 * Reads a pool. `reserved` holds the reserved addresses of the family that is asked for. Format rules: spec/ipam.md §1.1;
 * `ipVersion` is derived from `subnet` when absent.
 */
export function readPool(object: PoolObject, reserved: (family: Family) => IntervalSet): Pool {
  const { spec } = object;
  const standing: PoolStanding = {
    name: object.metadata.name,
    isDefault: spec.default === true,
    isDisabled: spec.disable === true,
    isTerminating: object.metadata.deletionTimestamp != null,
  };
  const subnet = parseCidr(spec.subnet);
  if (!subnet) return { ...standing, problem: `spec.subnet "${spec.subnet}" is not a CIDR` };

  const { family } = subnet.address;
  const problems: string[] = [];
  if (networkOf(subnet).address.value !== subnet.address.value) problems.push(`spec.subnet "${spec.subnet}" has host bits set`);
  if (spec.ipVersion !== undefined && spec.ipVersion !== family) {
    problems.push(`spec.ipVersion ${spec.ipVersion} contradicts spec.subnet "${spec.subnet}"`);
  }
  const ips = readRanges('spec.ips', spec.ips, subnet, problems);
  const excluded = readRanges('spec.excludeIPs', spec.excludeIPs, subnet, problems);
  const gateway = readGateway(spec.gateway, subnet, problems);
  const routes = readRoutes(spec.routes, subnet, problems);
  if (problems.length > 0) return { ...standing, family, problem: problems.join('; ') };

  const configured = subtract(ips, excluded);
  const neverGiven = gateway ? [single(gateway)] : [];
  return {
    ...standing,
    family,
    subnet,
    ...(gateway && { gateway }),
    routes,
    total: configured.size,
    candidates: subtract(subtract(configured, reserved(family)), intervalSet(neverGiven)),
  };
}

function readRanges(field: string, entries: readonly string[] = [], subnet: Cidr, problems: string[]): IntervalSet {
  const { first, last } = intervalOf(subnet);
  const intervals: Interval[] = [];
  for (const entry of entries) {
    const reading = parseRange(entry);
    if (reading.outcome === 'invalid') problems.push(`${field}: ${reading.problem}`);
    else if (reading.family !== subnet.address.family || reading.interval.first < first || reading.interval.last > last) {
      problems.push(`${field}: "${entry}" is outside spec.subnet`);
    } else intervals.push(reading.interval);
  }
  return intervalSet(intervals);
}

function readGateway(text: string | undefined, subnet: Cidr, problems: string[]): Address | undefined {
  if (text === undefined) return undefined;
  const gateway = parseAddress(text);
  if (gateway && cidrContains(subnet, gateway)) return gateway;
  problems.push(`spec.gateway "${text}" is not an address of spec.subnet`);
  return undefined;
}

function readRoutes(routes: PoolObject['spec']['routes'] = [], subnet: Cidr, problems: string[]): readonly PoolRoute[] {
  const { family } = subnet.address;
  return routes.flatMap((route) => {
    const [dst, gw] = [parseCidr(route.dst), parseAddress(route.gw)];
    const problem = !dst
      ? `dst "${route.dst}" is not a CIDR`
      : dst.address.family !== family
        ? `dst "${route.dst}" is not ${familyName(family)}`
        : dst.prefixLength === 0
          ? `dst "${route.dst}" is the default route: set spec.gateway instead`
          : !gw || !cidrContains(subnet, gw)
            ? `gw "${route.gw}" is not an address of spec.subnet`
            : undefined;
    if (problem !== undefined) problems.push(`spec.routes: ${problem}`);
    return dst && gw ? [{ dst: networkOf(dst), gw }] : [];
  });
}

const single = ({ value }: Address): Interval => ({ first: value, last: value });
