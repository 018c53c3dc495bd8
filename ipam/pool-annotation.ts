import type { Failure } from '../contracts/failures.ts';
import type { Family } from './address.ts';
import { invalidAnnotation } from './failures.ts';
import { isGlob, parseGlob } from './glob.ts';
import { fieldsOf, parseJson } from './go-json.ts';
import type { Labels } from './pool-request.ts';

/** Pod annotation that names the pools of the NIC at hand, a list per family. spec/ipam.md §2.1. */
export const ippoolAnnotation = 'ipam.spidernet.io/ippool';
/** Pod annotation that names the pools of each NIC. */
export const ippoolsAnnotation = 'ipam.spidernet.io/ippools';
/** Namespace annotations that name the pools of its pods. spec/ipam.md §2.2. */
export const namespacePoolAnnotations = {
  4: 'ipam.spidernet.io/default-ipv4-ippool',
  6: 'ipam.spidernet.io/default-ipv6-ippool',
} as const satisfies Record<Family, string>;

/** Names of pools, and wildcards, as they are written. */
export type NamedPools = Readonly<Record<Family, readonly string[]>>;

type Refusal = { readonly outcome: 'refused'; readonly failure: Failure };
export type AnnotationReading = { readonly outcome: 'pools'; readonly pools: NamedPools } | Refusal;

/**
 * Reads the annotation's value as Go's JSON decoder would (`go-json.ts`). Stricter than it: an empty name, or no name at all,
 * is refused, because a family that a template left empty would otherwise be dropped without a word.
 */
export function readIppoolAnnotation(text: string): AnnotationReading {
  const json = parseJson(text);
  if (json.outcome === 'invalid') return refused(ippoolAnnotation, text, `it ${json.problem}`);
  const fields = json.value === null ? undefined : fieldsOf(json.value, ['ipv4', 'ipv6']);
  if (fields === undefined) return refused(ippoolAnnotation, text, 'it is not an object');
  const pools = readFamilies(fields, '');
  if ('problem' in pools) return refused(ippoolAnnotation, text, pools.problem);
  if (!namesAny(pools)) return refused(ippoolAnnotation, text, 'it names no pool');
  return { outcome: 'pools', pools };
}

/** The pools of one NIC. */
export interface NicPools {
  /** Absent where the items have no `interface`: then the item's place is the NIC's index among the pod's networks. */
  readonly ifName?: string;
  readonly pools: NamedPools;
  readonly cleanGateway: boolean;
}

export type IppoolsReading = { readonly outcome: 'nics'; readonly nics: readonly NicPools[] } | Refusal;

/** Reads `[{interface, ipv4, ipv6, cleangateway}]`: at least one item, each naming a pool; all name their NIC, or none does. */
export function readIppoolsAnnotation(text: string): IppoolsReading {
  const json = parseJson(text);
  if (json.outcome === 'invalid') return refused(ippoolsAnnotation, text, `it ${json.problem}`);
  const items: unknown = json.value;
  if (!Array.isArray(items)) return refused(ippoolsAnnotation, text, 'it is not a list');
  if (items.length === 0) return refused(ippoolsAnnotation, text, 'it has no item');
  const nics: NicPools[] = [];
  for (const [index, item] of items.entries()) {
    const nic = readNic(item, `item ${index}`);
    if ('problem' in nic) return refused(ippoolsAnnotation, text, nic.problem);
    nics.push(nic);
  }
  const names = nics.flatMap(({ ifName }) => ifName ?? []);
  if (names.length > 0 && names.length < nics.length) {
    return refused(ippoolsAnnotation, text, 'some items have an "interface" and some have none');
  }
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) return refused(ippoolsAnnotation, text, `NIC "${repeated}" has two items`);
  return { outcome: 'nics', nics };
}

