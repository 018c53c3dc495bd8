import { Mutex } from 'async-mutex';
import { type Attachment, attachmentKey } from '../contracts/attachment.ts';
import { type Failure, toFailure } from '../contracts/failures.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import { createAnswerFailure } from './answer-failure.ts';
import { type ClaimPorts, createClaimAddresses } from './claim-addresses.ts';
import { type CoordinatePorts, createCoordinate } from './coordinate.ts';
import { createReleaseAddresses, createRemoveLink, type DetachPorts } from './detach.ts';
import { superseded } from './interruptions.ts';
import { createLendRdma } from './lend-rdma.ts';
import { createDeviceLending, type LendingPorts } from './lent-devices.ts';
import type { OpenCalls } from './node-ports.ts';
import { createPlumbLink, type PlumbPorts } from './plumb-link.ts';
import { createPrepareLinks } from './shared-links.ts';

/** Orders all work on one sandbox, whoever asked for it. */
export interface SandboxLocks {
  hold<T>(containerID: string, work: () => Promise<T>): Promise<T>;
}

export type NodePorts = Omit<
  ClaimPorts & PlumbPorts & CoordinatePorts & DetachPorts,
  'kernel' | 'sharedLinks' | 'devices'
> & {
  readonly kernel: ClaimPorts['kernel'] &
    PlumbPorts['kernel'] &
    LendingPorts['kernel'] &
    CoordinatePorts['kernel'] &
    DetachPorts['kernel'];
};

/** The steps as plain functions: what a run's activities do, and what a DEL without a run does under the lock it holds. */
export function createNodeSteps(ports: NodePorts): NodeActivities {
  const withLinks = { ...ports, sharedLinks: new Mutex(), devices: createDeviceLending(ports) };
  return {
    prepareLinks: createPrepareLinks(withLinks),
    claimAddresses: createClaimAddresses(withLinks),
    plumbLink: createPlumbLink(withLinks),
    lendRdma: createLendRdma(withLinks),
    coordinate: createCoordinate(withLinks),
    removeLink: createRemoveLink(withLinks),
    releaseAddresses: createReleaseAddresses(withLinks),
    answerFailure: createAnswerFailure(ports.calls),
  };
}

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

  /** Why an ADD failed, until its caller knows: an undo that has to wait for the world must not keep the caller waiting. */
  const reasons = new Map<string, Failure>();

  async function forward<T>(name: string, request: Named, work: () => Promise<T>): Promise<T> {
    try {
      return await step(name, request, work);
    } catch (error) {
      reasons.set(request.nonce, toFailure(error));
      throw error;
    }
  }

  async function undo(name: string, request: Named, work: () => Promise<void>): Promise<void> {
    try {
      await step(name, request, work);
    } catch (error) {
      const reason = reasons.get(request.nonce);
      if (reason !== undefined) calls.fail(request.nonce, reason);
      throw error;
    }
  }

  return {
    prepareLinks: (request) => forward('prepareLinks', request, () => steps.prepareLinks(request)),
    claimAddresses: (request) => forward('claimAddresses', request, () => steps.claimAddresses(request)),
    plumbLink: (request, addresses) => forward('plumbLink', request, () => steps.plumbLink(request, addresses)),
    lendRdma: (request) => forward('lendRdma', request, () => steps.lendRdma(request)),
    coordinate: (request, made) => forward('coordinate', request, () => steps.coordinate(request, made)),
    removeLink: (request) => undo('removeLink', request, () => steps.removeLink(request)),
    releaseAddresses: (request) => undo('releaseAddresses', request, () => steps.releaseAddresses(request)),
    async answerFailure(nonce, failure) {
      reasons.delete(nonce);
      await steps.answerFailure(nonce, failure);
    },
  };
}

interface Named {
  readonly attachment: Attachment;
  readonly nonce: string;
}
