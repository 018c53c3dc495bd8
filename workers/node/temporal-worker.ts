import { Client } from '@temporalio/client';
import { NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import type { Log } from '../../activities/node-ports.ts';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import type { NodeCheckActivities } from '../../contracts/node-check.ts';
import { toApplicationFailure } from '../../temporal-config/failure-conversion.ts';
import { nodeQueue } from '../../temporal-config/queues.ts';
import { podNetworkTimeouts } from '../../temporal-config/timeouts.ts';
import { makeWorkflowsLean } from '../lean-workflows.ts';
import { loadWorkflows } from '../load-workflows.ts';
import { Breaker } from './breaker.ts';

export interface TemporalWorkerOptions {
  readonly address: string;
  readonly namespace: string;
  readonly nodeName: string;
  /** Prebuilt workflow code; empty: bundled here, which costs a second. */
  readonly workflowBundle: string;
  readonly activities: NodeActivities & NodeCheckActivities;
  /** Temporal answers again after it did not. */
  readonly onBack: () => void;
  readonly log: Log;
}

const reconnectMs = 1000;
/** How long a call that comes while this process is still starting waits for Temporal. */
const startPatienceMs = 2500;

/**
 * Client and worker of this node on one connection, which is what lets the first workflow task of an ADD come back in the reply
 * to its start. Connects in the background for as long as it takes: without Temporal the socket still answers.
 */
export class TemporalWorker {
  readonly breaker: Breaker;
  readonly #options: TemporalWorkerOptions;
  readonly #ready = Promise.withResolvers<Client>();
  #connection: NativeConnection | undefined;
  #worker: Worker | undefined;
  #isStopping = false;

  constructor(options: TemporalWorkerOptions) {
    this.#options = options;
    const { log, address } = options;
    this.breaker = new Breaker({
      probe: () =>
        this.#connection?.workflowService.getSystemInfo({}) ?? Promise.reject(new Error('Not connected yet')),
      onChange: (state) => {
        if (state === 'open') {
          log.error({ address, remedy: 'Running pods are unaffected; start the Temporal server' }, 'Temporal is away');
          return;
        }
        log.info({ address }, 'Temporal is back');
        options.onBack();
      },
    });
  }

  get isConnected(): boolean {
    return this.#worker !== undefined && !this.breaker.isOpen;
  }

  /** The client, once the worker polls; undefined when that takes too long. */
  async client(): Promise<Client | undefined> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(resolve, startPatienceMs, undefined);
    try {
      return await Promise.race([this.#ready.promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Polls until `stop`; resolves when everything that was running is done. Rejects when the worker cannot go on. */
  async run(): Promise<void> {
    const workflowBundle = await loadWorkflows(this.#options.workflowBundle);
    while (!this.#isStopping && this.#worker === undefined) {
      try {
        this.#worker = await this.#createWorker(workflowBundle);
      } catch (err) {
        const { address, namespace, log } = this.#options;
        log.warn(
          { err, address, namespace, remedy: 'Start the Temporal server, or correct the address' },
          'Temporal not reached yet',
        );
        await new Promise((resolve) => setTimeout(resolve, reconnectMs));
      }
    }
    if (this.#worker === undefined) return;
    const running = this.#worker.run();
    const client = new Client({ connection: this.#required(), namespace: this.#options.namespace });
    this.#ready.resolve(client);
    try {
      await running;
    } finally {
      this.breaker.close();
      await this.#connection?.close();
    }
  }

  /** Finishes what runs and polls no more. */
  stop(): void {
    this.#isStopping = true;
    if (this.#worker?.getState() === 'RUNNING') this.#worker.shutdown();
  }

  async #createWorker(workflowBundle: WorkflowBundleOption): Promise<Worker> {
    const { address, namespace, nodeName, activities, log } = this.#options;
    this.#connection ??= await NativeConnection.connect({ address });
    const worker = await Worker.create({
      connection: this.#connection,
      namespace,
      taskQueue: nodeQueue(nodeName),
      identity: `${nodeName}/${process.pid}`,
      workflowBundle,
      activities: {
        ...withTemporalFailures(activities),
        checkSuspects: withTemporalFailure(activities.checkSuspects),
      },
      // Runs on this thread: without the hop to the SDK's own and back an ADD takes a sixth less, and the process 30 MB less.
      // What is given up is the SDK's limit on one activation; ours compute nothing (docs/decisions/013).
      debugMode: true,
      maxCachedWorkflows: 600, // more than a node has pods
      // More than a burst has ADDs: a start that meets no free slot silently loses its eagerness.
      maxConcurrentWorkflowTaskExecutions: 150,
      maxConcurrentLocalActivityExecutions: 100,
      maxConcurrentActivityTaskExecutions: 8,
      // One for the sticky queue and one for the node's while little happens. A poll is answered after a write to the server's
      // database, so one alone would hand out DELs one after the other.
      workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 1, maximum: 8 },
      activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
      stickyQueueScheduleToStartTimeout: podNetworkTimeouts.stickyQueueScheduleToStartTimeout,
      shutdownGraceTime: '10 seconds',
      shutdownForceTime: '20 seconds',
    });
    if (!makeWorkflowsLean(worker)) log.warn({}, 'the SDK is not as expected: workflows run, but slower');
    log.info({ address, namespace, taskQueue: nodeQueue(nodeName) }, 'Temporal connected');
    return worker;
  }

  #required(): NativeConnection {
    if (this.#connection === undefined) throw new Error('A worker without its connection');
    return this.#connection;
  }
}

/** Our failures cross into Temporal with their type and all that an operator needs; the order of steps stays in the run. */
export const withTemporalFailures = (activities: NodeActivities): NodeActivities => ({
  prepareLinks: withTemporalFailure(activities.prepareLinks),
  claimAddresses: withTemporalFailure(activities.claimAddresses),
  releaseAddresses: withTemporalFailure(activities.releaseAddresses),
  plumbLink: withTemporalFailure(activities.plumbLink),
  lendRdma: withTemporalFailure(activities.lendRdma),
  coordinate: withTemporalFailure(activities.coordinate),
  removeLink: withTemporalFailure(activities.removeLink),
  answerFailure: withTemporalFailure(activities.answerFailure),
});

/** The same of one activity. */
export const withTemporalFailure =
  <Args extends unknown[], Result>(activity: (...args: Args) => Promise<Result>) =>
  async (...args: Args): Promise<Result> => {
    try {
      return await activity(...args);
    } catch (error) {
      throw toApplicationFailure(error instanceof Error ? error : new Error(String(error)));
    }
  };
