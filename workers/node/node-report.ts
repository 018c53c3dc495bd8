import type { AttachmentRecord, NodeIdentity } from '../../activities/node-ports.ts';
import type { HealthItem, NodeReport } from '../../contracts/node-report.ts';
import about from '../../package.json' with { type: 'json' };
import type { NodeWorkerConfig } from './config.ts';
import { readInventory } from './inventory.ts';

export interface NodeReportSources {
  readonly config: NodeWorkerConfig;
  readonly node: NodeIdentity;
  readonly startedAtMs: number;
  readonly kernel: { inspect(): Promise<{ readonly links: Parameters<typeof readInventory>[0] }> };
  readonly temporal: { readonly isConnected: boolean };
  readonly queue: { readonly size: number };
  readonly records: { list(): Promise<readonly AttachmentRecord[]> };
  readonly cluster: { readonly isReady: boolean; readonly isWatchingPods: boolean; isAnswering(): Promise<boolean> };
}

/** What this worker says of its node when `orb node` asks. */
export const createNodeReport = (sources: NodeReportSources) => async (): Promise<NodeReport> => {
  const { node, startedAtMs, records } = sources;
  const links = await sources.kernel.inspect().then(
    ({ links }) => links,
    (error: unknown) => String(error),
  );
  const [inventory, health, attachments] = await Promise.all([
    readInventory(typeof links === 'string' ? [] : links),
    readHealth(sources, links),
    records.list(),
  ]);
  return {
    node: node.name,
    version: about.version,
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

async function readHealth(
  { config, temporal, queue, cluster }: NodeReportSources,
  links: string | readonly unknown[],
): Promise<readonly HealthItem[]> {
  const { temporalAddress, queueDirectory } = config;
  return [
    {
      name: 'Temporal',
      isHealthy: temporal.isConnected,
      detail: temporal.isConnected
        ? `answers at ${temporalAddress}`
        : `does not answer at ${temporalAddress}: ADD fails with error 11, DEL works`,
    },
    apiServerHealth(cluster.isReady, await cluster.isAnswering()),
    {
      name: 'pod watch',
      isHealthy: cluster.isWatchingPods,
      detail: cluster.isWatchingPods
        ? "follows this node's pods"
        : 'is interrupted: held addresses are freed when it is back',
    },
    {
      name: 'kernel',
      isHealthy: typeof links !== 'string',
      detail: typeof links === 'string' ? `netlink does not answer: ${links}` : `netlink shows ${links.length} links`,
    },
    {
      name: 'queue',
      isHealthy: queue.size === 0,
      detail:
        queue.size === 0 ? 'no DEL waits' : `${queue.size} DELs wait in ${queueDirectory}: their addresses stay held`,
    },
  ];
}

function apiServerHealth(isReady: boolean, isAnswering: boolean): HealthItem {
  const problem = isAnswering
    ? "answers, but this node's claims were not listed yet: ADD fails with error 11"
    : 'does not answer: ADD fails with error 11, DEL frees its addresses when it is back';
  const isHealthy = isReady && isAnswering;
  return { name: 'API server', isHealthy, detail: isHealthy ? "answers, and this node's claims are known" : problem };
}
