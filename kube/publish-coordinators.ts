import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { SpiderCoordinator } from '../contracts/crds/spidercoordinator.ts';
import { finalizer } from '../ipam/admission/metadata.ts';
import { discoverCidrs } from '../network/cidr-discovery/discover-cidrs.ts';
import type { NetworkSources } from '../network/cidr-discovery/network-sources.ts';
import type { ApiClient } from './api-client.ts';
import { unless } from './api-error.ts';
import { leaderRequests } from './leader-writes.ts';
import type { Term } from './lease.ts';
import type { Log } from './log.ts';
import { readNetworkSources } from './network-sources.ts';
import { ObjectFeed } from './object-feed.ts';
import { PacedWork } from './paced-work.ts';
import { failureLog } from './publish-failure.ts';

const collection = '/apis/spiderpool.spidernet.io/v2beta1/spidercoordinators';
const kind = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderCoordinator' } as const;
/** Nine small reads. A pod's routes are made once, with its interface: no pod that is there waits for this. */
const lookEveryMs = 10_000;
const settleMs = 100;
const shortestPauseMs = 1000;

/** What Spiderpool's chart installs. NodeLocal DNSCache answers at an address of 169.254.0.0/16 on every node. */
const defaultCoordinator: SpiderCoordinator = {
  ...kind,
  metadata: { name: 'default' },
  spec: { mode: 'auto', podCIDRType: 'auto', hijackCIDR: ['169.254.0.0/16'] },
};

export interface CoordinatorsOptions {
  readonly api: ApiClient;
  readonly term: Term;
  /** Namespace/name. */
  readonly ciliumConfigMap: string;
  readonly log: Log;
}

/**
 * Keeps the status of every SpiderCoordinator as the cluster is: looked at when one changes and every 10 s, so whatever comes, goes
 * or changes is seen. Where there is none when the term begins, `default` is created. Ends with the term.
 */
export async function publishCoordinators({ api, term, ciliumConfigMap, log }: CoordinatorsOptions): Promise<void> {
  const { signal } = term;
  if (signal.aborted) return;
  const ended = once(signal, 'abort');
  const request = leaderRequests(api, term);
  let isFirstLook = true;

  const work = new PacedWork({
    work: async () => {
      if (isFirstLook && feed.rows.size === 0) await createDefault();
      isFirstLook = false;
      const sources = await readNetworkSources(request, ciliumConfigMap);
      const written = await Promise.allSettled([...feed.rows.values()].map((found) => publish(found, sources)));
      for (const outcome of written) if (outcome.status === 'rejected') throw outcome.reason;
      return shortestPauseMs;
    },
    settleMs,
    atOnce: 1,
    onFailure: failureLog(log, 'SpiderCoordinators not published'),
  });
  const look = (): void => {
    if (!signal.aborted) work.mark('all');
  };
  const feed: ObjectFeed<SpiderCoordinator, SpiderCoordinator> = new ObjectFeed({
    api,
    log,
    path: collection,
    rowOf: (object: SpiderCoordinator) => object,
    onChange: look,
    onListed: look,
  });

  void feed.follow(signal);
  const again = setInterval(() => feed.isWatching && look(), lookEveryMs);
  await ended;
  clearInterval(again);
  await work.stop();

  async function createDefault(): Promise<void> {
    const created = await request({ method: 'POST', path: collection, body: defaultCoordinator }).catch(unless(409));
    if (created !== undefined) log.info({ coordinator: 'default' }, 'SpiderCoordinator created: there was none');
  }

  async function publish({ metadata, spec, status }: SpiderCoordinator, sources: NetworkSources): Promise<void> {
    const { name, resourceVersion, deletionTimestamp, finalizers = [] } = metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(finalizer)) await release({ ...kind, metadata, spec });
      return;
    }
    const wanted = discoverCidrs(spec, sources);
    if (isDeepStrictEqual(status, wanted)) return;
    // The subresource takes nothing but the status from this.
    const body = { ...kind, metadata: { name, resourceVersion }, status: wanted };
    await request({ method: 'PUT', path: `${collection}/${name}/status`, body });
    const fields = { coordinator: name, ...wanted };
    if (wanted.phase === 'Synced') log.info(fields, 'CIDRs of the cluster published');
    else log.warn(fields, 'CIDRs of the cluster are not all known');
  }

  /** Spiderpool gave it a finalizer, and is no longer there to take it away. */
  async function release({ metadata, ...object }: SpiderCoordinator): Promise<void> {
    const finalizers = metadata.finalizers?.filter((name) => name !== finalizer) ?? [];
    const body = { ...object, metadata: { ...metadata, finalizers } };
    await request({ method: 'PUT', path: `${collection}/${metadata.name}`, body }).catch(unless(404));
  }
}
