import { asObject, isSameJson, specOf } from './json-object.ts';
import { readMetadata } from './metadata.ts';
import { forbidden, invalid, type Problem, verdictOf } from './problem.ts';
import type { Verdict } from './verdict.ts';

/** An object that is being deleted can lose finalizers and change in no other way. */
export function judgeTerminating(action: string, old: unknown, next: unknown): Verdict {
  const [before, after] = [readMetadata(old), readMetadata(next)];
  const releases =
    before.finalizers.some((name) => !after.finalizers.includes(name)) &&
    after.finalizers.every((name) => before.finalizers.includes(name));
  if (releases && isSameJson(specOf(old), specOf(next))) return { outcome: 'allowed', warnings: [] };
  const since = asObject(asObject(old)['metadata'])['deletionTimestamp'];
  const what = 'says that it is being deleted, and only its finalizers can be removed now';
  return verdictOf(action, [
    forbidden('metadata.deletionTimestamp', since, what, 'wait until it is gone, then create it again'),
  ]);
}

/** A pool of another subnet or family is another pool. */
export function identityProblems(old: unknown, next: unknown): readonly Problem[] {
  return (['ipVersion', 'subnet'] as const).flatMap((field) => {
    const [before, after] = [specOf(old)[field], specOf(next)[field]];
    if (before == null || isSameJson(before, after) || (field === 'ipVersion' && after == null)) return [];
    const what = `cannot be changed: it is ${JSON.stringify(before)}`;
    return [invalid(`spec.${field}`, after, what, 'create another object, and delete this one when nothing uses it')];
  });
}

/** Whether an edit leaves the spec alone. It is not judged then: an object from before this webhook can be labelled and released. */
export function keepsSpec(old: unknown, next: unknown): boolean {
  if (old == null) return false;
  const [before, after] = [specOf(old), specOf(next)];
  const ipVersion = before['ipVersion'] ?? null;
  return isSameJson({ ...before, ipVersion }, { ...after, ipVersion: after['ipVersion'] ?? ipVersion });
}
