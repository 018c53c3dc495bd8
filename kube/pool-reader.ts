import type { PoolEdit } from '../contracts/crds/pooledit.ts';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderReservedIP } from '../contracts/crds/spiderreservedip.ts';
import type { ApiClient } from './api-client.ts';
import { findObject } from './find-object.ts';
import { listObjects } from './list.ts';
import { deadlineIn, persist } from './persist.ts';
import { poolEditsPath } from './pool-edits.ts';
import { SharedRead } from './shared-read.ts';

export interface PoolReaderOptions {
  readonly api: ApiClient;
  /** Milliseconds of a clock that is never set: what is remembered must not grow older than it looks. */
  readonly now?: () => number;
  /** How long one read may take before it fails with `ApiServerUnavailable`. 2,000 ms when absent. */
  readonly deadlineMs?: number;
}

export interface PoolsAndReservations {
  readonly pools: readonly SpiderIPPool[];
  readonly reserved: readonly SpiderReservedIP[];
  /** Edits that are about to take addresses away. */
  readonly edits: readonly PoolEdit[];
}

const group = '/apis/spiderpool.spidernet.io/v2beta1';
/** For how long a node goes by what it read. An edit that takes addresses away waits for so long (decision 017). */
export const poolMemoryMs = 2000;

/**
 * Pools and reservations, read when somebody asks and then remembered for 2 s. No watch: every change of a pool's status
 * would reach every node.
 */
export class PoolReader {
  readonly #api: ApiClient;
  readonly #now: () => number;
  readonly #deadlineMs: number;
  readonly #reading: SharedRead<PoolsAndReservations>;
  readonly #fresh = new Map<string, SharedRead<SpiderIPPool | undefined>>();
  /** A clock of which every look is later than the one before: what began after a create is exact, not to the millisecond. */
  #looks = 0;

  constructor({ api, now = () => performance.now(), deadlineMs = 2000 }: PoolReaderOptions) {
    this.#api = api;
    this.#now = now;
    this.#deadlineMs = deadlineMs;
    this.#reading = new SharedRead(() => this.#readAll(), now);
  }

  /**
   * What a read that began at most 2 s ago found, or after this call where that is `newer`. The same objects again as long as
   * it is remembered.
   */
  async recent(want?: 'newer'): Promise<PoolsAndReservations> {
    return (await this.#reading.begunAfter(this.#now() - (want === 'newer' ? 0 : poolMemoryMs))).value;
  }

  /**
   * The pool as it is now, for the look after a claim was created; undefined when it is gone. The read begins after this call;
   * whoever asks while another read of the pool runs shares the next.
   */
  async fresh(name: string): Promise<SpiderIPPool | undefined> {
    const read = this.#fresh.get(name) ?? new SharedRead(() => this.#readPool(name), this.#look);
    this.#fresh.set(name, read);
    return (await read.begunAfter(this.#look())).value;
  }

  readonly #look = (): number => (this.#looks += 1);

  #readPool(name: string): Promise<SpiderIPPool | undefined> {
    const path = `${group}/spiderippools/${encodeURIComponent(name)}`;
    const what = `read SpiderIPPool "${name}"`;
    return findObject(this.#api, what, { method: 'GET', path }, deadlineIn(this.#deadlineMs));
  }

  async #readAll(): Promise<PoolsAndReservations> {
    const [pools, reserved, edits] = await Promise.all([
      this.#list<SpiderIPPool>(`${group}/spiderippools`),
      this.#list<SpiderReservedIP>(`${group}/spiderreservedips`),
      this.#list<PoolEdit>(poolEditsPath),
    ]);
    return { pools, reserved, edits };
  }

  async #list<Item>(path: string): Promise<readonly Item[]> {
    const { items } = await persist(`list ${path.split('/').at(-1)}`, deadlineIn(this.#deadlineMs), (timeoutMs) =>
      listObjects<Item>(this.#api, { path }, deadlineIn(timeoutMs)),
    );
    return items;
  }
}
