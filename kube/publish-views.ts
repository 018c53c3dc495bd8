import { once } from 'node:events';
import type { ApiClient } from './api-client.ts';
import { ClaimFeed } from './claim-feed.ts';
import { leaderRequests } from './leader-writes.ts';
import type { Term } from './lease.ts';
import type { Log } from './log.ts';
import { EndpointPublisher } from './publish-endpoints.ts';
import { PoolStatusPublisher } from './publish-pool-status.ts';

/**
 * Publishes what the claims say, as Spiderpool's users know it: `status` of pools, and a `SpiderEndpoint` for each pod. Ends
 * with the term. Nothing is decided by what is published, and no ADD waits for it.
 */
export async function publishViews({
  api,
  term,
  log,
}: {
  readonly api: ApiClient;
  readonly term: Term;
  readonly log: Log;
}): Promise<void> {
  const { signal } = term;
  const ended = signal.aborted ? Promise.resolve() : once(signal, 'abort');
  const request = leaderRequests(api, term);
  const claims = new ClaimFeed({
    api,
    log,
    onChange: (concerned) => {
      for (const pool of concerned.pools) pools.concern(pool);
      for (const pod of concerned.pods) endpoints.concern(pod);
    },
  });
  const pools = new PoolStatusPublisher({ api, request, claimsOf: (pool) => claims.ofPool(pool), log });
  const endpoints = new EndpointPublisher({ api, request, claims, pools: () => pools.pools, log });

  const feeds = [claims, pools, endpoints];
  for (const feed of feeds) void feed.follow(signal);
  // Not before all is known: an endpoint whose claims are not listed yet would look like one that nobody stands behind.
  await Promise.race([Promise.all(feeds.map(({ listed }) => listed)), ended]);
  if (!signal.aborted) {
    log.info({}, 'views compared with the claims');
    pools.start();
    await endpoints.start();
  }
  await ended;
  await Promise.all([pools.stop(), endpoints.stop()]);
}
