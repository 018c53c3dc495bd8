/** What a breaker watches: `probe` resolves when the other side answers, and settles by itself. */
export interface BreakerOptions {
  readonly probe: () => Promise<unknown>;
  /** Called when the other side is found away, and when it answers again. */
  readonly onChange: (state: 'open' | 'closed') => void;
  /** A call that takes longer is no longer assumed to be on its way; default 700 ms. */
  readonly patienceMs?: number;
  /** A probe that takes longer is late; default 500 ms. */
  readonly probeLimitMs?: number;
  /** Pause between half-open probes; default 1 s. */
  readonly retryMs?: number;
}

/**
 * Races every call against our own clock: the SDK honours no deadline while a server refuses connections (measured: 6 to
 * 10 s), and ignores abort signals. Two probes late in a row open the breaker, and every call that has no other hope fails.
 */
export class Breaker {
  readonly #options: Required<BreakerOptions>;
  #retryTimer: NodeJS.Timeout | undefined;
  #isOpen = false;
  #isClosed = false;
  /** The probe in flight, shared by all calls that became impatient at about the same time. */
  #probing: Promise<boolean> | undefined;

  constructor(options: BreakerOptions) {
    this.#options = { patienceMs: 700, probeLimitMs: 500, retryMs: 1000, ...options };
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Stops probing for good. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
  }

  /** Opens at once: the other side was never reached, or is known to be away. Probing goes on until it answers. */
  trip(): void {
    if (this.#isOpen || this.#isClosed) return;
    this.#isOpen = true;
    this.#options.onChange('open');
    this.#retryLater();
  }

  /**
   * Settles as the call does; when the breaker opens meanwhile and `isHopeless` agrees, rejects with `away()`. The call itself
   * cannot be taken back and may still happen later.
   */
  async run<T>(call: () => Promise<T>, isHopeless: () => boolean, away: () => Error): Promise<T> {
    if (this.#isOpen) throw away();
    const { promise: gaveUp, reject } = Promise.withResolvers<never>();
    let isPending = true;
    const work = call().finally(() => {
      isPending = false;
    });
    work.catch(() => undefined); // its failure may come after we gave up
    const watch = async (): Promise<void> => {
      await pause(this.#options.patienceMs);
      let late = 0;
      while (isPending) {
        late = (await this.#probe()) ? 0 : late + 1;
        if (late >= 2) this.trip();
        if (this.#isOpen && isHopeless()) return reject(away());
        await pause(late === 0 ? this.#options.patienceMs : 0);
      }
    };
    void watch();
    return await Promise.race([work, gaveUp]);
  }

  async #probe(): Promise<boolean> {
    this.#probing ??= answersWithin(this.#options.probe, this.#options.probeLimitMs).finally(() => {
      this.#probing = undefined;
    });
    return await this.#probing;
  }

  #retryLater(): void {
    this.#retryTimer = setTimeout(() => void this.#retry(), this.#options.retryMs);
    this.#retryTimer.unref();
  }

  async #retry(): Promise<void> {
    if (this.#isClosed) return;
    if (!(await this.#probe())) return this.#retryLater();
    this.#isOpen = false;
    this.#options.onChange('closed');
  }
}

async function answersWithin(probe: () => Promise<unknown>, limitMs: number): Promise<boolean> {
  const answer = probe().then(
    () => true,
    async () => {
      await pause(limitMs); // refused at once counts as late, not as two late probes in a millisecond
      return false;
    },
  );
  return await Promise.race([answer, pause(limitMs).then(() => false)]);
}

const pause = (durationMs: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, durationMs).unref();
  });
