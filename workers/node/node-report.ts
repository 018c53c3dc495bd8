import { readFileSync } from 'node:fs';
import type { AttachmentRecord, NodeIdentity } from '../../activities/node-ports.ts';
import type { HealthItem, NodeReport } from '../../contracts/node-report.ts';
import type { NodeWorkerConfig } from './config.ts';
import { readInventory } from './inventory.ts';

export interface NodeReportSources {
  readonly config: NodeWorkerConfig;
  readonly node: NodeIdentity;
  readonly startedAtMs: number;
  readonly kernel: { inspect(): Promise<{ readonly links: readonly unknown[] }> };
  readonly temporal: { readonly isConnected: boolean };
  readonly queue: { readonly size: number };
  readonly records: { list(): Promise<readonly AttachmentRecord[]> };
  readonly cluster: { readonly isReady: boolean; readonly isWatchingPods: boolean };
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** What this worker says of its node when `orb node` asks. */
export const createNodeReport = (sources: NodeReportSources) => async (): Promise<NodeReport> => {
  const { node, startedAtMs, records } = sources;
  const [inventory, health, attachments] = await Promise.all([readInventory(), readHealth(sources), records.list()]);
  return {
    node: node.name,
    version,
    startedAtMs,
    machineID: node.machineID,
    bootID: node.bootID,
    health,
    ...inventory,
    attachments: attachments.map(({ attachment, pod, netns, addresses, doneResult, addedAtMs }) => ({
      attachment,
      pod,
      netns,
      addresses: addresses.map(({ address }) => address),
      isDone: doneResult !== undefined,
      addedAtMs,
    })),
  };
};

async function readHealth(sources: NodeReportSources): Promise<readonly HealthItem[]> {
  const { config, kernel, temporal, queue, cluster } = sources;
  const { temporalAddress, queueDirectory } = config;
  const links = await kernel.inspect().then(
    ({ links }) => links.length,
    (error: unknown) => String(error),
  );
  return [
    {
      name: 'Temporal',
      isHealthy: temporal.isConnected,
      detail: temporal.isConnected
        ? `answers at ${temporalAddress}`
        : `does not answer at ${temporalAddress}: ADD fails with error 11, DEL works`,
    },
    {
      name: 'API server',
      isHealthy: cluster.isReady,
      detail: cluster.isReady
        ? "this node's claims are known"
        : "this node's claims were not listed yet: ADD fails with error 11",
    },
    {
      name: 'pod watch',
      isHealthy: cluster.isWatchingPods,
      detail: cluster.isWatchingPods
        ? "follows this node's pods"
        : 'is interrupted: held addresses are freed when it is back',
    },
    {
      name: 'kernel',
      isHealthy: typeof links === 'number',
      detail: typeof links === 'number' ? `netlink shows ${links} links` : `netlink does not answer: ${links}`,
    },
    {
      name: 'queue',
      isHealthy: queue.size === 0,
      detail:
        queue.size === 0 ? 'no DEL waits' : `${queue.size} DELs wait in ${queueDirectory}: their addresses stay held`,
    },
  ];
}
