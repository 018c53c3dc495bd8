import {
  isSettled,
  type PoolSubject,
  type SeenPool,
  subjectKey,
  subjectOf,
  wishOf,
} from '../ipam/auto-pools/pool-wish.ts';
import type { Labels } from '../ipam/pool-request.ts';
import type { WishingApplication } from './application-feed.ts';
import type { Log } from './log.ts';
import { PacedWork } from './paced-work.ts';
import type { PoolRow } from './subnet-rows.ts';

export interface PoolHintsOptions {
  /**
   * Tells whoever sees to this pool that something changed. `podAnnotations`: of an application of a third party.
   * `isMostLikelyNew`: there is no pool yet, so most likely nobody sees to it.
   */
  readonly hint: (subject: PoolSubject, podAnnotations: Labels, isMostLikelyNew: boolean) => Promise<void>;
  readonly wishing: (key: string) => WishingApplication | undefined;
  /** Addresses over the replicas where an application does not say how many. */
  readonly surplus: number;
  readonly log: Log;
}

/** What comes together is one hint, and a new application waits no longer than this for its first. */
const settleMs = 20;
const pauseMs = 500;

/**
 * Notices that an application and its pools differ, and says so to whoever sees to them. Every change of an application is told;
 * of pools and Subnets only what leaves something to be done. A hint that was lost is made up for by `compare`.
 */
export class PoolHints {
  readonly #options: PoolHintsOptions;
  /** By `subjectKey`: whoever wishes for a pool, or has one. */
  readonly #subjects = new Map<string, PoolSubject>();
  readonly #pools = new Map<string, Map<string, SeenPool>>();
  /** Whose application changed since the newest hint. */
  readonly #untold = new Set<string>();
  readonly #work: PacedWork;
  #isStarted = false;

  constructor(options: PoolHintsOptions) {
    this.#options = options;
    this.#work = new PacedWork({
      work: (key) => this.#tell(key),
      settleMs,
      atOnce: 20,
      // Whoever connects to Temporal says, once, that it is away; this is tried again.
      onFailure: (err, key) =>
        options.log.debug({ err, pool: key }, 'nobody told yet of a change that concerns a pool'),
    });
  }

  /** An application that wishes, or wished, for this pool came, changed or went. */
  applicationChanged(subject: PoolSubject): void {
    const key = subjectKey(subject);
    this.#subjects.set(key, subject);
    this.#untold.add(key);
    if (this.#isStarted) this.#work.mark(key);
  }

  poolChanged(name: string, before: PoolRow | undefined, after: PoolRow | undefined): void {
    const concerned = new Map(
      [before, after].flatMap((row) => (row?.seen ? [this.#place(name, row.seen, row === after)] : [])),
    );
    for (const [key, subject] of concerned) {
      this.#subjects.set(key, subject);
      if (this.#isStarted && (!this.#isSettled(key, subject) || this.#isOver(key))) this.#work.mark(key);
    }
  }

  /** A Subnet has more to give than before. */
  subnetHasMore(subnet: string): void {
    if (!this.#isStarted) return;
    for (const [key, subject] of this.#subjects) {
      const reading = this.#reading(key, subject);
      const isWaiting = reading.outcome === 'wish' && reading.wish.subnet === subnet && !this.#isSettled(key, subject);
      if (isWaiting) this.#work.mark(key);
    }
  }

  /** From here on hints are sent; what differs now is told. To be called again and again. */
  compare(): void {
    this.#isStarted = true;
    for (const [key, subject] of this.#subjects) if (!this.#isSettled(key, subject)) this.#work.mark(key);
  }

  /** As far as was told. */
  hasPool(subject: PoolSubject): boolean {
    return this.#pools.has(subjectKey(subject));
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#work.stop();
  }

  #place(name: string, seen: NonNullable<PoolRow['seen']>, isThere: boolean): readonly [string, PoolSubject] {
    const subject = subjectOf(seen.made, seen.family);
    const key = subjectKey(subject);
    const pools = this.#pools.get(key) ?? new Map<string, SeenPool>();
    if (isThere) pools.set(name, seen);
    else pools.delete(name);
    if (pools.size > 0) this.#pools.set(key, pools);
    else this.#pools.delete(key);
    return [key, subject];
  }

  async #tell(key: string): Promise<number> {
    const subject = this.#subjects.get(key);
    if (subject === undefined) return 0;
    if (!this.#isOver(key) || this.#untold.has(key)) await this.#hint(key, subject);
    if (this.#isOver(key) && !this.#untold.has(key)) this.#subjects.delete(key);
    return pauseMs;
  }

  async #hint(key: string, subject: PoolSubject): Promise<void> {
    const wishing = this.#options.wishing(key);
    this.#untold.delete(key); // what changes from here on is told again
    try {
      const podAnnotations = wishing?.isForeign === true ? wishing.seen.annotations : {};
      await this.#options.hint(subject, podAnnotations, !this.#pools.has(key));
    } catch (error) {
      this.#untold.add(key);
      throw error;
    }
  }

  /** Nobody wishes for a pool, and there is none. */
  #isOver(key: string): boolean {
    return this.#options.wishing(key) === undefined && !this.#pools.has(key);
  }

  #reading(key: string, subject: PoolSubject): ReturnType<typeof wishOf> {
    return wishOf(subject, this.#options.wishing(key)?.seen, this.#options.surplus);
  }

  #isSettled(key: string, subject: PoolSubject): boolean {
    return isSettled(this.#reading(key, subject), [...(this.#pools.get(key)?.values() ?? [])]);
  }
}
