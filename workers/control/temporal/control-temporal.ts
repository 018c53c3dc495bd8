import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledFailure, Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import type { Log } from '../../../activities/node-ports.ts';
import { createSweepActivities } from '../../../activities/sweep.ts';
import type { SweepActivities } from '../../../contracts/sweep.ts';
import type { ApiClient } from '../../../kube/api-client.ts';
import { createSuspectReader } from '../../../kube/suspect-reader.ts';
import { toApplicationFailure } from '../../../temporal-config/failure-conversion.ts';
import { controlQueue } from '../../../temporal-config/queues.ts';
import { loadWorkflows } from '../../load-workflows.ts';
import { openNodeNamespace } from './node-namespace.ts';
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
  readonly log: Log;
  /** How long a node's worker may take for an answer; absent: as configured for sweeps. */
  readonly answerMs?: number;
}

export interface ControlTemporal {
  /** It polls. */
  readonly isConnected: boolean;
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
    async stop() {
      stopped.abort();
      if (worker?.getState() === 'RUNNING') worker.shutdown();
      await polling;
    },
  };
}

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

const createControlWorker = (
  connection: NativeConnection,
  nodes: Client,
  workflowBundle: WorkflowBundleOption,
  { controlNamespace, identity, api, answerMs }: ControlTemporalOptions,
): Promise<Worker> =>
  Worker.create({
    connection,
    namespace: controlNamespace,
    taskQueue: controlQueue,
    identity,
    workflowBundle,
    activities: asTemporalActivities(
      createSweepActivities({ ...createSuspectReader(api), ...openNodeNamespace(nodes, answerMs) }),
    ),
    maxCachedWorkflows: 20,
    maxConcurrentActivityTaskExecutions: 40, // a sweep asks 20 nodes at a time
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    shutdownGraceTime: '2 seconds',
    shutdownForceTime: '10 seconds',
  });

/** Our failures cross into Temporal with their type; and a worker that shuts down does not wait for a node's answer. */
function asTemporalActivities(activities: SweepActivities): SweepActivities {
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
  return { findSuspects: converted(activities.findSuspects), checkNode: converted(activities.checkNode) };
}
