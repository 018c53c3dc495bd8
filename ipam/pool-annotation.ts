import type { Failure } from '../contracts/failures.ts';
import type { Family } from './address.ts';
import { invalidAnnotation } from './failures.ts';

/** Pod annotation that names the pools of the NIC at hand, a list per family. spec/ipam.md §2.1. */
export const ippoolAnnotation = 'ipam.spidernet.io/ippool';

export type NamedPools = Readonly<Record<Family, readonly string[]>>;

export type AnnotationReading =
  | { readonly outcome: 'pools'; readonly pools: NamedPools }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/**
 * Reads the annotation's value as Go's JSON decoder would: keys match without regard to case, the last of two equal keys
 * counts, null is absent, unknown keys are ignored. Stricter than it: an empty name, or no name at all, is refused, because a
 * family that a template left empty would otherwise be dropped without a word.
 */
export function readIppoolAnnotation(text: string): AnnotationReading {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return refused(text, 'it is not JSON');
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return refused(text, 'it is not an object');

  const pools: Record<Family, readonly string[]> = { 4: [], 6: [] };
  for (const [key, value] of Object.entries(found)) {
    const family = families[key.toLowerCase()];
    if (family === undefined) continue;
    const names: unknown = value ?? [];
    if (!isNameList(names)) return refused(text, `"${key}" is not a list of pool names`);
    pools[family] = names;
  }
  if (pools[4].length + pools[6].length === 0) return refused(text, 'it names no pool');
  return { outcome: 'pools', pools };
}

const families: Partial<Record<string, Family>> = Object.assign(Object.create(null), { ipv4: 4, ipv6: 6 });

const isNameList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');

const refused = (text: string, problem: string): AnnotationReading => ({
  outcome: 'refused',
  failure: invalidAnnotation(ippoolAnnotation, text, problem, '{"ipv4": ["pool-a", "pool-b"], "ipv6": ["pool-c"]}'),
});
