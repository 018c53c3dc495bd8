import type { ClaimPhase } from '../contracts/ip-claim.ts';
import { sideBySide } from './side-by-side.ts';
import { beginningAt, type ListedClaim } from './sweep-suspects.ts';

interface BlockedPorts {
  readonly claims: {
    read(name: string): Promise<
      | {
          readonly uid: string;
          readonly resourceVersion: string;
          readonly phase: ClaimPhase;
          /** RFC 3339. */
          readonly until?: string;
        }
      | undefined
    >;
    /** If it is still as it was seen. */
    end(seen: {
      readonly name: string;
      readonly uid: string;
      readonly version: string;
    }): Promise<'deleted' | 'suspect' | 'changed'>;
  };
  /** Unix time; the machine's when absent. */
  readonly now?: () => number;
}

/** Each costs a read in every sweep; more are a matter of hours anyhow. */
const mostBlocked = 500;
const readsAtOnce = 16;

/** Claims that nobody has and nobody gets until their time is over. */
export const blockedClaims = (claims: readonly ListedClaim[]): readonly string[] =>
  claims.flatMap(({ name, phase }) => (phase === 'Cooling' || phase === 'Conflicted' ? [name] : []));

/**
 * Ends those whose `until` is over by the clock of whoever sweeps: deleted, or Suspect again when they were that before. Answers
 * with the names of those that it ended; what could not be ended is met by the next sweep. `start`: see `withinLimits`.
 */
export async function endBlocked(
  names: readonly string[],
  start: number,
  { claims, now = Date.now }: BlockedPorts,
): Promise<readonly string[]> {
  const ended = await sideBySide(beginningAt(names, start).slice(0, mostBlocked), readsAtOnce, async (name) => {
    const claim = await claims.read(name);
    const { uid = '', resourceVersion: version = '', phase, until } = claim ?? {};
    const isBlocked = phase === 'Cooling' || phase === 'Conflicted';
    if (!isBlocked || until === undefined || Date.parse(until) > now()) return [];
    // What cannot be ended now must not keep the sweep from its other work.
    const end = await claims.end({ name, uid, version }).catch(() => 'changed');
    return end === 'changed' ? [] : [name];
  });
  return ended.flat();
}
