export interface PacedWorkOptions {
  /** Brings what the key names to where it should be, from what is true when it runs. Gives the pause (ms) before it may run again. */
  readonly work: (key: string) => Promise<number>;
  /** From a mark to the run, so that what comes together is one run. */
  readonly settleMs: number;
  /** How many keys are worked on at once. */
  readonly atOnce: number;
  readonly onFailure: (error: unknown, key: string) => void;
}

interface Mark {
  /** Something changed since its last run began. */
  isFresh: boolean;
}

/**
 * Work on keys that are marked when something about them changed: however often that is in a while, it is one run, and never
 * two at once for one key. A run that fails is repeated, after pauses that grow to half a minute.
 */
export class PacedWork {
  readonly #options: PacedWorkOptions;
  readonly #marks = new Map<string, Mark>();
  /** How to end each pause early. */
  readonly #pauses = new Set<() => void>();
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #isStopped = false;

  constructor(options: PacedWorkOptions) {
    this.#options = options;
  }

  mark(key: string): void {
    if (this.#isStopped) return;
    const known = this.#marks.get(key);
    if (known) {
      known.isFresh = true;
      return;
    }
    const mark = { isFresh: true };
    this.#marks.set(key, mark);
    void this.#follow(key, mark);
  }

  /** Starts nothing more, and waits for what runs. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const end of this.#pauses) end();
    for (const giveUp of this.#waiting) giveUp();
    this.#waiting.clear();
    while (this.#running > 0) await this.#turn();
  }

  async #follow(key: string, mark: Mark): Promise<void> {
    await this.#pause(this.#options.settleMs);
    for (let failures = 0; mark.isFresh && !this.#isStopped; ) {
      while (this.#running >= this.#options.atOnce && !this.#isStopped) await this.#turn();
      if (this.#isStopped) break;
      mark.isFresh = false;
      this.#running += 1;
      let pauseMs: number;
      try {
        pauseMs = await this.#options.work(key);
        failures = 0;
      } catch (error) {
        this.#options.onFailure(error, key);
        mark.isFresh = true;
        pauseMs = Math.min(firstRetryMs * 2 ** failures, longestRetryMs);
        failures += 1;
      } finally {
        this.#running -= 1;
        this.#endTurn();
      }
      await this.#pause(pauseMs);
    }
    this.#marks.delete(key);
  }

  /** Until a run has ended; one of those who wait goes on with each end. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
    });
  }

  #endTurn(): void {
    for (const proceed of this.#waiting) {
      this.#waiting.delete(proceed);
      proceed();
      return;
    }
  }

  #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#pauses.add(end);
    });
  }
}

const firstRetryMs = 250;
const longestRetryMs = 30_000;
