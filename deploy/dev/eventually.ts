import { setTimeout as sleep } from 'node:timers/promises';

/** What a probe saw: done, with a value, or not yet, with a state that a person can read. */
export type Sighting<T> = { readonly value: T } | { readonly state: string };

/**
 * Asks again and again until the probe has a value. A probe that throws counts as not yet, except for `GivenUp`.
 * @throws {Error} after `seconds`, with the last state that was seen.
 */
export async function eventually<T>(
  what: string,
  seconds: number,
  probe: () => Promise<Sighting<T>> | Sighting<T>,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.5, 200)) {
    let state: string;
    try {
      const seen = await probe();
      if ('value' in seen) return seen.value;
      state = seen.state;
    } catch (error) {
      if (error instanceof GivenUp) throw error;
      state = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s; last seen: ${state}`);
    await sleep(pauseMs);
  }
}

/** Waiting on is pointless, for example because the process that was waited for has ended. */
export class GivenUp extends Error {}
