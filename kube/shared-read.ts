/** What a read gave, and when it began: it knows of nothing that happened later. */
export interface Reading<Value> {
  readonly value: Value;
  /** Unix time. */
  readonly beganAtMs: number;
}

/**
 * One read at a time, shared by everybody for whom it began late enough. Whoever asks while one runs that began too early
 * waits for it, and then shares the next with all others who waited.
 */
export class SharedRead<Value> {
  readonly #read: () => Promise<Value>;
  readonly #now: () => number;
  #running: { readonly beganAtMs: number; readonly reading: Promise<Reading<Value>> } | undefined;
  #last: Reading<Value> | undefined;

  constructor(read: () => Promise<Value>, now: () => number) {
    this.#read = read;
    this.#now = now;
  }

  /** What is remembered; no read. */
  get last(): Reading<Value> | undefined {
    return this.#last;
  }

  /** A reading that began after this instant; the last one if it did. Throws what the read throws. */
  async begunAfter(instantMs: number): Promise<Reading<Value>> {
    for (;;) {
      if (this.#last !== undefined && this.#last.beganAtMs > instantMs) return this.#last;
      const running = this.#running;
      if (running === undefined) return this.#start();
      if (running.beganAtMs > instantMs) return running.reading;
      await running.reading.catch(() => {}); // its own callers hear of the failure
    }
  }

  #start(): Promise<Reading<Value>> {
    const beganAtMs = this.#now();
    const reading = (async () => {
      try {
        this.#last = { value: await this.#read(), beganAtMs };
        return this.#last;
      } finally {
        this.#running = undefined;
      }
    })();
    this.#running = { beganAtMs, reading };
    return reading;
  }
}
