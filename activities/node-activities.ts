import { type Attachment, attachmentKey } from '../contracts/attachment.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import { createAnswerFailure } from './answer-failure.ts';
import { type ClaimPorts, createClaimAddresses } from './claim-addresses.ts';
import { createReleaseAddresses, createRemoveLink, type DetachPorts } from './detach.ts';
import { superseded } from './interruptions.ts';
import type { OpenCalls } from './node-ports.ts';
import { createPlumbLink, type PlumbPorts } from './plumb-link.ts';

/** Orders all work on one sandbox, whoever asked for it. */
export interface SandboxLocks {
  hold<T>(containerID: string, work: () => Promise<T>): Promise<T>;
}

export type NodePorts = Omit<ClaimPorts & PlumbPorts & DetachPorts, 'kernel'> & {
  readonly kernel: ClaimPorts['kernel'] & PlumbPorts['kernel'] & DetachPorts['kernel'];
};

/** The steps as plain functions: what a run's activities do, and what a DEL without a run does under the lock it holds. */
export const createNodeSteps = (ports: NodePorts): NodeActivities => ({
  claimAddresses: createClaimAddresses(ports),
  plumbLink: createPlumbLink(ports),
  removeLink: createRemoveLink(ports),
  releaseAddresses: createReleaseAddresses(ports),
  answerFailure: createAnswerFailure(ports.calls),
});

/**
 * The activities of a run: each holds the lock of its sandbox, re-checks under it that the run owns the request, and joins
 * an execution of the same step that is still going on (a workflow task that timed out runs its local activities again).
 */
export function createNodeActivities(steps: NodeActivities, locks: SandboxLocks, calls: OpenCalls): NodeActivities {
  const running = new Map<string, Promise<unknown>>();

  async function step<T>(name: string, { attachment, nonce }: Named, work: () => Promise<T>): Promise<T> {
    const key = `${attachment.containerID} ${attachmentKey(attachment)} ${name}`;
    const joined = running.get(key);
    if (joined !== undefined) return (await joined) as T; // the key names the step, so the result is the step's
    const execution = locks.hold(attachment.containerID, async () => {
      if (!calls.isOwnedByRun(nonce)) throw superseded(attachment);
      return await work();
    });
    running.set(key, execution);
    try {
      return await execution;
    } finally {
      running.delete(key);
    }
  }

  return {
    claimAddresses: (request) => step('claimAddresses', request, () => steps.claimAddresses(request)),
    plumbLink: (request, addresses) => step('plumbLink', request, () => steps.plumbLink(request, addresses)),
    removeLink: (request) => step('removeLink', request, () => steps.removeLink(request)),
    releaseAddresses: (request) => step('releaseAddresses', request, () => steps.releaseAddresses(request)),
    answerFailure: (nonce, failure) => steps.answerFailure(nonce, failure),
  };
}

interface Named {
  readonly attachment: Attachment;
  readonly nonce: string;
}
