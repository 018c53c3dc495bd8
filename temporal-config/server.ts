import { searchAttributes } from '../contracts/search-attributes.ts';
import { controlNamespace, controlQueue, nodeNamespace } from './queues.ts';

/** One setting of the server's dynamic configuration: one value, or one value per task queue and one for all others. */
export type DynamicValue =
  | number
  | boolean
  | { readonly queues: Readonly<Record<string, number>>; readonly others: number };

/** Everything that a Temporal server must know before a worker of ours starts. `deploy/` turns it into flags, jobs or YAML. */
export interface ServerSettings {
  readonly namespaces: readonly string[];
  /** Search attributes of every namespace, with their Temporal types. */
  readonly searchAttributes: Readonly<Record<string, string>>;
  /** How long a closed run stays readable. The CLI dev server has no setting for it and keeps 24 h. */
  readonly retentionHours: number;
  /** Keys as in `common/dynamicconfig/constants.go` of the server. */
  readonly dynamicConfig: Readonly<Record<string, DynamicValue>>;
}

const everywhere = {
  namespaces: [nodeNamespace, controlNamespace],
  searchAttributes,
  // Slow steps (bond, VF rebind) are normal activities on the queue of their workflow; off by default in the server.
  dynamicConfig: { 'system.enableActivityEagerExecution': true },
} as const;

/** One server process on SQLite with one history shard: `temporal server start-dev`. */
export const devServer = {
  ...everywhere,
  retentionHours: 24,
  dynamicConfig: {
    ...everywhere.dynamicConfig,
    // 20 per second and shard by default: with one shard every start beyond that waits for the next 50 ms.
    'history.transferProcessorMaxPollRPS': 2000,
    // With 4 partitions and two pollers 2 % of the calls took 2 s.
    'matching.numTaskqueueReadPartitions': 1,
    'matching.numTaskqueueWritePartitions': 1,
  },
  /** Acknowledged means on disk, also after a power loss; WAL makes that cost 1 ms instead of 10. */
  sqlitePragmas: { journal_mode: 'WAL', synchronous: 'FULL' },
} as const satisfies ServerSettings & { readonly sqlitePragmas: Readonly<Record<string, string>> };

/** A cluster of servers on a real database, for up to 5,000 nodes. */
export const productionServer = {
  ...everywhere,
  retentionHours: 72,
  dynamicConfig: {
    ...everywhere.dynamicConfig,
    // A node that is not busy polls with one poller: a second partition of its queue would have none. Only `control` is busy enough for four.
    'matching.numTaskqueueReadPartitions': { queues: { [controlQueue]: 4 }, others: 1 },
    'matching.numTaskqueueWritePartitions': { queues: { [controlQueue]: 4 }, others: 1 },
    // Long polls that one frontend holds per API and namespace, 1,200 by default: 5,000 nodes × 2 polls,
    // more for those that are busy, and room for a restart of all.
    'frontend.namespaceCount': 16_000,
  },
} as const satisfies ServerSettings;
