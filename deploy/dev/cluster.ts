import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleNodeWorker } from '../../workers/bundle-programs.ts';
import { bundleWorkflows } from '../../workers/node/bundle-workflows.ts';
import { nodeWorkerProcess } from '../../workers/node/process-settings.ts';
import { repositoryRoot } from '../toolchain/parts.ts';
import { prepareControlWorkers, startControlWorker, untilAdmissionServes } from './control-workers.ts';
import { underlay } from './layout.ts';
import { clusterNetwork } from './multus.ts';
import type { StackNode } from './node.ts';
import { type Stack, type StackOptions, startStack } from './stack.ts';
import type { StackProcess } from './stack-process.ts';
import { together } from './together.ts';

/** A stack with our node workers and control workers running on it: what a user's cluster is. */
export interface Cluster {
  readonly stack: Stack;
  readonly nodes: readonly ClusterNode[];
  readonly controlWorkers: readonly StackProcess[];
  stop(): Promise<void>;
}

export interface ClusterNode {
  readonly node: StackNode;
  readonly worker: StackProcess;
}

export interface ClusterOptions extends StackOptions {
  readonly logLevel?: string;
  /** Replicas of the control worker; default 1. Without any, nothing checks pools and nothing is published. */
  readonly controlWorkers?: number;
  /** Settings of the cluster (contracts/cluster-settings.ts) over those of the stack, for node workers and control workers. */
  readonly clusterSettings?: Readonly<Record<string, string>>;
  /** Default true: effects of the node workers fail on demand (faulty-node-worker.ts). */
  readonly faults?: boolean;
}

/** Brings up a stack, the node workers on it, and waits until every node is Ready. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { onProgress = () => undefined, logLevel = 'info', controlWorkers: replicas = 1, faults = true } = options;
  const clusterSettings = {
    MULTUS_CLUSTER_NETWORK: `${clusterNetwork.namespace}/${clusterNetwork.name}`,
    ...options.clusterSettings,
  };
  const stack = await startStack(options);
  try {
    const bundle = join(stack.directory, 'workflows.js');
    const [kubeconfig, program] = await together([
      prepareControlWorkers(stack),
      bundledNodeWorker(stack.directory, faults ? 'deploy/dev/faulty-node-worker.ts' : undefined),
      bundleWorkflows(bundle),
    ]);
    const controlWorkers = Array.from({ length: replicas }, (_, index) =>
      startControlWorker(stack, index, { kubeconfig, workflowBundle: bundle, logLevel, clusterSettings }),
    );
    const nodes = stack.nodes.map((node) => ({
      node,
      worker: startNodeWorker(stack, node, { program, bundle, logLevel, clusterSettings }),
    }));
    await together([
      ...nodes.map(({ node }) => node.untilReady()),
      // Before a pool is made: one that nobody looked at would have no finalizer, and nobody would have compared it.
      ...controlWorkers.slice(0, 1).map((worker) => untilAdmissionServes(stack, worker)),
    ]);
    onProgress(`${nodes.map(({ node }) => node.name).join(' and ')} are Ready: the node workers serve`);
    return { stack, nodes, controlWorkers, stop: () => stack.stop() };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/** As on users' nodes: it starts in half of the time, and an ADD that meets no worker waits only 10 s for one. */
async function bundledNodeWorker(directory: string, program?: string): Promise<string> {
  await symlink(join(repositoryRoot, 'node_modules'), join(directory, 'node_modules'));
  return await bundleNodeWorker(join(directory, 'node-worker'), program);
}

interface NodeWorkerSettings {
  readonly program: string;
  readonly bundle: string;
  readonly logLevel: string;
  readonly clusterSettings: Readonly<Record<string, string>>;
}

function startNodeWorker(
  stack: Stack,
  node: StackNode,
  { program, bundle, logLevel, clusterSettings }: NodeWorkerSettings,
): StackProcess {
  return node.spawn(`${node.name}/worker`, [process.execPath, ...nodeWorkerProcess.flags, program], {
    env: {
      ...nodeWorkerProcess.env,
      ...node.workerEnvironment,
      ...clusterSettings,
      ORBWEAVER_RUN_DIR: node.paths.run,
      ORBWEAVER_QUEUE_DIR: node.paths.queue,
      ORBWEAVER_SPIDERPOOL_SOCKET: join(node.paths.run, 'spiderpool.sock'),
      ORBWEAVER_TEMPORAL_ADDRESS: stack.insideTemporalAddress,
      ORBWEAVER_WORKFLOW_BUNDLE: bundle,
      ORBWEAVER_LOG_LEVEL: logLevel,
    },
  });
}

/** A pool on the underlay of the stack, whose gateway is the fabric. */
export const underlayPool = (name: string, family: 4 | 6, ips: readonly string[], spec: object = {}): object => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name },
  spec: {
    subnet: underlay[`v${family}`].subnet,
    gateway: underlay[`v${family}`].gateway,
    ips,
    default: true,
    ...spec,
  },
});

/** An application that does nothing, spread over the nodes; its pods are found by the label `app`. */
export const deployment = (
  name: string,
  replicas: number,
  annotations: Readonly<Record<string, string>> = {},
): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name }, annotations },
      spec: {
        terminationGracePeriodSeconds: 0,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: { app: name } },
          },
        ],
        containers: [
          { name: 'main', image: 'kube.local/busybox:1', imagePullPolicy: 'Never', command: ['sleep', 'infinity'] },
        ],
      },
    },
  },
});
