import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openApiClient } from '../../kube/api-client.ts';
import { ClaimFeed } from '../../kube/claim-feed.ts';
import { EndpointFeed } from '../../kube/endpoint-feed.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { LeaderLease } from '../../kube/lease.ts';
import { PodFeed } from '../../kube/pod-feed.ts';
import { publishCoordinators } from '../../kube/publish-coordinators.ts';
import { publishViews } from '../../kube/publish-views.ts';
import { SubnetBook } from '../../kube/subnet-book.ts';
import { type FollowedApplications, superviseSubnets } from '../../kube/supervise-subnets.ts';
import { createLogger } from '../logger.ts';
import { ControlMetrics } from '../metrics/control-metrics.ts';
import { serveMonitoring } from '../metrics/http-server.ts';
import { readSubnetFigures } from '../metrics/subnet-figures.ts';
import { installTemporalRuntime } from '../temporal-runtime.ts';
import type { ControlWorkerConfig } from './config.ts';
import { looksAtOnce, startControlTemporal } from './temporal/control-temporal.ts';
import { startWebhooks } from './webhooks/webhooks.ts';

/** For the lists of claims and endpoints, 100,000 of each: one that fails for good must not keep sweeps and automatic pools. */
const podsWaitMs = 30_000;

/** One replica of the control worker. The leader publishes the views; the others wait for its end. Ends with SIGTERM. */
export async function runControlWorker(config: ControlWorkerConfig): Promise<void> {
  const log = createLogger(config.logLevel, { process: 'control-worker', replica: config.name });
  const endpoint = await endpointOf(config.kubeconfig === '' ? undefined : config.kubeconfig);
  const api = openApiClient(endpoint);
  const leaseApi = openApiClient(endpoint); // renewing waits for no connection that others use
  const subnetApi = openApiClient(endpoint); // eight watches hold a connection each, and what is written meanwhile needs others
  const lookApi = openApiClient(endpoint, looksAtOnce + 4); // looks at pools wait for admission, and the book of Subnets not for them
  const webhookApi = openApiClient(endpoint); // nor does somebody who waits for a verdict
  const feedApi = openApiClient(endpoint);
  // On every replica, whoever leads: sweeps run on all of them, and a new leader need not list 100,000 of each first.
  const stopped = new AbortController();
  const feedOptions = { api: feedApi, log };
  const claims = new ClaimFeed(feedOptions);
  const endpoints = new EndpointFeed(feedOptions);
  const pods = new PodFeed(feedOptions);
  for (const feed of [claims, endpoints]) void feed.follow(stopped.signal);
  // After what the views need: the API server would work on all three lists at once, and none would be soon. Never for good, though.
  const patience = sleep(podsWaitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
  void Promise.race([Promise.all([claims.listed, endpoints.listed]), patience]).then(() => pods.follow(stopped.signal));
  const lease = new LeaderLease({
    api: leaseApi,
    namespace: config.cluster.namespace,
    name: 'orbweaver-control',
    identity: `${config.name}_${randomUUID()}`,
    log,
  });
  installTemporalRuntime(log);
  const metrics = new ControlMetrics({
    withDebug: config.hasDebugMetrics,
    subnets: () => readSubnetFigures(api),
    isTemporalConnected: () => temporal.isConnected,
  });
  const subnets = new SubnetBook({ api: lookApi });
  let followedApplications: FollowedApplications | undefined; // while this replica leads
  const temporal = startControlTemporal({
    address: config.temporalAddress,
    controlNamespace: config.temporalNamespaces.control,
    nodeNamespace: config.temporalNamespaces.node,
    workflowBundle: config.workflowBundle,
    identity: `control/${config.name}/${process.pid}`,
    api,
    lookApi,
    subnets,
    poolSurplus: config.cluster.automaticPoolSurplus,
    stickiness: config.cluster,
    followed: { claims, pods },
    followedApplications: () => followedApplications,
    metrics,
    log,
  });
  const monitoring = serveMonitoring({
    ...config,
    metrics: () => metrics.text(),
    notReady: () => undefined, // a replica that only waits for its turn to lead is as it should be
    log,
  });

  const { webhook, cluster } = config;
  const webhooks = webhook && startWebhooks({ api: webhookApi, config: webhook, cluster, log });
  if (webhooks === undefined) {
    const remedy = 'Set ORBWEAVER_WEBHOOK_SERVICE, or ORBWEAVER_WEBHOOK_URL';
    log.warn({ remedy }, 'no webhook is configured: nothing checks pools and Subnets');
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping: what is being written is finished, the lease given back');
      lease.stop();
    });
  }
  await lease.compete(async (term) => {
    await Promise.all([
      publishViews({ api, claims, endpoints, term, log, onFigures: metrics.lead }),
      publishCoordinators({ api, term, log, ciliumConfigMap: config.ciliumConfigMap }),
      superviseSubnets({
        api: subnetApi,
        pods,
        term,
        log,
        settings: config.cluster,
        book: subnets,
        hint: temporal.hintAtPool,
        onFollowed: (followed) => {
          followedApplications = followed;
        },
      }),
      webhooks?.lead(term),
    ]);
  });
  await Promise.all([temporal.stop(), webhooks?.stop()]);
  monitoring.close();
  stopped.abort();
  await Promise.all([api, leaseApi, lookApi, webhookApi, subnetApi, feedApi].map((client) => client.close()));
  log.info({}, 'stopped');
}