/** What a namespace names for its pods; absent when it names none, or nothing but empty lists. */
export function readNamespacePools(
  namespace: string,
  annotations: Labels,
): AnnotationReading | { readonly outcome: 'absent' } {
  const pools: Record<Family, readonly string[]> = { 4: [], 6: [] };
  for (const family of [4, 6] as const) {
    const annotation = namespacePoolAnnotations[family];
    const text = annotations[annotation];
    if (text === undefined) continue;
    const json = parseJson(text);
    const names = json.outcome === 'invalid' ? { problem: json.problem } : readNames(json.value);
    if ('problem' in names) return refused(annotation, text, `it ${names.problem}`, namespace);
    pools[family] = names;
  }
  return namesAny(pools) ? { outcome: 'pools', pools } : { outcome: 'absent' };
}

export const namesAny = (pools: NamedPools): boolean => pools[4].length + pools[6].length > 0;

/** So that the work for one request is bounded, whatever somebody writes: each wildcard is held against every pool. */
const mostWildcards = 16;

/** What is wrong with a list of names, as the rest of a sentence that begins with what lists them. */
export function namesProblem(names: readonly string[]): string | undefined {
  const wildcards = new Set(names.filter(isGlob));
  if (wildcards.size > mostWildcards) return `has ${wildcards.size} wildcards, more than ${mostWildcards}`;
  for (const wildcard of wildcards) {
    const glob = parseGlob(wildcard);
    if (glob.outcome === 'malformed') return `has a malformed wildcard: "${wildcard}" ${glob.problem}`;
  }
  return undefined;
}

interface Problem {
  readonly problem: string;
}

function readNic(item: unknown, what: string): NicPools | Problem {
  const fields = fieldsOf(item, ['interface', 'ipv4', 'ipv6', 'cleangateway']);
  if (fields === undefined) return { problem: `${what} is not an object` };
  const { interface: ifName = '', cleangateway: cleanGateway = false } = fields;
  if (typeof ifName !== 'string') return { problem: `"interface" of ${what} is not the name of a NIC` };
  if (typeof cleanGateway !== 'boolean') return { problem: `"cleangateway" of ${what} is neither true nor false` };
  const pools = readFamilies(fields, ` of ${what}`);
  if ('problem' in pools) return pools;
  if (!namesAny(pools)) return { problem: `${what} names no pool` };
  return { ...(ifName === '' ? {} : { ifName }), pools, cleanGateway };
}

function readFamilies(
  fields: { readonly ipv4?: unknown; readonly ipv6?: unknown },
  where: string,
): NamedPools | Problem {
  const [ipv4, ipv6] = [readNames(fields.ipv4), readNames(fields.ipv6)];
  if ('problem' in ipv4) return { problem: `"ipv4"${where} ${ipv4.problem}` };
  if ('problem' in ipv6) return { problem: `"ipv6"${where} ${ipv6.problem}` };
  return { 4: ipv4, 6: ipv6 };
}

function readNames(value: unknown): readonly string[] | Problem {
  const names: unknown = value ?? [];
  if (!isNameList(names)) return { problem: 'is not a list of pool names' };
  const problem = namesProblem(names);
  return problem === undefined ? names : { problem };
}

const isNameList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');

const examples: Readonly<Record<string, string>> = {
  [ippoolAnnotation]: '{"ipv4": ["pool-a", "pool-b"], "ipv6": ["pool-c"]}',
  [ippoolsAnnotation]: '[{"interface": "eth0", "ipv4": ["pool-a"]}, {"interface": "net1", "ipv4": ["pool-b"]}]',
  [namespacePoolAnnotations[4]]: '["pool-a", "shared-*"]',
  [namespacePoolAnnotations[6]]: '["pool-c"]',
};

/** A refusal of this annotation's text, with its example. */
export const refused = (annotation: string, text: string, problem: string, namespace?: string): Refusal => ({
  outcome: 'refused',
  failure: invalidAnnotation({
    annotation,
    text,
    problem,
    example: examples[annotation] ?? '',
    ...(namespace === undefined ? {} : { namespace }),
  }),
});
