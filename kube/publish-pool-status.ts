import { hash } from 'node:crypto';
import type { SpiderIPPool, SpiderIPPoolStatus } from '../contracts/crds/spiderippool.ts';
import { automaticPoolLabels } from '../ipam/automatic-pool.ts';
import type { ApiClient } from './api-client.ts';
import type { ClaimRow } from './claim-feed.ts';
import type { PoolRoutes } from './endpoint-status.ts';
import type { LeaderRequest } from './leader-writes.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { PacedWork } from './paced-work.ts';
import { poolStatus, totalIPCount } from './pool-status.ts';
import { failureLog } from './publish-failure.ts';

const collection = '/apis/spiderpool.spidernet.io/v2beta1/spiderippools';
const settleMs = 200;
const shortestPauseMs = 1000;
/** A new automatic pool has its first pods soon: with their claims its first status is one write, and not among those of other pools. */
const firstPodsMs = 5000;
/** Every write puts the whole object into etcd, so large ones are written more rarely: at most 4 KB a second for each pool. */
const bytesPerSecond = 4096;

interface PoolRow {
  readonly resourceVersion: string;
  readonly gateway?: string;
  readonly routes?: NonNullable<SpiderIPPool['spec']['routes']>;
  readonly totalIPCount: number | undefined;
  readonly specBytes: number;
  /** Of the status that it shows. */
  readonly fingerprint: string;
  /** An automatic pool of which nothing was published yet. */
  readonly isNewlyMade: boolean;
}

/** A pool in numbers. */
export interface PoolFigures {
  readonly name: string;
  /** `ips` less `excludeIPs`; absent for a pool that cannot be read. */
  readonly total?: number;
  readonly claimed: number;
}

/** Keeps `status` of every SpiderIPPool as its claims are: at most one write a second for a pool, and none without a change. */
export class PoolStatusPublisher {
  readonly #feed: ObjectFeed<SpiderIPPool, PoolRow>;
  readonly #work: PacedWork;
  readonly #request: LeaderRequest;
  readonly #claimsOf: (pool: string) => ReadonlySet<ClaimRow>;
  /** Until each pool that was newly made is published, whether or not it has pods by then. */
  readonly #firstPods = new Map<string, NodeJS.Timeout>();
  #isStarted = false;

  constructor(options: {
    readonly api: ApiClient;
    readonly request: LeaderRequest;
    readonly claimsOf: (pool: string) => ReadonlySet<ClaimRow>;
    readonly log: Log;
  }) {
    this.#request = options.request;
    this.#claimsOf = options.claimsOf;
    this.#feed = new ObjectFeed({
      api: options.api,
      path: collection,
      log: options.log,
      rowOf,
      onChange: (pool, _, after) => (after?.isNewlyMade === true ? this.#concernSoon(pool) : this.concern(pool)),
    });
    this.#work = new PacedWork({
      work: (pool) => this.#publish(pool),
      settleMs,
      atOnce: 2,
      onFailure: failureLog(options.log, 'status of a pool not published'),
    });
  }

  /** What endpoints show of their pools. */
  get pools(): PoolRoutes {
    return this.#feed.rows;
  }

  get listed(): Promise<void> {
    return this.#feed.listed;
  }

  follow(signal: AbortSignal): Promise<void> {
    return this.#feed.follow(signal);
  }

  /** Compares every pool with its claims, now that both are known. */
  start(): void {
    this.#isStarted = true;
    for (const pool of this.#feed.rows.keys()) this.#work.mark(pool);
  }

  *figures(): Iterable<PoolFigures> {
    for (const [name, { totalIPCount: total }] of this.#feed.rows) {
      yield { name, ...(total === undefined ? {} : { total }), claimed: this.#claimsOf(name).size };
    }
  }

  /** The pool or its claims changed. */
  concern(pool: string): void {
    if (this.#isStarted) this.#work.mark(pool);
  }

  #concernSoon(pool: string): void {
    if (!this.#isStarted || this.#firstPods.has(pool)) return;
    const publish = (): void => {
      this.#firstPods.delete(pool);
      this.concern(pool);
    };
    this.#firstPods.set(pool, setTimeout(publish, firstPodsMs));
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    for (const timer of this.#firstPods.values()) clearTimeout(timer);
    this.#firstPods.clear();
    await this.#work.stop();
  }

  async #publish(name: string): Promise<number> {
    const row = this.#feed.rows.get(name);
    if (row === undefined) return 0;
    const status = poolStatus(row.totalIPCount, this.#claimsOf(name));
    if (fingerprint(status) === row.fingerprint) return 0;
    // The subresource takes nothing but the status from this, whatever else the object holds.
    const { apiVersion, kind } = poolKind;
    const metadata = { name, resourceVersion: row.resourceVersion };
    await this.#request({
      method: 'PUT',
      path: `${collection}/${name}/status`,
      body: { apiVersion, kind, metadata, status },
    });
    return pauseMs(row.specBytes + JSON.stringify(status).length);
  }
}

const poolKind = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPPool' } as const;

/** How long a pool of this size waits for its next write. */
export const pauseMs = (bytes: number): number =>
  Math.max(shortestPauseMs, Math.round((bytes / bytesPerSecond) * 1000));

function rowOf(pool: SpiderIPPool): PoolRow {
  const { gateway, routes } = pool.spec;
  return {
    resourceVersion: pool.metadata.resourceVersion ?? '',
    ...(gateway !== undefined && { gateway }),
    ...(routes !== undefined && { routes }),
    totalIPCount: totalIPCount(pool),
    specBytes: JSON.stringify([pool.metadata, pool.spec]).length,
    fingerprint: fingerprint(pool.status ?? {}),
    isNewlyMade: pool.status === undefined && pool.metadata.labels?.[automaticPoolLabels.applicationName] !== undefined,
  };
}

const fingerprint = ({ allocatedIPCount, totalIPCount: total, allocatedIPs }: SpiderIPPoolStatus): string =>
  hash('sha256', JSON.stringify([allocatedIPCount, total, allocatedIPs]), 'base64url');
