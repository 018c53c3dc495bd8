import { type Address, addressBits, type Family, familyName, parseAddress } from '../address.ts';
import { type Cidr, formatCidr, networkOf, parseCidr } from '../cidr.ts';
import { asObject, asText, type JsonObject, specOf } from './json-object.ts';
import { judgeTerminating, keepsSpec } from './lifecycle.ts';
import { readMetadata } from './metadata.ts';
import { invalid, type Problem, sentence, verdictOf } from './problem.ts';
import type { Mutation, Verdict } from './verdict.ts';

/** Brings the CIDRs of a SpiderCoordinator into canonical form. Its defaults are in the CRD, and it has no finalizer. */
export function mutateCoordinator(object: unknown, old: unknown): Mutation {
  if (readMetadata(old ?? object).isTerminating) return { outcome: 'mutated', object: asObject(object) };
  const { problems, completed } = readCoordinator(specOf(object));
  const verdict = verdictOf(actionOn(object, old), keepsSpec(old, object) ? [] : problems);
  if (verdict.outcome === 'denied') return verdict;
  if (problems.length > 0) return { outcome: 'mutated', object: asObject(object) };
  return { outcome: 'mutated', object: { ...asObject(object), spec: { ...specOf(object), ...completed } } };
}

/** Judges a new SpiderCoordinator (spec/connectivity.md §1.3, §5.1). */
export const validateCoordinatorCreate = (object: unknown): Verdict =>
  verdictOf(actionOn(object, undefined), readCoordinator(specOf(object)).problems, warningsOf(specOf(object)));

/** Judges an edit (spec/connectivity.md §1.3, §5.1). Pods that run keep what they got. */
export function validateCoordinatorUpdate(old: unknown, next: unknown): Verdict {
  const action = actionOn(next, old);
  if (readMetadata(old).isTerminating) return judgeTerminating(action, old, next);
  if (keepsSpec(old, next)) return { outcome: 'allowed', warnings: [] };
  return verdictOf(action, readCoordinator(specOf(next)).problems, warningsOf(specOf(next)));
}

const actionOn = (object: unknown, old: unknown): string =>
  `${old == null ? 'create' : 'change'} SpiderCoordinator "${readMetadata(object).name}"`;

/** Everything that is wrong with a spec, and its lists as they are stored when nothing is. */
function readCoordinator(spec: JsonObject): { readonly problems: readonly Problem[]; readonly completed: JsonObject } {
  const problems: Problem[] = [];
  const choices = ['mode', 'podCIDRType'] as const;
  for (const field of choices) checkChoice(field, spec[field], problems);
  if (spec['podCIDRType'] == null && spec['overlayPodCIDR'] == null) {
    const remedy = `write ${allowed.podCIDRType.join(', ')}, or the CIDRs themselves into spec.overlayPodCIDR`;
    problems.push(invalid('spec.podCIDRType', undefined, 'is missing', remedy));
  }
  const lists = (['overlayPodCIDR', 'serviceCIDR', 'hijackCIDR'] as const).flatMap((field) => {
    const list = readCidrs(`spec.${field}`, spec[field], problems);
    return list === undefined ? [] : [[field, list] as const];
  });
  const policyRoutes = readPolicyRoutes(spec['policyRoutes'], problems);
  checkNames(spec, problems);
  checkMacPrefix(spec['podMACPrefix'], problems);
  const veth = spec['vethLinkAddress'];
  if (isGiven(veth) && parseAddress(asText(veth))?.family !== 4) {
    // A link has an IPv6 address of its own at each end.
    problems.push(invalid('spec.vethLinkAddress', veth, 'is not an IPv4 address', 'write one such as "169.254.200.1"'));
  }
  for (const [field, bounds] of Object.entries(integers)) checkInteger(field, spec[field], bounds, problems);
  return { problems, completed: { ...Object.fromEntries(lists), ...(policyRoutes && { policyRoutes }) } };
}

/** Absent, null, or the empty text that stands for it. */
const isGiven = (value: unknown): boolean => value != null && value !== '';

const allowed = {
  mode: ['auto', 'underlay', 'overlay', 'disabled'],
  podCIDRType: ['auto', 'cluster', 'calico', 'cilium', 'none'],
} as const;

function checkChoice(field: keyof typeof allowed, value: unknown, problems: Problem[]): void {
  const values: readonly unknown[] = allowed[field];
  if (value == null || values.includes(value)) return;
  // The plugin's own word for it (spec/connectivity.md §1.3).
  const remedy = value === 'disable' ? 'write "disabled"' : `write one of ${values.join(', ')}`;
  problems.push(invalid(`spec.${field}`, value, 'is none of its values', remedy));
}

/** CIDRs in canonical form; undefined where there is no list. An address is the CIDR that holds it alone. */
function readCidrs(field: string, value: unknown, problems: Problem[]): readonly string[] | undefined {
  if (value == null) return undefined;
  if (!Array.isArray(value)) {
    problems.push(invalid(field, value, 'is not a list', 'write a list of CIDRs'));
    return undefined;
  }
  const cidrs = new Set<string>();
  for (const [at, entry] of (value as readonly unknown[]).entries()) {
    const cidr = readCidr(entry);
    if (!cidr) {
      problems.push(invalid(`${field}[${at}]`, entry ?? 'null', 'is neither a CIDR nor an address', cidrExample));
    } else if (cidr.prefixLength === 0) {
      const remedy = 'name the interface of the default route in spec.podDefaultRouteNIC instead';
      problems.push(invalid(`${field}[${at}]`, entry, 'is everything', remedy));
    } else {
      cidrs.add(formatCidr(cidr));
    }
  }
  return [...cidrs];
}

const cidrExample = 'write one such as "10.64.0.0/10" or "fd00:64::/48"';

