import { shownValue } from '../shown-value.ts';
import type { Denied, Verdict } from './verdict.ts';

/** One thing that is wrong with a request: where, what was found there, and what to do about it. */
export interface Problem {
  readonly status: Denied['status'];
  readonly text: string;
}

/**
 * The object itself is wrong.
 *
 * @param field Path of the field, for example "spec.ips[3]".
 * @param what Goes on after the value: "is not a CIDR".
 * @param remedy What to write instead, as an imperative.
 */
export const invalid = (field: string, value: unknown, what: string, remedy: string): Problem => ({
  status: 422,
  text: sentence(field, value, what, remedy),
});

/** The object is right, but not now or not by this user. */
export const forbidden = (field: string, value: unknown, what: string, remedy: string): Problem => ({
  status: 403,
  text: sentence(field, value, what, remedy),
});

/** A warning is worded as a problem is. */
export function sentence(field: string, value: unknown, what: string, remedy: string): string {
  return `${field} ${value == null ? '' : `${shown(value)} `}${what}: ${remedy}`;
}

/** One message for all that is wrong. @param action What could not be done, for example `create SpiderIPPool "a"`. */
export function verdictOf(action: string, problems: readonly Problem[], warnings: readonly string[] = []): Verdict {
  const [first, ...others] = problems;
  if (!first) return { outcome: 'allowed', warnings };
  const more = problems.length - maxShown;
  const lines = problems.slice(0, maxShown).map(({ text }) => `- ${text}`);
  return {
    outcome: 'denied',
    status: others.every(({ status }) => status === first.status) ? first.status : 422,
    message:
      others.length === 0
        ? `Cannot ${action}: ${first.text}`
        : [`Cannot ${action}:`, ...lines, ...(more > 0 ? [`- and ${more} more`] : [])].join('\n'),
  };
}

/** More would hide the first, and a list of 100,000 entries can be wrong in each. */
const maxShown = 20;

const shown = (value: unknown): string =>
  typeof value === 'string' ? `"${shownValue(value)}"` : shownValue(JSON.stringify(value) ?? String(value));
