import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledFailure, Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { type ApplicationPoolPorts, createApplicationPoolActivities } from '../../../activities/application-pool.ts';
import type { Log } from '../../../activities/node-ports.ts';
import { createSweepActivities } from '../../../activities/sweep.ts';
import type { ApplicationPoolActivities, PodAnnotations } from '../../../contracts/application-pool.ts';
import { ProvisionError } from '../../../contracts/failures.ts';
import type { SweepActivities } from '../../../contracts/sweep.ts';
import type { PoolSubject } from '../../../ipam/auto-pools/pool-wish.ts';
import type { Stickiness } from '../../../ipam/sticky-identity.ts';
import type { ApiClient } from '../../../kube/api-client.ts';
import { ApplicationReader } from '../../../kube/application-reader.ts';
import { AutomaticPoolStore } from '../../../kube/automatic-pool-store.ts';
import type { SubnetBook } from '../../../kube/subnet-book.ts';
import { createSuspectReader, type FollowedNames } from '../../../kube/suspect-reader.ts';
import { toApplicationFailure } from '../../../temporal-config/failure-conversion.ts';
import { controlQueue } from '../../../temporal-config/queues.ts';
import { makeWorkflowsLean } from '../../lean-workflows.ts';
import { loadWorkflows } from '../../load-workflows.ts';
import { openNodeNamespace } from './node-namespace.ts';
import { hintAtPool } from './pool-runs.ts';
import { ensureSweepSchedule } from './sweep-schedule.ts';

export interface ControlTemporalOptions {
  readonly address: string;
  /** Namespace of this worker's own workflows. */
  readonly controlNamespace: string;
  /** Namespace of the nodes' runs, which the activities reach with a client. */
  readonly nodeNamespace: string;
  /** Prebuilt workflow code; empty: bundled here, which costs a second. */
  readonly workflowBundle: string;
  /** Who this replica is, for people who look at Temporal. */
  readonly identity: string;
  readonly api: ApiClient;
  /** Writes the status of SpiderSubnets; the process has one. */
  readonly subnets: SubnetBook;
  /** Addresses that an automatic pool has over its replicas where its application does not say how many. */
  readonly poolSurplus: number;
  /** Absent: StatefulSets and machines keep their addresses. */
  readonly stickiness?: Stickiness;
  /** What sweeps need not list; absent: they list everything. */
  readonly followed?: FollowedNames;
  /** Counts what sweeps come to. */
  readonly metrics?: { counting(activities: SweepActivities): SweepActivities };
  readonly log: Log;
  /** How long a node's worker may take for an answer; absent: as configured for sweeps. */
  readonly answerMs?: number;
}

export interface ControlTemporal {
  /** It polls. */
  readonly isConnected: boolean;
  /** Tells the run of an application's pool that something changed. Fails with `TemporalUnavailable`. */
  readonly hintAtPool: (subject: PoolSubject, podAnnotations: PodAnnotations) => Promise<void>;
  /** Finishes what runs, and polls no more. */
  stop(): Promise<void>;
}

const reconnectMs = 1000;

/**
 * Polls the queue `control` on this replica and sees to the schedules. Connects in the background, again and again: without
 * Temporal the rest of the control worker goes on. `installTemporalRuntime` comes first, once per process.
 */
