import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { podNetworkId } from '../../contracts/attachment.ts';
import type { CniResult } from '../../contracts/cni.ts';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import type { NodeCheckActivities } from '../../contracts/node-check.ts';
import {
  type AddRequest,
  type DetachRequest,
  type PodNetworkState,
  podNetworkMessages,
} from '../../contracts/pod-network.ts';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';
import { nodeNamespace, nodeQueue } from '../../temporal-config/queues.ts';
import { podNetworkTimeouts } from '../../temporal-config/timeouts.ts';
import { attachThroughRun } from '../../workers/node/attach-service.ts';
import { Breaker } from '../../workers/node/breaker.ts';
import { newNonce } from '../../workers/node/call-server.ts';
import { DetachService } from '../../workers/node/detach-service.ts';
import { SandboxRuns } from '../../workers/node/sandbox-runs.ts';
import { withTemporalFailures } from '../../workers/node/temporal-worker.ts';
import { type NodeProcess, NodeWorld, silent } from '../../workers/node/testing/node-world.ts';

/** Writes the workflow bundle of today's sources to a file, in a process of its own; gives the file and how to remove it. */
export async function bundleToday(): Promise<{ readonly codePath: string; readonly remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'orbweaver-bundle-'));
  const codePath = join(directory, 'workflows.js');
  await promisify(execFile)(process.execPath, [join(repositoryRoot, 'workers/node/bundle-workflows.ts'), codePath]);
  return { codePath, remove: () => rm(directory, { recursive: true }) };
}

export interface SandboxStageOptions {
  readonly temporalAddress: string;
  readonly codePath: string;
  readonly nodeName: string;
  /** 0: every workflow task replays the whole run. */
  readonly maxCachedWorkflows?: number;
  /** False: another process polls this node's queue. */
  readonly hasWorker?: boolean;
  /** What this node answers to `nodeCheck`. */
  readonly checkSuspects?: NodeCheckActivities['checkSuspects'];
}

/**
 * The node worker on a real Temporal server: its runs, its client and its request path are real, and its effects happen in a
 * {@link NodeWorld}, where a test can watch them, hold them up and let them fail.
 */
export class SandboxStage {
  readonly client: Client;
  readonly world: NodeWorld;
  readonly node: NodeProcess;
  readonly runs: SandboxRuns;
  readonly detaches: DetachService;
  readonly options: SandboxStageOptions;
  notEager = 0;
  readonly #connection: NativeConnection;
  readonly #breaker: Breaker;
  readonly #running: Promise<void>;
  readonly #worker: Worker | undefined;
  #sandboxes = 0;

  static async open(options: SandboxStageOptions): Promise<SandboxStage> {
    const world = new NodeWorld();
    world.pools.set('rack7-v4', {
      metadata: { name: 'rack7-v4' },
      spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.11.200'], gateway: '10.70.8.1', default: true },
    });
    const node = await world.start();
    const connection = await NativeConnection.connect({ address: options.temporalAddress });
    const worker =
      options.hasWorker === false ? undefined : await createSandboxWorker(connection, options, node.activities);
    return new SandboxStage(options, world, node, connection, worker);
  }

  private constructor(
    options: SandboxStageOptions,
    world: NodeWorld,
    node: NodeProcess,
    connection: NativeConnection,
    worker: Worker | undefined,
  ) {
    this.options = options;
    this.world = world;
    this.node = node;
    this.#connection = connection;
    this.#worker = worker;
    this.client = new Client({ connection, namespace: nodeNamespace });
    this.#breaker = new Breaker({
      probe: () => connection.workflowService.getSystemInfo({}),
      onChange: () => undefined,
    });
    this.runs = new SandboxRuns({
      node: options.nodeName,
      client: async () => this.client,
      breaker: this.#breaker,
      workloadOf: () => 'ReplicaSet/pay/api',
      onNotEager: () => {
        this.notEager += 1;
      },
    });
    const { calls, locks, steps } = node;
    const untold = { note: () => undefined };
    this.detaches = new DetachService({ runs: this.runs, calls, locks, steps, untold, log: silent });
    this.#running = worker?.run() ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.#breaker.close();
    if (this.#worker?.getState() === 'RUNNING') this.#worker.shutdown();
    await this.#running;
    await this.#connection.close();
  }

  /** A pod with a sandbox of its own; its requests differ in nothing but names from those of others. */
  sandbox(name = `api-${this.options.nodeName}-${(this.#sandboxes += 1)}`): Sandbox {
    const pod = { namespace: 'pay', name, uid: `uid-of-${name}` };
    const netns = `/run/netns/${name}`;
    this.world.pods.set(`pay/${name}`, { uid: pod.uid, annotations: {}, isAlive: true });
    this.world.namespaces.set(netns, { cookie: '4711', links: new Map() });
    return new Sandbox(this, pod, `sandbox-of-${name}`, netns);
  }

  /** Holds up the call of a port when it has taken effect, until it is released. */
  holdUp(call: string): { readonly reached: Promise<void>; readonly release: () => void } {
    const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.world.holdAfter = async (now) => {
      if (now !== call) return;
      this.world.holdAfter = undefined;
      reached.resolve();
      await released.promise;
    };
    return { reached: reached.promise, release: released.resolve };
  }
}

