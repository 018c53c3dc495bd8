import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { podNetworkId } from '../../contracts/attachment.ts';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { type PodNetworkState, podNetworkMessages } from '../../contracts/pod-network.ts';
import { type Cluster, type ClusterNode, type ClusterOptions, startCluster } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { faultFile } from '../../deploy/dev/faulty-node-worker.ts';
import { type CniAnswer, HandMadeSandbox, unscheduledPod } from '../../deploy/dev/hand-made-sandbox.ts';
import type { Stack } from '../../deploy/dev/stack.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { nodeNamespace } from '../../temporal-config/queues.ts';
import { asLines, type ClusterState, readNodeState } from './cluster-state.ts';

/** Much for a busy machine, and less than a sweep mostly takes to find what was left behind: what it took away would not be seen here. */
const usualWaitSeconds = 20;

/** A cluster under test with quick ways in: one connection to its API server and one to Temporal, both from the host. */
export class TestCluster {
  readonly stack: Stack;
  readonly nodes: readonly ClusterNode[];
  readonly controlWorkers: readonly StackProcess[];
  readonly api: ApiClient;
  readonly temporal: Client;
  readonly #sandboxes = new Set<HandMadeSandbox>();
  #remembered: ReadonlySet<string> = new Set();

  private constructor({ stack, nodes, controlWorkers }: Cluster, api: ApiClient, temporal: Client) {
    this.stack = stack;
    this.nodes = nodes;
    this.controlWorkers = controlWorkers;
    this.api = api;
    this.temporal = temporal;
  }

  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = await startCluster({ logLevel: 'debug', ...options });
    const { stack } = cluster;
    try {
      const api = openApiClient(await endpointOf(stack.kubeconfigs.admin));
      const connection = await Connection.connect({ address: stack.temporalAddress });
      // Pods are refused until the controller-manager has made the namespace's service account.
      await stack.kubectl('wait', '--for=create', 'serviceaccount/default', '--timeout=30s');
      return new TestCluster(cluster, api, new Client({ connection, namespace: nodeNamespace }));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.temporal.connection.close();
    await this.api.close();
    await this.stack.stop();
  }

  /** The node on which hand-made sandboxes are. */
  get node(): ClusterNode {
    const [node] = this.nodes;
    if (node === undefined) throw new Error('This cluster has no node');
    return node;
  }

  /** A pod that no kubelet runs, and a sandbox for it. With `nodeName` the pod counts as placed there. */
  async sandbox(
    podName: string,
    annotations: Readonly<Record<string, string>> = {},
    nodeName?: string,
  ): Promise<HandMadeSandbox> {
    const { spec, ...rest } = unscheduledPod(podName, annotations);
    const pod = await this.api.request<{ readonly metadata: { readonly uid: string } }>({
      method: 'POST',
      path: '/api/v1/namespaces/default/pods',
      body: { ...rest, spec: { ...spec, ...(nodeName === undefined ? {} : { nodeName }) } },
      timeoutMs: 10_000,
    });
    return await this.#sandboxIn({ name: podName, uid: pod.metadata.uid });
  }

  /** The sandbox that a runtime makes for the same pod after the first one ended. */
  async successorOf({ podName, podUID }: HandMadeSandbox): Promise<HandMadeSandbox> {
    return await this.#sandboxIn({ name: podName, uid: podUID });
  }

