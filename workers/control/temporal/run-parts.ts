/**
 * A listed run costs Temporal half a millisecond of CPU (decision 021), so a sweep lists about so many of them and begins elsewhere
 * each time: a run that nobody asks about has no address to lose.
 */
export const runsPerSweep = 1000;

const digits: readonly string[] = Array.from({ length: 16 }, (_, digit) => digit.toString(16));
/** Two hexadecimal digits. A pod's UID is random, so each part has as many runs as the others. */
const parts = digits.flatMap((first) => digits.map((second) => first + second));
/** A query of so many alternatives is still a short one; fewer parts than that are as many whole digits as possible. */
const mostPrefixes = 16;

/**
 * What the UIDs of the pods begin with whose runs are to be listed; undefined: all of them.
 *
 * @param start Where to begin (0 ≤ start < 1).
 */
export function listedPrefixes(openRuns: number, start: number): readonly string[] | undefined {
  if (openRuns <= runsPerSweep) return undefined;
  const share = runsPerSweep / openRuns;
  const cells = share * parts.length >= mostPrefixes ? digits : parts;
  const width = Math.max(1, Math.floor(share * cells.length));
  const first = Math.floor(start * cells.length);
  return Array.from({ length: width }, (_, at) => cells[(first + at) % cells.length] ?? '');
}
