import { once } from 'node:events';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import type { ApiClient } from './api-client.ts';
import type { ClaimFeed } from './claim-feed.ts';
import type { EndpointFeed } from './endpoint-feed.ts';
import { Finalizers } from './finalizers.ts';
import { leaderRequests } from './leader-writes.ts';
import type { Term } from './lease.ts';
import type { Log } from './log.ts';
import { EndpointPublisher } from './publish-endpoints.ts';
import { IPAMClaimPublisher } from './publish-ipam-claims.ts';
import { type PoolFigures, PoolStatusPublisher } from './publish-pool-status.ts';
import { untilImported } from './spiderpool-endpoints.ts';
import { createSuspectReader } from './suspect-reader.ts';

export type { PoolFigures };

/** What the views know of the cluster, in numbers. */
export interface ClusterFigures {
  pools(): Iterable<PoolFigures>;
  claimPhases(): Iterable<ClaimPhase>;
}

/**
 * Publishes what the claims say, as Spiderpool's users know it: `status` of pools, and a `SpiderEndpoint` for each pod; and the
 * `status` of IPAMClaims. Ends with the term. Nothing is decided by what is published, and no ADD waits for it.
 */
export async function publishViews({
  api,
  claims,
  endpoints: published,
  term,
  log,
  onFigures = () => undefined,
}: {
  readonly api: ApiClient;
  /** Followed by the caller, also between terms. */
  readonly claims: ClaimFeed;
  /** As the claims: a new leader finds both known. */
  readonly endpoints: EndpointFeed;
  readonly term: Term;
  readonly log: Log;
  /** Told where to look once all is known, and with nothing when the term is over. */
  readonly onFigures?: (figures: ClusterFigures | undefined) => void;
}): Promise<void> {
  const { signal } = term;
  const ended = signal.aborted ? Promise.resolve() : once(signal, 'abort');
  const request = leaderRequests(api, term);
  const pools = new PoolStatusPublisher({ api, request, claimsOf: (pool) => claims.ofPool(pool), log });
  const endpoints = new EndpointPublisher({ request, published, claims, pools: () => pools.pools, log });
  const ipamClaims = new IPAMClaimPublisher({ api, request, claims, log });
  const finalizers = new Finalizers({ api, request, claimCount: (pool) => claims.ofPool(pool).size, log });

  const unsubscribeClaims = claims.subscribe((concerned) => {
    for (const pool of concerned.pools) {
      pools.concern(pool);
      finalizers.concern(pool);
    }
    for (const pod of concerned.pods) endpoints.concern(pod);
    for (const name of concerned.ipamClaims) ipamClaims.concern(name);
  });

  const unsubscribeEndpoints = published.subscribe((pod) => endpoints.concern(pod));

  for (const feed of [pools, ipamClaims, finalizers]) void feed.follow(signal);
  // Not before all is known: an endpoint whose claims are not listed yet would look like one that nobody stands behind.
  await Promise.race([Promise.all([claims.refresh(), published.refresh(), pools.listed]), ended]);
  const { pods: podReader } = createSuspectReader(api);
  await untilImported({
    endpoints: () => published.ofSpiderpool(),
    hasClaim: (name) => claims.has(name),
    isThere: (pod) => podReader.isThere(pod),
    signal,
    log,
  });
  if (!signal.aborted) {
    log.info({}, 'views compared with the claims');
    pools.start();
    finalizers.start();
    ipamClaims.start();
    await endpoints.start();
    onFigures({ pools: () => pools.figures(), claimPhases: () => claims.phases() });
  }
  await ended;
  unsubscribeClaims();
  unsubscribeEndpoints();
  onFigures(undefined);
  await Promise.all([pools.stop(), endpoints.stop(), ipamClaims.stop(), finalizers.stop()]);
}