/** What the runtime does with one pod's sandbox. */
export class Sandbox {
  readonly #stage: SandboxStage;
  readonly pod: AddRequest['pod'];
  readonly containerID: string;
  readonly netns: string;

  constructor(stage: SandboxStage, pod: AddRequest['pod'], containerID: string, netns: string) {
    this.#stage = stage;
    this.pod = pod;
    this.containerID = containerID;
    this.netns = netns;
  }

  get run(): WorkflowHandle {
    return this.#stage.client.workflow.getHandle(podNetworkId(this.pod, this.containerID));
  }

  addRequest(ifName = 'eth0', nonce = newNonce()): AddRequest {
    return {
      attachment: { containerID: this.containerID, network: 'underlay', ifName, kind: 'attach' },
      pod: this.pod,
      node: this.#stage.options.nodeName,
      netns: this.netns,
      netnsCookie: '4711',
      nonce,
      arrivedAtMs: this.#stage.world.nowMs,
      network: {
        provides: 'interface',
        link: { kind: 'macvlan', master: 'bond0', mode: 'bridge' },
        defaultIPv4Pools: [],
        defaultIPv6Pools: [],
        cleanGateway: false,
      },
    };
  }

  detachRequest(ifName = 'eth0', nonce = newNonce()): DetachRequest {
    const { attachment, pod, netns } = this.addRequest(ifName);
    return { attachment, pod, netns, nonce, reason: 'detach' };
  }

  async add(request: AddRequest = this.addRequest()): Promise<CniResult> {
    const call = this.#stage.node.calls.open(request.nonce, 'ADD', request.attachment);
    try {
      return await attachThroughRun(this.#stage.runs, request, call);
    } finally {
      call.close();
    }
  }

  async detach(request: DetachRequest = this.detachRequest()): Promise<'undone' | 'run-open'> {
    return await this.#stage.detaches.detach(request);
  }

  async describe(): Promise<PodNetworkState> {
    return await this.run.query<PodNetworkState>(podNetworkMessages.describe);
  }

  /** What is on the node for this sandbox: bound claims, links, records. */
  get holds(): readonly string[] {
    return this.#stage.world.holds.filter((line) => line.includes(this.containerID));
  }

  /** The pod is gone: whatever is released from now on is free. */
  podGone(): void {
    this.#stage.world.pods.delete(`${this.pod.namespace}/${this.pod.name}`);
  }
}

/** A worker of a node's runs, as the node worker makes it. */
export const createSandboxWorker = (
  connection: NativeConnection,
  { codePath, nodeName, maxCachedWorkflows = 600, checkSuspects = async () => [] }: SandboxStageOptions,
  activities: NodeActivities,
): Promise<Worker> =>
  Worker.create({
    connection,
    namespace: nodeNamespace,
    taskQueue: nodeQueue(nodeName),
    workflowBundle: { codePath },
    activities: { ...withTemporalFailures(activities), checkSuspects },
    maxCachedWorkflows,
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    stickyQueueScheduleToStartTimeout: podNetworkTimeouts.stickyQueueScheduleToStartTimeout,
    shutdownGraceTime: '5 seconds',
    shutdownForceTime: '10 seconds',
  });

/** Once in a process, before anything else of the SDK: quiet, and signals stay the test's own. */
export const installQuietRuntime = (): void => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
};
