import type { Family } from '../address.ts';
import { applicationAffinityKeys, automaticPoolLabels } from '../automatic-pool.ts';
import { readSelector, type SelectorObject } from '../label-selector.ts';
import { detectionAnnotation, readPoolDetection } from '../pool-detection.ts';
import type { Labels } from '../pool-request.ts';
import { asList, asObject, asText, type JsonObject, specOf } from './json-object.ts';
import { type Metadata, readMetadata } from './metadata.ts';
import { type NetworkFields, readNetworkFields } from './network-fields.ts';
import { invalid, type Problem } from './problem.ts';

/** A SpiderIPPool as admission sees it. */
export interface PoolFields {
  readonly metadata: Metadata;
  readonly spec: JsonObject;
  readonly network: NetworkFields;
  /** Made for an application (spec/ipam.md §2.3). */
  readonly isAutomatic: boolean;
  /** Everything that the spec alone shows to be wrong. */
  readonly problems: readonly Problem[];
  /** What its annotation about probes has wrong. */
  readonly detectionProblems: readonly Problem[];
}

export function readPoolFields(object: unknown, enabled?: readonly Family[]): PoolFields {
  const metadata = readMetadata(object);
  const spec = specOf(object);
  const network = readNetworkFields(spec, enabled);
  const isAutomatic = isAutomaticPool(metadata.labels);
  const problems = [
    ...network.problems,
    ...(isAutomatic ? applicationProblems(spec['podAffinity']) : manualProblems(spec['podAffinity'])),
    ...selectorProblems('spec.namespaceAffinity', spec['namespaceAffinity']),
    ...selectorProblems('spec.nodeAffinity', spec['nodeAffinity']),
    ...(['namespaceName', 'nodeName', 'multusName'] as const).flatMap((field) => nameProblems(field, spec[field])),
  ];
  return { metadata, spec, network, isAutomatic, problems, detectionProblems: detectionProblems(metadata) };
}

function detectionProblems({ annotations }: Metadata): readonly Problem[] {
  return readPoolDetection(annotations).problems.map(({ what, allowed }) =>
    invalid(
      `metadata.annotations["${detectionAnnotation}"]`,
      annotations[detectionAnnotation],
      what,
      `allowed is ${allowed}`,
    ),
  );
}

export const isAutomaticPool = (labels: Labels): boolean => Object.hasOwn(labels, automaticPoolLabels.applicationName);

/** What is suspicious about a pool and yet admitted, because Spiderpool admits it. */
export function poolWarnings({ spec, network }: PoolFields): readonly string[] {
  const warnings: string[] = [];
  if (network.subnet && network.addresses.size === 0n) {
    warnings.push('The pool gives no address: name some in spec.ips that spec.excludeIPs leaves');
  }
  for (const field of ['node', 'namespace'] as const) {
    if (asList(spec[`${field}Name`]).length > 0 && spec[`${field}Affinity`] != null) {
      warnings.push(`spec.${field}Affinity is not looked at, because spec.${field}Name is set: remove one of them`);
    }
  }
  for (const name of asList(spec['multusName']).map(asText)) {
    if (!/^[^/\s]+(\/[^/\s]+)?$/.test(name)) {
      warnings.push(`spec.multusName "${name}" can be no network attachment's: write "namespace/name" or "name"`);
    }
  }
  return warnings;
}

function manualProblems(value: unknown): readonly Problem[] {
  const { matchLabels, matchExpressions } = asObject(value);
  if (value == null || Object.keys(asObject(matchLabels)).length + asList(matchExpressions).length > 0) {
    return selectorProblems('spec.podAffinity', value);
  }
  const remedy = 'leave it out to serve every pod, or add matchLabels';
  return [invalid('spec.podAffinity', value, 'names no label', remedy)];
}

/** Whom an automatic pool serves is compared with the application's identity, so its values need not be label values. */
function applicationProblems(value: unknown): readonly Problem[] {
  const { matchLabels, matchExpressions } = asObject(value);
  const allowed: readonly string[] = Object.values(applicationAffinityKeys);
  const remedy = 'leave it as the control worker wrote it, or make a pool of your own';
  const problems = Object.keys(asObject(matchLabels))
    .filter((key) => !allowed.includes(key))
    .map((key) => invalid('spec.podAffinity.matchLabels', key, 'is no key of an automatic pool', remedy));
  if (asList(matchExpressions).length > 0) {
    const what = 'is not for automatic pools';
    problems.push(invalid('spec.podAffinity.matchExpressions', matchExpressions, what, remedy));
  }
  return problems;
}

function selectorProblems(field: string, value: unknown): readonly Problem[] {
  if (value == null) return [];
  const selector = asSelector(value);
  if (!selector) return [invalid(field, value, 'is not a label selector', 'write matchLabels and matchExpressions')];
  const reading = readSelector(selector);
  if (reading.outcome === 'selector') return [];
  return [invalid(field, value, `can never be read, because ${reading.problem}`, 'write it as any label selector')];
}

function asSelector(value: unknown): SelectorObject | undefined {
  const { matchLabels, matchExpressions } = asObject(value);
  const expressions = asList(matchExpressions).map((expression) => {
    const { key, operator, values } = asObject(expression);
    return isText(key) && isText(operator) && isTextList(values ?? [])
      ? { key, operator, values: asTexts(values) }
      : undefined;
  });
  const isShaped =
    isObject(value) &&
    isObject(matchLabels ?? {}) &&
    Object.values(asObject(matchLabels)).every(isText) &&
    Array.isArray(matchExpressions ?? []);
  const known = expressions.filter((expression) => expression !== undefined);
  if (!isShaped || known.length < expressions.length) return undefined;
  return { matchLabels: asObject(matchLabels) as Labels, matchExpressions: known };
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string => typeof value === 'string';

const isTextList = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText);

const asTexts = (value: unknown): readonly string[] => asList(value).map(asText);

function nameProblems(field: string, value: unknown): readonly Problem[] {
  if (value == null || isTextList(value)) return [];
  return [invalid(`spec.${field}`, value, 'is not a list of names', 'write a list of texts')];
}
