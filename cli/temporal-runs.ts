import { Client, Connection, type WorkflowExecutionInfo } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { type PodNetworkState, podNetworkMessages } from '../contracts/pod-network.ts';
import type { NetPhase } from '../contracts/search-attributes.ts';
import { CliError } from './cli-error.ts';
import type { RunSummary } from './explanation.ts';
import type { PodName } from './pod-name.ts';

/** What the CLI reads of Temporal. Each call has its own deadline and fails as a `CliError`. */
export interface TemporalRuns {
  /** Runs of pods of this name, newest first; at most 1,000. */
  runsOf(pod: PodName): Promise<readonly RunSummary[]>;
  /** Runs that had this address, in its canonical text, newest first; at most 1,000. */
  runsWith(address: string): Promise<readonly RunSummary[]>;
  history(run: RunSummary): Promise<History>;
  /** What the node's worker says of a run; `undefined` when none answers within a second. */
  describe(run: RunSummary): Promise<PodNetworkState | undefined>;
  close(): Promise<void>;
}

export interface TemporalOptions {
  readonly address: string;
  readonly namespace: string;
}

const deadlineMs = 3000;
const describeMs = 1000;
const mostRuns = 1000;
const nodeName = defineSearchAttributeKey('NodeName', 'KEYWORD');
const netPhase = defineSearchAttributeKey('NetPhase', 'KEYWORD');
const ipAddress = defineSearchAttributeKey('IpAddress', 'KEYWORD_LIST');

/** Connects, within 3 s. */
export async function openTemporal(options: TemporalOptions): Promise<TemporalRuns> {
  const { address, namespace } = options;
  const connection = await asked(options, () => Connection.connect({ address, connectTimeout: deadlineMs }));
  const client = new Client({ connection, namespace });
  const within = <T>(call: () => Promise<T>): Promise<T> =>
    asked(options, () => client.withDeadline(Date.now() + deadlineMs, call));

  // What is asked for was checked by its caller: no quote can end a value early.
  const list = (condition: string): Promise<readonly RunSummary[]> =>
    within(async () => {
      const query = `WorkflowType = '${podNetworkMessages.workflow}' AND ${condition}`;
      const runs: RunSummary[] = [];
      for await (const info of client.workflow.list({ query, pageSize: 200 })) {
        runs.push(summaryOf(info));
        if (runs.length === mostRuns) break;
      }
      return runs.sort((a, b) => b.startedAtMs - a.startedAtMs);
    });

  return {
    runsOf: ({ namespace: podNamespace, name }) => list(`PodNamespace = '${podNamespace}' AND PodName = '${name}'`),
    runsWith: (address) => list(`IpAddress = '${address}'`),
    history: ({ workflowID, runID }) => within(() => client.workflow.getHandle(workflowID, runID).fetchHistory()),
    async describe({ workflowID, runID }) {
      const query = () =>
        client.workflow.getHandle(workflowID, runID).query<PodNetworkState>(podNetworkMessages.describe);
      try {
        return await client.withDeadline(Date.now() + describeMs, query);
      } catch {
        return undefined; // the history tells the same, up to the last thing that was recorded
      }
    },
    close: () => connection.close(),
  };
}

function summaryOf({
  workflowId,
  runId,
  startTime,
  closeTime,
  status,
  typedSearchAttributes,
}: WorkflowExecutionInfo): RunSummary {
  const node = typedSearchAttributes.get(nodeName);
  const phase = typedSearchAttributes.get(netPhase);
  return {
    workflowID: workflowId,
    runID: runId,
    startedAtMs: startTime.getTime(),
    status: status.name,
    containerID: workflowId.slice(workflowId.lastIndexOf('/') + 1),
    ...(closeTime === undefined ? {} : { closedAtMs: closeTime.getTime() }),
    ...(node === undefined ? {} : { node }),
    ...(phase === undefined ? {} : { phase: phase as NetPhase }),
    addresses: typedSearchAttributes.get(ipAddress) ?? [],
  };
}

export async function asked<T>({ address, namespace }: TemporalOptions, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const why = innermost(error);
    if (/^namespace .*not found/i.test(why)) {
      throw new CliError(`Temporal at ${address} has no namespace "${namespace}"`, {
        remedy: 'Give it with --temporal-namespace; all of them: temporal operator namespace list',
        cause: error,
      });
    }
    throw new CliError(`Cannot ask Temporal at ${address}: ${why}`, {
      remedy:
        'Give its address with --temporal-address or ORBWEAVER_TEMPORAL_ADDRESS; see whether it runs: temporal operator cluster health',
      cause: error,
    });
  }
}

/** gRPC's own words: wrappers repeat themselves. */
function innermost(error: unknown): string {
  let text = String(error);
  for (let link: unknown = error; link instanceof Error; link = link.cause) text = link.message;
  return text;
}
