import {
  type Client,
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionInfo,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { CheckAnswer, SweepPorts } from '../../../activities/sweep.ts';
import type { OpenRun } from '../../../activities/sweep-suspects.ts';
import { ProvisionError } from '../../../contracts/failures.ts';
import {
  type NodeCheckRequest,
  type NodeCheckVerdict,
  nodeCheckId,
  nodeCheckWorkflow,
} from '../../../contracts/node-check.ts';
import { podNetworkMessages } from '../../../contracts/pod-network.ts';
import { fromTemporal } from '../../../temporal-config/failure-conversion.ts';
import { nodeQueue } from '../../../temporal-config/queues.ts';
import { sweepTimeouts } from '../../../temporal-config/timeouts.ts';
import { listedPrefixes } from './run-parts.ts';

/** What the control side asks in the namespace of the nodes' runs, whose workflows and activities it cannot reach otherwise. */
export type NodeNamespace = Pick<SweepPorts, 'checks'> & {
  readonly runs: SweepPorts['runs'] & {
    /** All open runs while they are few, else a part of them, another one each time. */
    listSome(): Promise<readonly OpenRun[]>;
  };
};

const openRuns = `WorkflowType = '${podNetworkMessages.workflow}' AND ExecutionStatus = 'Running'`;

const listMs = 20_000;
const callMs = 5000;

/**
 * Adapter of the sweep's ports. `client` is of the nodes' namespace, on a connection that keeps deadlines: the SDK's own
 * (`Connection`), not the worker's (`NativeConnection`). `answerMs`: how long a worker may take for its answer. Lists and looks fail with `TemporalUnavailable`.
 */
export function openNodeNamespace(client: Client, answerMs: number = sweepTimeouts.answerMs): NodeNamespace {
  const within = async <T>(ms: number, call: () => Promise<T>): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + ms, call);
    } catch (error) {
      throw error instanceof ServiceError ? temporalAway(error) : error;
    }
  };

  const listRuns = (query: string): Promise<readonly OpenRun[]> =>
    Array.fromAsync(client.workflow.list({ query, pageSize: 1000 }), openRunOf);

  return {
    runs: {
      listOpen: () => within(listMs, () => listRuns(openRuns)),
      listSome: () =>
        within(listMs, async () => {
          const { count } = await client.workflow.count(openRuns);
          const prefixes = listedPrefixes(count, Math.random());
          if (prefixes === undefined) return await listRuns(openRuns);
          const some = prefixes.map((prefix) => `PodUID STARTS_WITH '${prefix}'`);
          return await listRuns(`${openRuns} AND (${['PodUID IS NULL', ...some].join(' OR ')})`);
        }),
      isOpen: (workflowId, runId) =>
        within(callMs, async () => {
          try {
            return (await client.workflow.getHandle(workflowId, runId).describe()).status.name === 'RUNNING';
          } catch (error) {
            if (error instanceof WorkflowNotFoundError) return false;
            throw error;
          }
        }),
    },

    checks: {
      async ask(node, request) {
        const patienceEndMs = Date.now() + answerMs;
        try {
          return await client.withDeadline(patienceEndMs, () => askInTurn(client, node, request, answerMs));
        } catch (error) {
          if (Date.now() >= patienceEndMs) return unanswered(`its worker did not answer within ${answerMs / 1000} s`);
          if (error instanceof WorkflowFailedError)
            return unanswered(`the check failed: ${fromTemporal(error).message}`);
          throw error instanceof ServiceError ? temporalAway(error) : error;
        }
      },
    },
  };
}

/**
 * Asks once no other question to this node is open. An older one that is unanswered for longer than a worker may take means that
 * no worker takes it up: it stays, for when the worker is back, and nobody waits for it again.
 */
async function askInTurn(
  client: Client,
  node: string,
  request: NodeCheckRequest,
  answerMs: number,
): Promise<CheckAnswer> {
  const workflowId = nodeCheckId(node);
  for (;;) {
    try {
      const check = await client.workflow.start(nodeCheckWorkflow, {
        workflowId,
        taskQueue: nodeQueue(node),
        args: [request],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowExecutionTimeout: sweepTimeouts.checkExecution,
        staticSummary: `${request.claims.length} claims, ${request.runs.length} runs; ${request.reason}`,
      });
      return { outcome: 'answered', verdicts: (await check.result()) as readonly NodeCheckVerdict[] };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const earlier = client.workflow.getHandle(workflowId);
    const { startTime } = await earlier.describe();
    if (Date.now() - startTime.getTime() > answerMs) {
      return unanswered(`its worker has not answered since ${startTime.toISOString()}`);
    }
    await earlier.result().catch((error: unknown) => {
      if (!(error instanceof WorkflowFailedError)) throw error;
    });
  }
}

const unanswered = (why: string): CheckAnswer => ({ outcome: 'unanswered', why });

const nodeName = defineSearchAttributeKey('NodeName', 'KEYWORD');
const podNamespace = defineSearchAttributeKey('PodNamespace', 'KEYWORD');
const podName = defineSearchAttributeKey('PodName', 'KEYWORD');
const podUID = defineSearchAttributeKey('PodUID', 'KEYWORD');

/** What a run does not say in its search attributes, its ID says: `pod/<namespace>/<name>/<container ID>`. */
function openRunOf({ workflowId, runId, typedSearchAttributes: said }: WorkflowExecutionInfo): OpenRun {
  const [, namespace = '', name = '', containerID = ''] = workflowId.split('/');
  return {
    workflowId,
    runId,
    node: said.get(nodeName) ?? '',
    pod: {
      namespace: said.get(podNamespace) ?? namespace,
      name: said.get(podName) ?? name,
      uid: said.get(podUID) ?? '',
    },
    containerID,
  };
}

const temporalAway = (cause: ServiceError): ProvisionError =>
  new ProvisionError(
    {
      type: 'TemporalUnavailable',
      message: `Cannot ask Temporal about the runs of nodes: ${innermost(cause).message}`,
      remedy: 'See whether it runs: temporal operator cluster health',
    },
    { cause },
  );

const innermost = (error: Error): Error => (error.cause instanceof Error ? innermost(error.cause) : error);
