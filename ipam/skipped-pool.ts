import { shownValue } from './shown-value.ts';

/** A pool that was named and cannot serve. */
export interface SkippedPool {
  readonly name: string;
  /** The rest of a sentence that begins with the name: "does not exist". */
  readonly reason: string;
  readonly isMissing: boolean;
}

/** At most ten, so that a long list of names cannot outgrow a log line, an event or a Temporal failure. */
export function listSkipped(skipped: readonly Pick<SkippedPool, 'name' | 'reason'>[]): string {
  const shown = skipped.slice(0, 10).map(({ name, reason }) => `"${shownValue(name)}" ${shownValue(reason)}`);
  return [...shown, ...(skipped.length > 10 ? [`and ${skipped.length - 10} more`] : [])].join('; ');
}
