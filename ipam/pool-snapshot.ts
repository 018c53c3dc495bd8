import type { ProbeConf } from '../contracts/probing.ts';
import { type Address, type Family, familyName, parseAddress } from './address.ts';
import { type AutomaticPool, readAutomaticPool } from './automatic-pool.ts';
import { type Cidr, cidrContains, intervalOf, networkOf, parseCidr } from './cidr.ts';
import { contains, type Interval, type IntervalSet, intervalSet, subtract } from './interval-set.ts';
import { type LabelSelector, readSelector, type SelectorObject } from './label-selector.ts';
import { detectionAnnotation, readPoolDetection } from './pool-detection.ts';
import type { Labels } from './pool-request.ts';
import { parseRange } from './range-grammar.ts';

/** What we read of a `SpiderIPPool`; the generated CR type fits by structure. */
export interface PoolObject {
  readonly metadata: {
    readonly name: string;
    readonly deletionTimestamp?: unknown;
    readonly labels?: Labels | undefined;
    readonly annotations?: Labels | undefined;
  };
  readonly spec: {
    readonly ipVersion?: number | undefined;
    readonly subnet: string;
    readonly ips?: readonly string[] | undefined;
    readonly excludeIPs?: readonly string[] | undefined;
    readonly gateway?: string | undefined;
    readonly routes?: readonly { readonly dst: string; readonly gw: string }[] | undefined;
    readonly default?: boolean | undefined;
    readonly disable?: boolean | undefined;
    readonly nodeName?: readonly string[] | undefined;
    readonly nodeAffinity?: SelectorObject | undefined;
    readonly namespaceName?: readonly string[] | undefined;
    readonly namespaceAffinity?: SelectorObject | undefined;
    readonly podAffinity?: SelectorObject | undefined;
    readonly multusName?: readonly string[] | undefined;
  };
}

type PoolAffinity = Pick<
  PoolSnapshot,
  'nodeName' | 'nodeAffinity' | 'namespaceName' | 'namespaceAffinity' | 'podAffinity' | 'multusName' | 'automatic'
>;

/** A pool as a value: everything that choosing an address needs, or why it cannot be used. */
export type Pool = PoolSnapshot | MalformedPool;

export interface PoolSnapshot {
  readonly name: string;
  readonly family: Family;
  readonly subnet: Cidr;
  readonly gateway?: Address;
  readonly routes: readonly PoolRoute[];
  /** What its annotation says of probes; absent: nothing. */
  readonly probes?: ProbeConf;
  /** `ips` less `excludeIPs`: what `status.totalIPCount` counts. */
  readonly total: bigint;
  /** What may be handed out: `total` less reserved addresses and the gateway. Its size is the pool's capacity. */
  readonly candidates: IntervalSet;
  readonly isDefault: boolean;
  readonly isDisabled: boolean;
  readonly isTerminating: boolean;
  /** Empty: every node. Not empty: it alone decides, whatever `nodeAffinity` says; likewise for namespaces. */
  readonly nodeName: readonly string[];
  readonly nodeAffinity?: LabelSelector;
  readonly namespaceName: readonly string[];
  readonly namespaceAffinity?: LabelSelector;
  /** Absent for an automatic pool: there `application` decides. */
  readonly podAffinity?: LabelSelector;
  /** As written: "namespace/name", or "name" in our own namespace. */
  readonly multusName: readonly string[];
  /** For which application, NIC and SpiderSubnet an automatic pool was made; absent for every other pool. */
  readonly automatic?: AutomaticPool;
}

export interface PoolRoute {
  /** Host bits are zero: the kernel takes no other destination. */
  readonly dst: Cidr;
  readonly gw: Address;
}

export interface MalformedPool {
  readonly name: string;
  /** Absent when not even `subnet` can be read. */
  readonly family?: Family;
  readonly isDefault: boolean;
  /** Every entry that is wrong, in one sentence. */
  readonly problem: string;
}

export const isMalformed = (pool: Pool): pool is MalformedPool => 'problem' in pool;

/** Whether the pool gives addresses at all: it can be read, and is neither disabled nor being deleted. */
export const isGiving = (pool: Pool): pool is PoolSnapshot =>
  !isMalformed(pool) && !pool.isDisabled && !pool.isTerminating;

/** Whether the pool would still give this address; asked again after a claim was written, before anything is configured. */
export const offers = (pool: Pool, { family, value }: Address): boolean =>
  isGiving(pool) && family === pool.family && contains(pool.candidates, value);

