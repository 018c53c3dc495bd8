import type { ObjectMeta } from '../contracts/crds/object-meta.ts';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import { ipClaimLabels } from '../contracts/ip-claim.ts';
import { finalizer } from '../ipam/admission/metadata.ts';
import type { ApiClient } from './api-client.ts';
import { unless } from './api-error.ts';
import { labelHash } from './label-hash.ts';
import type { LeaderRequest } from './leader-writes.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { PacedWork } from './paced-work.ts';
import { failureLog } from './publish-failure.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const claims = '/apis/orbweaver.io/v1alpha1/ipclaims';

export interface FinalizersOptions {
  readonly api: ApiClient;
  readonly request: LeaderRequest;
  /** How many claims a pool has as far as we know: what has some is not looked at. */
  readonly claimCount: (pool: string) => number;
  readonly log: Log;
}

interface Finalized {
  readonly metadata: ObjectMeta;
}

/** What is kept of an object that may be going. */
interface Row {
  readonly uid: string;
  /** It is being deleted, and waits for us. */
  readonly isGoing: boolean;
  /** UIDs of what it belongs to. */
  readonly owners: readonly string[];
}

/**
 * Lets pools and Subnets go that are being deleted: a pool once no claim is in it, by a live list; a Subnet once none of its pools
 * is left, which go with it.
 */
export class Finalizers {
  readonly #options: FinalizersOptions;
  readonly #pools: ObjectFeed<Finalized, Row>;
  readonly #subnets: ObjectFeed<Finalized, Row>;
  readonly #work: PacedWork;
  #isStarted = false;

  constructor(options: FinalizersOptions) {
    this.#options = options;
    const { api, log } = options;
    this.#pools = new ObjectFeed({
      api,
      log,
      path: `${group}/spiderippools`,
      rowOf,
      onChange: (pool, before, after) => {
        this.concern(pool);
        const owners = (after ?? before)?.owners ?? [];
        for (const [subnet, { uid }] of this.#subnets.rows) if (owners.includes(uid)) this.#concernSubnet(subnet);
      },
    });
    this.#subnets = new ObjectFeed({
      api,
      log,
      path: `${group}/spidersubnets`,
      rowOf,
      onChange: (subnet) => this.#concernSubnet(subnet),
    });
    this.#work = new PacedWork({
      work: async (key) => {
        const [kind, name = ''] = key.split('/');
        await (kind === 'pool' ? this.#releasePool(name) : this.#releaseSubnet(name));
        return 0;
      },
      settleMs: 50,
      atOnce: 4,
      onFailure: failureLog(log, 'finalizer not removed'),
    });
  }

  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#pools.follow(signal), this.#subnets.follow(signal)]);
  }

  /** Looks at everything that is going, now that the claims are known. */
  start(): void {
    this.#isStarted = true;
    for (const pool of this.#pools.rows.keys()) this.concern(pool);
    for (const subnet of this.#subnets.rows.keys()) this.#concernSubnet(subnet);
  }

  /** The pool or its claims changed. */
  concern(pool: string): void {
    if (!this.#isStarted || this.#pools.rows.get(pool)?.isGoing !== true) return;
    if (this.#options.claimCount(pool) === 0) this.#work.mark(`pool/${pool}`);
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#work.stop();
  }

  #concernSubnet(subnet: string): void {
    if (this.#isStarted && this.#subnets.rows.get(subnet)?.isGoing === true) this.#work.mark(`subnet/${subnet}`);
  }

  async #releasePool(name: string): Promise<void> {
    const query = { labelSelector: `${ipClaimLabels.pool}=${labelHash(name)}`, limit: 1 };
    const { items } = await this.#options.request<{ items: readonly unknown[] }>({
      method: 'GET',
      path: claims,
      query,
    });
    if (items.length === 0) await this.#release(`${group}/spiderippools/${name}`);
  }

  async #releaseSubnet(name: string): Promise<void> {
    const { request } = this.#options;
    const uid = this.#subnets.rows.get(name)?.uid;
    const { items } = await request<{ items: readonly SpiderIPPool[] }>({
      method: 'GET',
      path: `${group}/spiderippools`,
    });
    const pools = items.filter(({ metadata }) => rowOf({ metadata }).owners.includes(uid ?? ''));
    for (const { metadata } of pools) {
      if (metadata.deletionTimestamp !== undefined) continue;
      const path = `${group}/spiderippools/${metadata.name}`;
      await request({ method: 'DELETE', path, body: { preconditions: { uid: metadata.uid } } }).catch(unless(404));
    }
    if (pools.length === 0) await this.#release(`${group}/spidersubnets/${name}`);
  }

  async #release(path: string): Promise<void> {
    const { request, log } = this.#options;
    const found = await request<{ metadata: ObjectMeta; status?: { controlledIPPools?: string } }>({
      method: 'GET',
      path,
    }).catch(unless(404));
    const records = found?.status?.controlledIPPools ?? '';
    if (!found || !rowOf(found).isGoing || !['', '{}'].includes(records)) return;
    const finalizers = found.metadata.finalizers?.filter((name) => name !== finalizer);
    await request({ method: 'PUT', path, body: { ...found, metadata: { ...found.metadata, finalizers } } });
    log.info({ name: found.metadata.name }, 'finalizer removed: nothing is in use any more');
  }
}

const rowOf = ({ metadata }: Finalized): Row => ({
  uid: metadata.uid ?? '',
  isGoing: metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(finalizer) === true,
  owners: (metadata.ownerReferences ?? []).map(({ uid }) => uid),
});
