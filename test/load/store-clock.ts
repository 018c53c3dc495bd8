/** A moment of which only this is known: it was not before the one time and not after the other. Milliseconds of one clock. */
export interface Window {
  readonly earliestMs: number;
  readonly latestMs: number;
}

/** A consistent read: everything up to `revision` was committed before it ended, everything beyond after it began. */
export interface StoreReading {
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  readonly revision: number;
}

/**
 * Tells when a revision of the API server's store was committed. A watch tells of it later, by as much as the machine is busy;
 * readings before and after it bound the moment from both sides, whatever the load.
 */
export class StoreClock {
  readonly #readings: StoreReading[] = [];

  /** Readings come in the order in which they were made, one at a time: then times and revisions only grow. */
  add(reading: StoreReading): void {
    this.#readings.push(reading);
  }

  /** @param arrivedAtMs When a watch told of the revision: it was committed before that. */
  commitOf(revision: number, arrivedAtMs: number): Window {
    const after = this.#firstFrom(revision);
    return {
      earliestMs: this.#readings[after - 1]?.beganAtMs ?? -Infinity,
      latestMs: Math.min(arrivedAtMs, this.#readings[after]?.endedAtMs ?? Infinity),
    };
  }

  /** Index of the first reading that includes `revision`. */
  #firstFrom(revision: number): number {
    let [low, high] = [0, this.#readings.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#readings[middle]?.revision ?? 0) < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
