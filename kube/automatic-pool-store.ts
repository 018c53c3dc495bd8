import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import { fromClaimName } from '../ipam/address.ts';
import { readSeenPool, selectorOf } from '../ipam/auto-pools/pool-object.ts';
import { isPoolOf, type PoolSubject } from '../ipam/auto-pools/pool-wish.ts';
import type { ApiClient, ApiMethod } from './api-client.ts';
import { ApiError, hasStatus } from './api-error.ts';
import { listObjects } from './list.ts';
import { deadlineIn, persist } from './persist.ts';
import { listPoolClaims } from './pool-claims.ts';
import type { FollowedApplications } from './supervise-subnets.ts';

/** `changed`: somebody wrote meanwhile; `exists`: a pool of this name was there; `refused`: by admission or the schema. */
export type PoolWrite =
  | { readonly outcome: 'written' | 'changed' | 'exists' }
  | { readonly outcome: 'refused'; readonly why: string };

const collection = '/apis/spiderpool.spidernet.io/v2beta1/spiderippools';
const deadlineMs = 10_000;
/** Admission takes its time with an edit that takes addresses away: until no node remembers the pool before it (decision 017). */
const writeMs = 15_000;

/** The pools that are made for applications. Fails with `ApiServerUnavailable`. */
export class AutomaticPoolStore {
  readonly #api: ApiClient;
  readonly #followed: () => FollowedApplications | undefined;

  constructor(api: ApiClient, followed: () => FollowedApplications | undefined = () => undefined) {
    this.#api = api;
    this.#followed = followed;
  }

  hasNone(subject: PoolSubject): boolean {
    return this.#followed()?.hasNoPool(subject) === true;
  }

  async of(subject: PoolSubject): Promise<readonly SpiderIPPool[]> {
    const { items } = await persist('list automatic pools', deadlineIn(deadlineMs), (timeoutMs) =>
      listObjects<SpiderIPPool>(
        this.#api,
        { path: collection, labelSelector: selectorOf(subject), isShort: true },
        deadlineIn(timeoutMs),
      ),
    );
    return items.filter((pool) => {
      const seen = readSeenPool(pool);
      return seen !== undefined && isPoolOf(seen, subject);
    });
  }

  create(pool: SpiderIPPool): Promise<PoolWrite> {
    return this.#write('POST', collection, pool);
  }

  update(pool: SpiderIPPool): Promise<PoolWrite> {
    return this.#write('PUT', pathOf(pool), pool);
  }

  async remove(pool: SpiderIPPool): Promise<void> {
    const path = pathOf(pool);
    await persist(`delete SpiderIPPool "${pool.metadata.name}"`, deadlineIn(deadlineMs), async (timeoutMs) => {
      try {
        const body = { preconditions: { uid: pool.metadata.uid } };
        await this.#api.request({ method: 'DELETE', path, body, timeoutMs });
      } catch (error) {
        const isGone = hasStatus(error, 404) || hasStatus(error, 409); // 409: another pool has the name now
        if (!isGone) throw error;
      }
    });
  }

  /** Every address of the pool that has a claim, in whatever phase. */
  async takenOf(pool: string): Promise<ReadonlySet<bigint>> {
    const rows = await listPoolClaims(this.#api, pool, deadlineIn(deadlineMs));
    return new Set(rows.flatMap((row) => fromClaimName(row['Name'] ?? '')?.value ?? []));
  }

  /** Refusals are answers; whatever leaves doubt is asked again: a create that took effect is then found as existing. */
  #write(method: ApiMethod, path: string, body: SpiderIPPool): Promise<PoolWrite> {
    return persist(`write SpiderIPPool "${body.metadata.name}"`, deadlineIn(writeMs), async (timeoutMs) => {
      try {
        await this.#api.request({ method, path, query: { fieldManager: 'orbweaver' }, body, timeoutMs });
        return { outcome: 'written' };
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.reason === 'AlreadyExists') return { outcome: 'exists' };
        if (method === 'PUT' && (error.status === 409 || error.status === 404)) return { outcome: 'changed' };
        if ([400, 403, 409, 422].includes(error.status)) return { outcome: 'refused', why: error.message };
        throw error;
      }
    });
  }
}

const pathOf = ({ metadata }: SpiderIPPool): string => `${collection}/${encodeURIComponent(metadata.name)}`;