export function startControlTemporal(options: ControlTemporalOptions): ControlTemporal {
  const { address, log } = options;
  const stopped = new AbortController();
  let worker: Worker | undefined;
  let control: Client | undefined;

  async function pollUntilStopped(): Promise<void> {
    const workflowBundle = await loadWorkflows(options.workflowBundle);
    let isAway = false;
    while (!stopped.signal.aborted) {
      try {
        await withConnections(options, async (connection, clients) => {
          await ensureSweepSchedule(clients.control);
          worker = await createControlWorker(connection, clients.nodes, workflowBundle, options);
          log.info({ address, namespace: options.controlNamespace, taskQueue: controlQueue }, 'Temporal connected');
          isAway = false;
          control = clients.control;
          const running = worker.run();
          if (stopped.signal.aborted) worker.shutdown();
          await running;
        });
      } catch (err) {
        const remedy = 'Start the Temporal server, or correct the address; views and webhooks go on without it';
        if (!isAway) log.warn({ err, address, remedy }, 'Temporal is away, sweeps wait for it');
        isAway = true;
      } finally {
        worker = undefined;
        control = undefined;
      }
      await sleep(reconnectMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  }
  const polling = pollUntilStopped();
  polling.catch((err: unknown) =>
    log.error({ err, remedy: 'Report this: sweeps do not run here' }, 'control worker polls no more'),
  );

  return {
    get isConnected() {
      return worker !== undefined;
    },
    async hintAtPool(subject, podAnnotations) {
      if (control === undefined) throw notConnected(address);
      await hintAtPool(control, subject, podAnnotations);
    },
    async stop() {
      stopped.abort();
      if (worker?.getState() === 'RUNNING') worker.shutdown();
      await polling;
    },
  };
}

const notConnected = (address: string): ProvisionError =>
  new ProvisionError({
    type: 'TemporalUnavailable',
    message: `Temporal at ${address} is not connected`,
    remedy: 'See whether it runs: temporal operator cluster health',
  });

interface Clients {
  readonly control: Client;
  readonly nodes: Client;
}

async function withConnections(
  { address, controlNamespace, nodeNamespace, identity }: ControlTemporalOptions,
  work: (connection: NativeConnection, clients: Clients) => Promise<void>,
): Promise<void> {
  const native = await NativeConnection.connect({ address });
  try {
    const connection = await Connection.connect({ address, connectTimeout: '5 seconds' });
    try {
      const clientOf = (namespace: string): Client => new Client({ connection, namespace, identity });
      await work(native, { control: clientOf(controlNamespace), nodes: clientOf(nodeNamespace) });
    } finally {
      await connection.close();
    }
  } finally {
    await native.close();
  }
}

const uncounted = { counting: (activities: SweepActivities): SweepActivities => activities };

async function createControlWorker(
  connection: NativeConnection,
  nodes: Client,
  workflowBundle: WorkflowBundleOption,
  {
    controlNamespace,
    identity,
    api,
    stickiness,
    followed,
    metrics = uncounted,
    answerMs,
    ...options
  }: ControlTemporalOptions,
): Promise<Worker> {
  const { runs, checks } = openNodeNamespace(nodes, answerMs);
  const worker = await Worker.create({
    connection,
    namespace: controlNamespace,
    taskQueue: controlQueue,
    identity,
    workflowBundle,
    activities: {
      ...asTemporalActivities(
        metrics.counting(
          createSweepActivities({
            ...createSuspectReader(api, stickiness, followed),
            runs: { ...runs, listOpen: () => runs.listSome() },
            checks,
          }),
        ),
      ),
      ...asTemporalActivities(
        createApplicationPoolActivities(poolPorts(api, options), { surplus: options.poolSurplus }),
      ),
    },
    debugMode: true, // runs on this thread: an automatic pool takes a quarter less CPU here (docs/decisions/013, 027)
    maxCachedWorkflows: 300, // an application's pool is 0.1 MB; one that is not cached costs 8 ms of replay when it is told something
    maxConcurrentActivityTaskExecutions: 40, // a sweep asks 20 nodes at a time
    maxConcurrentLocalActivityExecutions: 16, // looks at pools: more of them would wait for connections, against their deadlines
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    shutdownGraceTime: '2 seconds',
    shutdownForceTime: '10 seconds',
  });
  if (!makeWorkflowsLean(worker)) options.log.warn({}, 'the SDK is not as expected: workflows run, but slower');
  return worker;
}

function poolPorts(api: ApiClient, { subnets, log }: Pick<ControlTemporalOptions, 'subnets' | 'log'>) {
  const pools = new AutomaticPoolStore(api);
  return {
    applications: new ApplicationReader(api),
    pools,
    claims: pools,
    subnets,
    log,
  } satisfies ApplicationPoolPorts;
}

/** Our failures cross into Temporal with their type; and a worker that shuts down does not wait for a node's answer. */
function asTemporalActivities<Activities extends SweepActivities | ApplicationPoolActivities>(
  activities: Activities,
): Activities {
  const converted =
    <Args extends unknown[], Result>(activity: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      const work = activity(...args);
      try {
        return await Promise.race([work, Context.current().cancelled]);
      } catch (error) {
        work.catch(() => undefined); // it fails later, when nobody waits any more
        if (error instanceof CancelledFailure) throw error;
        throw toApplicationFailure(error instanceof Error ? error : new Error(String(error)));
      }
    };
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [name, converted(activity)]),
  ) as unknown as Activities;
}
