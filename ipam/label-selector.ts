import type { Labels } from './pool-request.ts';

/** A Kubernetes LabelSelector as an object carries it. */
export interface SelectorObject {
  readonly matchLabels?: Labels | undefined;
  readonly matchExpressions?:
    | readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] | undefined }[]
    | undefined;
}

/** A selector that can be asked, or what is wrong with it. */
export type LabelSelector =
  | { readonly outcome: 'selector'; readonly requirements: readonly Requirement[] }
  | { readonly outcome: 'invalid'; readonly problem: string };

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  /** Not empty for In and NotIn, empty for the others. */
  readonly values: readonly string[];
}

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;
type Operator = (typeof operators)[number];

/**
 * Reads a selector by the rules of Kubernetes (apimachinery: LabelSelectorAsSelector, labels.NewRequirement), which a CRD's
 * schema does not check. One wrong requirement makes the whole selector invalid: the others alone would select more.
 */
export function readSelector({ matchLabels = {}, matchExpressions = [] }: SelectorObject): LabelSelector {
  const requirements: Requirement[] = Object.entries(matchLabels).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  for (const { key, operator, values = [] } of matchExpressions) {
    if (!isOperator(operator)) {
      return { outcome: 'invalid', problem: `operator "${operator}" is none of ${operators.join(', ')}` };
    }
    requirements.push({ key, operator, values });
  }
  for (const requirement of requirements) {
    const problem = problemOf(requirement);
    if (problem !== undefined) return { outcome: 'invalid', problem };
  }
  return { outcome: 'selector', requirements };
}

/** Whether an object with these labels is selected; an empty selector selects everything. */
export const selects = (requirements: readonly Requirement[], labels: Labels): boolean =>
  requirements.every((requirement) => isMet(requirement, labels));

/** The requirements as kubectl prints them: "zone in (a,b), !spare". */
export const formatRequirements = (requirements: readonly Requirement[]): string =>
  requirements.map(formatRequirement).join(', ');

function isMet({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0] ?? ''}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0] ?? ''}` : `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}

function problemOf({ key, operator, values }: Requirement): string | undefined {
  if (!isLabelKey(key)) return `"${key}" is not a label key`;
  const takesValues = operator === 'In' || operator === 'NotIn';
  if (takesValues && values.length === 0) return `operator ${operator} of "${key}" has no values`;
  if (!takesValues && values.length > 0) return `operator ${operator} of "${key}" takes no values`;
  const wrong = values.find((value) => !isLabelValue(value));
  return wrong === undefined ? undefined : `"${wrong}" is not a label value`;
}

const isOperator = (text: string): text is Operator => operators.some((operator) => operator === text);

const namePattern = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const subdomainPattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** [prefix/]name (apimachinery: IsQualifiedName). */
function isLabelKey(key: string): boolean {
  const parts = key.split('/');
  const [prefix, name] = parts.length === 2 ? parts : [undefined, key];
  return (
    name !== undefined &&
    namePattern.test(name) &&
    (prefix === undefined || (prefix.length <= 253 && subdomainPattern.test(prefix)))
  );
}

const isLabelValue = (value: string): boolean => value === '' || namePattern.test(value);
