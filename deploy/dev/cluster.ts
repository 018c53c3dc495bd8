import { join } from 'node:path';
import { bundleWorkflows } from '../../workers/node/bundle-workflows.ts';
import { repositoryRoot } from '../toolchain/parts.ts';
import { underlay } from './layout.ts';
import type { StackNode } from './node.ts';
import { type Stack, type StackOptions, startStack } from './stack.ts';
import type { StackProcess } from './stack-process.ts';

/** A stack with our node workers running on it: what a user's cluster is. */
export interface Cluster {
  readonly stack: Stack;
  readonly nodes: readonly ClusterNode[];
  stop(): Promise<void>;
}

export interface ClusterNode {
  readonly node: StackNode;
  readonly worker: StackProcess;
}

export interface ClusterOptions extends StackOptions {
  readonly logLevel?: string;
}

/** Brings up a stack, the node workers on it, and waits until every node is Ready. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { onProgress = () => undefined, logLevel = 'info' } = options;
  const stack = await startStack(options);
  try {
    const bundle = join(stack.directory, 'workflows.js');
    await bundleWorkflows(bundle);
    const nodes = stack.nodes.map((node) => ({ node, worker: startNodeWorker(stack, node, bundle, logLevel) }));
    await Promise.all(nodes.map(({ node }) => node.untilReady()));
    onProgress(`${nodes.map(({ node }) => node.name).join(' and ')} are Ready: the node workers serve`);
    return { stack, nodes, stop: () => stack.stop() };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

function startNodeWorker(stack: Stack, node: StackNode, bundle: string, logLevel: string): StackProcess {
  return node.spawn(
    `${node.name}/worker`,
    [process.execPath, join(repositoryRoot, 'deploy/dev/faulty-node-worker.ts')],
    {
      env: {
        ...node.workerEnvironment,
        ORBWEAVER_RUN_DIR: node.paths.run,
        ORBWEAVER_QUEUE_DIR: node.paths.queue,
        ORBWEAVER_TEMPORAL_ADDRESS: stack.insideTemporalAddress,
        ORBWEAVER_WORKFLOW_BUNDLE: bundle,
        ORBWEAVER_LOG_LEVEL: logLevel,
      },
    },
  );
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
