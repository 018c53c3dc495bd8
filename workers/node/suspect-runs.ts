import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { SuspectRuns } from '../../activities/check-suspects.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { type AddRequest, type PodNetworkState, podNetworkMessages } from '../../contracts/pod-network.ts';

/** How long a run may take to answer a question, and to end after its last attachment is gone. */
const reactionMs = 3000;

/** Runs of this node's sandboxes as a check sees them: by workflow ID only, without having started them. */
export function createSuspectRuns(client: () => Promise<Client | undefined>): SuspectRuns {
  const connected = async (): Promise<Client> => {
    const found = await client();
    if (found !== undefined) return found;
    throw new ProvisionError({
      type: 'TemporalUnavailable',
      message: 'Cannot look at a run: Temporal does not answer',
    });
  };
  const handleOf = async (workflowId: string) => (await connected()).workflow.getHandle(workflowId);

  async function isOpen(workflowId: string): Promise<boolean> {
    try {
      return (await (await handleOf(workflowId)).describe()).status.name === 'RUNNING';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  return {
    async firstRequest(workflowId) {
      if (!(await isOpen(workflowId))) return undefined;
      const { events } = await (await handleOf(workflowId)).fetchHistory();
      const [argument] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
      return argument == null ? undefined : defaultPayloadConverter.fromPayload<AddRequest>(argument);
    },
    async attachments(workflowId) {
      try {
        const handle = await handleOf(workflowId);
        const late = sleep(reactionMs, undefined, { ref: false });
        const state = await Promise.race([handle.query<PodNetworkState>(podNetworkMessages.describe), late]);
        const { containerID, interfaces = [] } = state ?? {};
        if (containerID === undefined) return [];
        return interfaces.map(({ network, ifName, kind }) => ({ containerID, network, ifName, kind }));
      } catch {
        return []; // it ended meanwhile, or cannot answer: what it was started with is known without it
      }
    },
    async hasEnded(workflowId) {
      for (const end = Date.now() + reactionMs; Date.now() < end; await sleep(100)) {
        if (!(await isOpen(workflowId))) return true;
      }
      return false;
    },
    async terminate(workflowId, reason) {
      try {
        await (await handleOf(workflowId)).terminate(reason);
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },
  };
}