  /** Deletes the pod objects first, so that a DEL releases, then detaches and removes every hand-made sandbox. */
  async removeSandboxes(): Promise<void> {
    const sandboxes = [...this.#sandboxes];
    this.#sandboxes.clear();
    await Promise.all(sandboxes.map((sandbox) => this.deletePod(sandbox)));
    await Promise.all(
      sandboxes.map(async (sandbox) => {
        await sandbox.del();
        await sandbox.deleteNamespace();
      }),
    );
  }

  async deletePod({ podName }: HandMadeSandbox): Promise<void> {
    const path = `/api/v1/namespaces/default/pods/${podName}`;
    await this.api
      .request({ method: 'DELETE', path, body: { gracePeriodSeconds: 0 }, timeoutMs: 10_000 })
      .catch(absent);
  }

  async claims(): Promise<readonly IPClaim[]> {
    const path = '/apis/orbweaver.io/v1alpha1/ipclaims';
    return (await this.api.request<{ items: readonly IPClaim[] }>({ method: 'GET', path, timeoutMs: 10_000 })).items;
  }

  async claimsOf({ containerID }: HandMadeSandbox): Promise<readonly string[]> {
    return (await this.claims())
      .filter(({ spec }) => spec.holders.some((holder) => holder.containerID === containerID))
      .map(({ metadata, spec }) => `${metadata.name} ${spec.phase}`)
      .sort();
  }

  async state(): Promise<ClusterState> {
    const [claims, ...nodes] = await Promise.all([this.claims(), ...this.nodes.map(({ node }) => readNodeState(node))]);
    return { claims, nodes };
  }

  /** Workflow IDs of open runs. Temporal's visibility store lags behind, so this is to be waited for. */
  async openRuns(): Promise<readonly string[]> {
    const runs = await Array.fromAsync(this.temporal.workflow.list({ query: 'ExecutionStatus="Running"' }));
    return runs.map(({ workflowId }) => workflowId).sort();
  }

  /** Remembers what there is, for `untilAsRemembered`. */
  async remember(): Promise<void> {
    this.#remembered = new Set(await this.#facts());
  }

  /** Waits until nothing is there that was not there before. */
  async untilAsRemembered(seconds = usualWaitSeconds): Promise<void> {
    await eventually('Nothing is left', seconds, async () => {
      const left = (await this.#facts()).filter((fact) => !this.#remembered.has(fact));
      return left.length === 0 ? { value: true } : { state: left.join('\n') };
    });
  }

  /** How the run of a sandbox stands, by the server's own record of it. */
  async statusOf(sandbox: HandMadeSandbox): Promise<string> {
    return (await this.runOf(sandbox).describe()).status.name;
  }

  runOf({ namespace, podName, podUID, containerID }: HandMadeSandbox) {
    return this.temporal.workflow.getHandle(podNetworkId({ namespace, name: podName, uid: podUID }, containerID));
  }

  async describe(sandbox: HandMadeSandbox): Promise<PodNetworkState> {
    return await this.runOf(sandbox).query<PodNetworkState>(podNetworkMessages.describe);
  }

  /** Waits until the run knows of so many attached interfaces: an answer may leave a moment before its run has recorded it. */
  async untilAttached(sandbox: HandMadeSandbox, count = 1): Promise<PodNetworkState> {
    return await eventually(`Attached interfaces of ${sandbox.podName}: ${count}`, usualWaitSeconds, async () => {
      const found = await this.describe(sandbox);
      const isSo = found.interfaces.filter(({ phase }) => phase === 'Attached').length === count;
      return isSo ? { value: found } : { state: JSON.stringify(found) };
    });
  }

  async untilStatus(sandbox: HandMadeSandbox, status: string, seconds = usualWaitSeconds): Promise<void> {
    await eventually(`Run of ${sandbox.podName} ${status}`, seconds, async () => {
      const found = await this.statusOf(sandbox);
      return found === status ? { value: true } : { state: found };
    });
  }

  /** Waits until the server knows that the sandbox is attached: its answer may leave a moment before that. */
  async untilRecorded(sandbox: HandMadeSandbox): Promise<void> {
    await eventually(`The run of ${sandbox.podName} recorded its answer`, usualWaitSeconds, async () => {
      const { searchAttributes } = await this.runOf(sandbox).describe();
      const phase = String(searchAttributes['NetPhase']);
      return phase === 'Attached' ? { value: true } : { state: phase };
    });
  }

  /** Lets the next effect of this kind fail once, or the worker die at it. */
  async inject(fault: string): Promise<void> {
    await writeFile(join(this.node.node.paths.run, faultFile), fault);
  }

  async restartWorker(signal: NodeJS.Signals = 'SIGKILL', node = this.node): Promise<void> {
    await node.worker.stop(signal);
    node.worker.start();
  }

  async #facts(): Promise<readonly string[]> {
    const [state, runs] = await Promise.all([this.state(), this.openRuns()]);
    return [...asLines(state), ...runs.map((run) => `open run ${run}`)];
  }

  async #sandboxIn(pod: { name: string; uid: string }): Promise<HandMadeSandbox> {
    const sandbox = await HandMadeSandbox.inPod(this.stack, this.node.node, pod);
    this.#sandboxes.add(sandbox);
    return sandbox;
  }
}

function absent(error: unknown): void {
  if (!(error instanceof Error && 'status' in error && error.status === 404)) throw error;
}

/** A call with the time that it took, as its caller sees it. */
export async function timed(call: Promise<CniAnswer>): Promise<CniAnswer & { readonly seconds: number }> {
  const startedAt = performance.now();
  return { ...(await call), seconds: (performance.now() - startedAt) / 1000 };
}
