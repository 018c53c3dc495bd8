import { type Family, familyName } from '../address.ts';
import { intervalSet } from '../interval-set.ts';
import { asObject, specOf } from './json-object.ts';
import { identityProblems, judgeTerminating, keepsSpec } from './lifecycle.ts';
import { readMetadata } from './metadata.ts';
import { invalid, type Problem, verdictOf } from './problem.ts';
import { mergedRanges, readRangeList } from './range-list.ts';
import type { Mutation, Verdict } from './verdict.ts';
import type { AdmissionWorld } from './world.ts';

type SettingsOnly = Pick<AdmissionWorld, 'settings'>;

/** Completes a SpiderReservedIP: its `ipVersion`, from the first of `ips`, and merged ranges. It has no finalizer. */
export function mutateReservedIP(object: unknown, old: unknown, { settings }: SettingsOnly): Mutation {
  if (readMetadata(old ?? object).isTerminating) return { outcome: 'mutated', object: asObject(object) };
  const { family, problems, intervals } = readReservation(object, settings.families);
  const verdict = verdictOf(actionOn(object, old), ownProblems(problems, old, object));
  if (verdict.outcome === 'denied') return verdict;
  if (problems.length > 0 || family === undefined) return { outcome: 'mutated', object: asObject(object) };
  const spec = specOf(object);
  const ips = spec['ips'] == null ? {} : { ips: mergedRanges(spec['ips'], intervalSet(intervals), family) };
  return { outcome: 'mutated', object: { ...asObject(object), spec: { ...spec, ipVersion: family, ...ips } } };
}

/** Judges a new reservation (spec/ipam.md §1.6.6). Addresses in use may be reserved: they stay in use. */
export const validateReservedIPCreate = (object: unknown, { settings }: SettingsOnly): Verdict =>
  verdictOf(actionOn(object, undefined), readReservation(object, settings.families).problems);

/** Judges an edit (spec/ipam.md §1.6.6). */
export function validateReservedIPUpdate(old: unknown, next: unknown, { settings }: SettingsOnly): Verdict {
  const action = actionOn(next, old);
  if (readMetadata(old).isTerminating) return judgeTerminating(action, old, next);
  return verdictOf(action, ownProblems(readReservation(next, settings.families).problems, old, next));
}

const actionOn = (object: unknown, old: unknown): string =>
  `${old == null ? 'create' : 'change'} SpiderReservedIP "${readMetadata(object).name}"`;

const ownProblems = (problems: readonly Problem[], old: unknown, next: unknown): readonly Problem[] =>
  old == null ? problems : [...identityProblems(old, next), ...(keepsSpec(old, next) ? [] : problems)];

function readReservation(object: unknown, enabled: readonly Family[]) {
  const { ipVersion, ips } = specOf(object);
  const problems: Problem[] = [];
  const entries = readRangeList('spec.ips', ips, problems);
  const isVersion = ipVersion === 4 || ipVersion === 6;
  const family = isVersion ? ipVersion : entries[0]?.family;
  if (ipVersion != null && !isVersion) {
    problems.push(invalid('spec.ipVersion', ipVersion, 'is no IP version', 'write 4 or 6, or leave it out'));
  } else if (family === undefined && problems.length === 0) {
    const remedy = 'write ipVersion 4 or 6, or name an address in spec.ips';
    problems.push(invalid('spec.ipVersion', undefined, 'is missing, and there is no address to tell it from', remedy));
  }
  if (family !== undefined && !enabled.includes(family)) {
    const remedy = `reserve addresses of the other family, or set ORBWEAVER_ENABLE_IPV${family}=true`;
    problems.push(invalid('spec.ipVersion', family, 'is off in this cluster', remedy));
  }
  for (const { at, text, family: found } of entries) {
    if (found === family || family === undefined) continue;
    const what = `is ${familyName(found)} in a reservation of ${familyName(family)}`;
    problems.push(invalid(`spec.ips[${at}]`, text, what, 'move it to a SpiderReservedIP of its own'));
  }
  return { family, problems, intervals: entries.map(({ interval }) => interval) };
}
