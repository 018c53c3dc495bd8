import { once } from 'node:events';
import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../contracts/crds/spidersubnet.ts';
import { type PoolSubject, type SeenApplication, subjectKey } from '../ipam/auto-pools/pool-wish.ts';
import type { ApiClient } from './api-client.ts';
import { ApplicationFeed, type WishingPods } from './application-feed.ts';
import { leaderRequests } from './leader-writes.ts';
import type { Term } from './lease.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { PoolHints, type PoolHintsOptions } from './pool-hints.ts';
import type { SubnetBook } from './subnet-book.ts';
import { type PoolRow, poolRow, type SubnetRow, subnetRow } from './subnet-rows.ts';
import { SubnetUpkeep } from './subnet-upkeep.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
/** What no event told of is noticed after this time. */
const compareEveryMs = 300_000;

/**
 * What the leader follows, for runs on its process: it saves them a read of each. As it was a moment ago; what changes from then on is
 * hinted at. Each answer is undefined, or false, where it has to be read.
 */
export interface FollowedApplications {
  /** One of Kubernetes' own kinds that wishes for pools. Of its annotations only those that say something about pools. */
  find(subject: PoolSubject): SeenApplication | undefined;
  /** True: no pool of it was seen. */
  hasNoPool(subject: PoolSubject): boolean;
}

export interface SupervisionOptions {
  readonly api: ApiClient;
  /** Followed by the caller, also between terms. */
  readonly pods: WishingPods;
  readonly term: Term;
  readonly settings: Pick<ClusterSettings, 'families' | 'subnets' | 'automaticPools' | 'automaticPoolSurplus'>;
  readonly book: SubnetBook;
  readonly hint: PoolHintsOptions['hint'];
  /** Told what is followed once all is known, and with nothing when the term is over. */
  readonly onFollowed?: (followed: FollowedApplications | undefined) => void;
  readonly log: Log;
}

/** Keeps SpiderSubnets in order and notices who needs an automatic pool. Ends with the term. Without the feature it does nothing. */
export async function superviseSubnets({
  api,
  pods,
  term,
  settings,
  book,
  hint,
  onFollowed = () => undefined,
  log,
}: SupervisionOptions): Promise<void> {
  const { signal } = term;
  if (!settings.subnets || signal.aborted) return;
  const ended = once(signal, 'abort');

  const pools: ObjectFeed<SpiderIPPool, PoolRow> = new ObjectFeed({
    api,
    log,
    path: `${group}/spiderippools`,
    rowOf: poolRow,
    onChange: (name, before, after) => {
      upkeep.poolChanged(name, before, after);
      hints?.poolChanged(name, before, after);
    },
  });
  const subnets: ObjectFeed<SpiderSubnet, SubnetRow> = new ObjectFeed({
    api,
    log,
    path: `${group}/spidersubnets`,
    rowOf: subnetRow,
    onChange: (name, before, after) => {
      upkeep.subnetChanged(name, after);
      const hasMore =
        after && (before === undefined || before.spec !== after.spec || after.allocated < before.allocated);
      if (hasMore === true) hints?.subnetHasMore(name);
    },
  });
  const upkeep = new SubnetUpkeep({
    request: leaderRequests(api, term),
    book,
    subnets: () => subnets.rows,
    pools: () => pools.rows,
    log,
  });
  const applications = settings.automaticPools
    ? new ApplicationFeed({
        api,
        pods,
        log,
        families: settings.families,
        onChange: (subject) => hints?.applicationChanged(subject),
      })
    : undefined;
  const hints =
    applications &&
    new PoolHints({
      hint,
      log,
      wishing: (key) => applications.wishing(key),
      surplus: settings.automaticPoolSurplus,
    });

  const feeds = [pools, subnets, ...(applications ? [applications] : [])];
  for (const feed of feeds) void feed.follow(signal);
  // Not before all is known: an application whose pool is not listed yet would look like one that has none.
  await Promise.race([Promise.all(feeds.map(({ listed }) => listed)), ended]);
  const compare = (): void => {
    if (signal.aborted) return;
    upkeep.compare();
    hints?.compare();
  };
  if (applications && hints) {
    const isSure = (): boolean => term.remainingMs() > 0 && applications.isWatching && pools.isWatching;
    onFollowed({
      find: (subject) => {
        const wishing = isSure() ? applications.wishing(subjectKey(subject)) : undefined;
        return wishing?.isForeign === false ? wishing.seen : undefined;
      },
      hasNoPool: (subject) => isSure() && !hints.hasPool(subject),
    });
  }
  compare();
  const again = setInterval(compare, compareEveryMs);
  await ended;
  onFollowed(undefined);
  clearInterval(again);
  await Promise.all([upkeep.stop(), hints?.stop()]);
}