function readCidr(value: unknown): Cidr | undefined {
  const cidr = parseCidr(asText(value));
  if (cidr) return networkOf(cidr);
  const address = parseAddress(asText(value));
  return address && { address, prefixLength: addressBits[address.family] };
}

interface PolicyRoute {
  readonly dst: string;
  readonly gw: unknown;
}

function readPolicyRoutes(value: unknown, problems: Problem[]): readonly PolicyRoute[] | undefined {
  if (value == null) return undefined;
  if (!Array.isArray(value)) {
    problems.push(invalid('spec.policyRoutes', value, 'is not a list', 'write a list of {dst, gw}'));
    return undefined;
  }
  const routes = new Map<string, PolicyRoute>();
  for (const [at, entry] of (value as readonly unknown[]).entries()) {
    const { dst, gw } = asObject(entry);
    const field = `spec.policyRoutes[${at}]`;
    const cidr = readCidr(dst);
    const hop = parseAddress(asText(gw));
    if (!cidr) {
      const what = dst == null ? 'is missing' : 'is neither a CIDR nor an address';
      problems.push(invalid(`${field}.dst`, dst, what, cidrExample));
    }
    if (!hop) {
      const what = gw == null ? 'is missing' : 'is not an address';
      problems.push(invalid(`${field}.gw`, gw, what, 'write the next hop, such as "10.70.8.1"'));
    }
    if (!cidr || !hop) continue;
    const destination = formatCidr(cidr);
    if (cidr.prefixLength === 0) {
      const remedy = 'name its next hop in spec.gateway of the pool instead';
      problems.push(invalid(`${field}.dst`, dst, 'is the default route', remedy));
    } else if (!isOneFamily(cidr, hop)) {
      problems.push(invalid(`${field}.gw`, gw, ...otherFamily(cidr.address.family, hop.family)));
    } else if (routes.has(destination)) {
      const what = 'is the destination of an earlier route too';
      problems.push(invalid(`${field}.dst`, dst, what, 'keep one of them'));
    }
    routes.set(destination, { dst: destination, gw });
  }
  return [...routes.values()];
}

const isOneFamily = (cidr: Cidr, hop: Address): boolean => cidr.address.family === hop.family;

const otherFamily = (dst: Family, gw: Family): [what: string, remedy: string] => [
  `is ${familyName(gw)} and dst is ${familyName(dst)}`,
  `write a next hop that is ${familyName(dst)}`,
];

/** As the kernel names links (include/uapi/linux/if.h: IFNAMSIZ is 16, with its end; net/core/dev.c, dev_valid_name). */
function checkNames(spec: JsonObject, problems: Problem[]): void {
  for (const field of ['podDefaultRouteNIC', 'podDefaultCniNic']) {
    const value = spec[field];
    if (!isGiven(value) || /^(?!\.{1,2}$)[^/:\s]{1,15}$/.test(asText(value))) continue;
    const remedy = 'write 1 to 15 characters without "/", ":" and blanks, such as "net1"';
    problems.push(invalid(`spec.${field}`, value, 'can be no name of an interface', remedy));
  }
}

function checkMacPrefix(value: unknown, problems: Problem[]): void {
  if (!isGiven(value)) return;
  const [, first] = /^([0-9a-f]{2}):[0-9a-f]{2}$/i.exec(asText(value)) ?? [];
  if (first === undefined) {
    const remedy = 'write one such as "0a:1b"';
    problems.push(invalid('spec.podMACPrefix', value, 'is not two bytes as hexadecimal digits with a colon', remedy));
  } else if (Number.parseInt(first, 16) % 2 === 1) {
    // IEEE 802: the lowest bit of the first byte says that it is a group's.
    const even = (Number.parseInt(first, 16) - 1).toString(16).padStart(2, '0');
    const remedy = `make its first byte even, such as "${even}"`;
    problems.push(invalid('spec.podMACPrefix', value, 'begins multicast addresses, which no interface has', remedy));
  }
}

interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly remedy: string;
  readonly isTaken?: (value: number) => boolean;
}

const integers: Readonly<Record<string, Bounds>> = {
  vethMTU: { least: 68, most: 65_535, remedy: 'write 68 to 65535, such as 1500' },
  txQueueLen: { least: 0, most: 2 ** 31 - 1, remedy: 'write a number of packets, or 0 to leave it alone' },
  hostRuleTable: {
    least: 1,
    most: 2 ** 32 - 1,
    remedy: 'write a number from 1 that is not 253, 254 or 255, such as 500',
    // default, main and local (include/uapi/linux/rtnetlink.h): the node's own
    isTaken: (table) => table >= 253 && table <= 255,
  },
  podRPFilter: {
    least: Number.MIN_SAFE_INTEGER,
    most: 2,
    remedy: 'write 0, 1 or 2, or a negative number to leave it alone',
  },
};

function checkInteger(field: string, value: unknown, bounds: Bounds, problems: Problem[]): void {
  if (value == null) return;
  const isRight = Number.isSafeInteger(value) && (value as number) >= bounds.least && (value as number) <= bounds.most;
  if (!isRight) problems.push(invalid(`spec.${field}`, value, 'is out of range', bounds.remedy));
  else if (bounds.isTaken?.(value as number) === true) {
    problems.push(invalid(`spec.${field}`, value, "is one of the node's own tables", bounds.remedy));
  }
}

/** Wishes of earlier versions that nothing looks at any more: admitted, but not in silence. */
const warningsOf = (spec: JsonObject): readonly string[] =>
  ['detectGateway', 'detectIPConflict']
    .filter((field) => spec[field] === true)
    .map((field) => sentence(`spec.${field}`, true, 'has no effect', 'remove it'));
