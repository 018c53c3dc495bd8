import type { Failure } from '../contracts/failures.ts';
import type { Family } from './address.ts';
import { invalidAnnotation } from './failures.ts';
import { fieldsOf, parseJson } from './go-json.ts';
import type { Labels } from './pool-request.ts';

/** Pod annotation that asks for automatic pools, an item per NIC. spec/ipam.md §2.1. */
export const subnetsAnnotation = 'ipam.spidernet.io/subnets';
/** Pod annotation that asks for automatic pools of one NIC; without effect next to `subnetsAnnotation`. */
export const subnetAnnotation = 'ipam.spidernet.io/subnet';
export const poolSizeAnnotation = 'ipam.spidernet.io/ippool-ip-number';
export const reclaimAnnotation = 'ipam.spidernet.io/ippool-reclaim';

/** What an application asks of automatic pools: the annotations of its pod template, read together. */
export interface SubnetWish {
  /** The annotation that names the subnets. */
  readonly annotation: string;
  /** At least one; each NIC once. */
  readonly nics: readonly NicSubnets[];
  /** Absent: replicas and the cluster's surplus. */
  readonly size?: PoolSize;
  /** The pools go with the application. */
  readonly isReclaimed: boolean;
  /** What is written and has no effect, in sentences. */
  readonly warnings: readonly string[];
}

export interface NicSubnets {
  readonly ifName: string;
  /** Name of the SpiderSubnet of each family that is asked for, at least one. */
  readonly subnets: Readonly<Partial<Record<Family, string>>>;
}

/** `fixed`: so many addresses. `surplus`: so many more than replicas. */
export interface PoolSize {
  readonly kind: 'fixed' | 'surplus';
  readonly count: number;
}

export type SubnetReading =
  | { readonly outcome: 'wish'; readonly wish: SubnetWish }
  | { readonly outcome: 'absent' }
  | Refusal;

interface Refusal {
  readonly outcome: 'refused';
  readonly failure: Failure;
}

/** Reads what these annotations ask of automatic pools; absent when they name no subnet, whatever else they say. */
export function readSubnetWish(annotations: Labels): SubnetReading {
  const annotation = [subnetsAnnotation, subnetAnnotation].find((key) => annotations[key] !== undefined);
  const text = annotation === undefined ? undefined : annotations[annotation];
  if (annotation === undefined || text === undefined) return { outcome: 'absent' };
  const warnings: string[] = [];
  const nics = readNics(annotation, text, warnings);
  if ('problem' in nics) return refused(annotation, text, nics.problem);

  const sizeText = annotations[poolSizeAnnotation];
  const size = sizeText === undefined ? undefined : readPoolSize(sizeText);
  if (sizeText !== undefined && size === undefined) {
    return refused(poolSizeAnnotation, sizeText, 'it is neither a number "4" nor a surplus "+2"');
  }
  const reclaimText = annotations[reclaimAnnotation] ?? 'true';
  if (!Object.hasOwn(goBooleans, reclaimText)) return refused(reclaimAnnotation, reclaimText, 'it is no boolean');
  return {
    outcome: 'wish',
    wish: { annotation, nics, ...(size && { size }), isReclaimed: goBooleans[reclaimText] === true, warnings },
  };
}

/** Strictly: digits, or one "+" and digits. Spiderpool reads "3+2" as "+2" (spec/ipam.md §12.3 #32). */
export function readPoolSize(text: string): PoolSize | undefined {
  const [, plus, digits] = /^(\+?)(\d{1,6})$/.exec(text) ?? [];
  return digits === undefined ? undefined : { kind: plus === '+' ? 'surplus' : 'fixed', count: Number(digits) };
}

/** What Go's strconv.ParseBool takes. */
const goBooleans: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true])),
  ...Object.fromEntries(['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false])),
};

interface Problem {
  readonly problem: string;
}

function readNics(annotation: string, text: string, warnings: string[]): readonly NicSubnets[] | Problem {
  const json = parseJson(text);
  if (json.outcome === 'invalid') return { problem: `it ${json.problem}` };
  const isOne = annotation === subnetAnnotation;
  const items: unknown = isOne ? [json.value] : json.value;
  if (!Array.isArray(items) || items.length === 0) return { problem: 'it is not a list of at least one item' };
  const nics: NicSubnets[] = [];
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const nic = readNic(item, isOne ? 'it' : `item ${index}`, isOne ? 'eth0' : undefined, warnings);
    if ('problem' in nic) return nic;
    const names = ([4, 6] as const).flatMap((family) => nic.subnets[family]?.concat(` as IPv${family}`) ?? []);
    const repeated = [`NIC ${nic.ifName}`, ...names].find((name) => seen.has(name));
    if (repeated !== undefined) return { problem: `it names ${repeated} twice` };
    for (const name of [`NIC ${nic.ifName}`, ...names]) seen.add(name);
    nics.push(nic);
  }
  return nics;
}

function readNic(
  item: unknown,
  what: string,
  defaultNic: string | undefined,
  warnings: string[],
): NicSubnets | Problem {
  const fields = fieldsOf(item, ['interface', 'ipv4', 'ipv6']);
  if (fields === undefined) return { problem: `${what} is not an object` };
  const ifName = fields.interface ?? defaultNic;
  // What the kernel takes for a name (dev_valid_name): it becomes part of the pool's.
  if (typeof ifName !== 'string' || !/^[^\s/:]{1,15}$/.test(ifName)) {
    return { problem: `${what} has no "interface" that names a NIC` };
  }
  const subnets: Partial<Record<Family, string>> = {};
  for (const family of [4, 6] as const) {
    const names: unknown = fields[`ipv${family}`] ?? [];
    if (!isNameList(names)) return { problem: `"ipv${family}" of ${what} is not a list of subnet names` };
    const [name, ...others] = names;
    if (name !== undefined) subnets[family] = name;
    if (others.length > 0) {
      warnings.push(`${ifName}: of several IPv${family} subnets only the first counts, not "${others.join('", "')}"`);
    }
  }
  if (subnets[4] === undefined && subnets[6] === undefined) return { problem: `${what} names no subnet` };
  return { ifName, subnets };
}

const isNameList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');

const examples: Readonly<Record<string, string>> = {
  [subnetsAnnotation]: '[{"interface": "eth0", "ipv4": ["subnet-a"]}, {"interface": "net1", "ipv4": ["subnet-b"]}]',
  [subnetAnnotation]: '{"ipv4": ["subnet-a"], "ipv6": ["subnet-a6"]}',
  [poolSizeAnnotation]: '+2',
  [reclaimAnnotation]: 'false',
};

/** A refusal of one of these annotations, with its example. */
export const subnetRefusal = (annotation: string, annotations: Labels, problem: string): Refusal =>
  refused(annotation, annotations[annotation] ?? '', problem);

const refused = (annotation: string, text: string, problem: string): Refusal => ({
  outcome: 'refused',
  failure: invalidAnnotation({ annotation, text, problem, example: examples[annotation] ?? '' }),
});