/** What no pool may give, per family. */
export type ReservedAddresses = Readonly<Record<Family, IntervalSet>>;

/**
 * Reads a pool by the rules of spec/ipam.md §1.1; `ipVersion` is derived from `subnet` when absent. One wrong entry makes the
 * whole pool malformed: a pool that gives fewer or other addresses than its text says would surprise later.
 */
export function readPool({ metadata, spec }: PoolObject, reserved: ReservedAddresses): Pool {
  const identity = { name: metadata.name, isDefault: spec.default === true };
  const subnet = parseCidr(spec.subnet);
  if (!subnet) return { ...identity, problem: `spec.subnet "${spec.subnet}" is not a CIDR` };

  const { family } = subnet.address;
  const problems: string[] = [];
  if (networkOf(subnet).address.value !== subnet.address.value)
    problems.push(`spec.subnet "${spec.subnet}" has host bits set`);
  if (spec.ipVersion !== undefined && spec.ipVersion !== family) {
    problems.push(`spec.ipVersion ${spec.ipVersion} contradicts spec.subnet "${spec.subnet}"`);
  }
  const ips = readRanges('spec.ips', spec.ips, subnet, problems);
  const excluded = readRanges('spec.excludeIPs', spec.excludeIPs, subnet, problems);
  const gateway = readGateway(spec.gateway, subnet, problems);
  const routes = readRoutes(spec.routes, subnet, problems);
  const detection = readPoolDetection(metadata.annotations ?? {});
  for (const { what, allowed } of detection.problems) {
    problems.push(`annotation ${detectionAnnotation} ${what}, allowed: ${allowed}`);
  }
  if (problems.length > 0) return { ...identity, family, problem: problems.join('; ') };

  const configured = subtract(ips, excluded);
  const gatewayItself = intervalSet(gateway ? [{ first: gateway.value, last: gateway.value }] : []);
  return {
    ...identity,
    family,
    subnet,
    ...(gateway && { gateway }),
    routes,
    ...(detection.probes && { probes: detection.probes }),
    total: configured.size,
    candidates: subtract(subtract(configured, reserved[family]), gatewayItself),
    isDisabled: spec.disable === true,
    isTerminating: metadata.deletionTimestamp != null,
    ...readAffinity(metadata.labels ?? {}, spec),
  };
}

function readAffinity(labels: Labels, spec: PoolObject['spec']): PoolAffinity {
  const automatic = readAutomaticPool(labels, spec.podAffinity?.matchLabels ?? {});
  return {
    nodeName: spec.nodeName ?? [],
    ...(spec.nodeAffinity && { nodeAffinity: readSelector(spec.nodeAffinity) }),
    namespaceName: spec.namespaceName ?? [],
    ...(spec.namespaceAffinity && { namespaceAffinity: readSelector(spec.namespaceAffinity) }),
    ...(spec.podAffinity && !automatic && { podAffinity: readSelector(spec.podAffinity) }),
    multusName: spec.multusName ?? [],
    ...(automatic && { automatic }),
  };
}

function readRanges(field: string, entries: readonly string[] = [], subnet: Cidr, problems: string[]): IntervalSet {
  const bounds = intervalOf(subnet);
  const intervals: Interval[] = [];
  for (const entry of entries) {
    const reading = parseRange(entry);
    if (reading.outcome === 'invalid') {
      problems.push(`${field}: ${reading.problem}`);
    } else if (
      reading.family !== subnet.address.family ||
      reading.interval.first < bounds.first ||
      reading.interval.last > bounds.last
    ) {
      problems.push(`${field}: "${entry}" is not inside spec.subnet`);
    } else {
      intervals.push(reading.interval);
    }
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

function readRoutes(
  entries: PoolObject['spec']['routes'] = [],
  subnet: Cidr,
  problems: string[],
): readonly PoolRoute[] {
  const { family } = subnet.address;
  const routes: PoolRoute[] = [];
  for (const entry of entries) {
    const [dst, gw] = [parseCidr(entry.dst), parseAddress(entry.gw)];
    if (dst?.address.family !== family) {
      problems.push(`spec.routes: dst "${entry.dst}" is not an ${familyName(family)} CIDR`);
    } else if (dst.prefixLength === 0) {
      problems.push(`spec.routes: dst "${entry.dst}" is the default route, which is spec.gateway's`);
    } else if (!gw || !cidrContains(subnet, gw)) {
      problems.push(`spec.routes: gw "${entry.gw}" is not an address of spec.subnet`);
    } else {
      routes.push({ dst: networkOf(dst), gw });
    }
  }
  return routes;
}
