import {
  type Client,
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { defineSearchAttributeKey, NamespaceNotFoundError, TypedSearchAttributes } from '@temporalio/common';
import { type PodIdentity, podNetworkId, updateId } from '../../contracts/attachment.ts';
import type { CniResult } from '../../contracts/cni.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { type AddRequest, type DetachRequest, podNetworkMessages } from '../../contracts/pod-network.ts';
import { fromTemporal } from '../../temporal-config/failure-conversion.ts';
import { nodeQueue } from '../../temporal-config/queues.ts';
import { podNetworkTimeouts } from '../../temporal-config/timeouts.ts';
import type { Breaker } from './breaker.ts';
import type { OpenCall } from './open-calls.ts';

export interface SandboxRunsOptions {
  readonly node: string;
  /** Waits a moment for a worker that is just starting; undefined when Temporal was not reached until then. */
  readonly client: () => Promise<Client | undefined>;
  readonly breaker: Breaker;
  /** Kind, namespace and name of the pod's controller, when known: only people search by it. */
  readonly workloadOf: (pod: PodIdentity) => string | undefined;
  /** A first ADD was not executed in the reply to its start: costs a round through the task queue. */
  readonly onNotEager: () => void;
}

/** Longer values cost visibility storage; names of owners may have 253 characters. */
const longestWorkload = 200;
const keyword = (name: string) => defineSearchAttributeKey(name, 'KEYWORD');
const attributes = {
  nodeName: keyword('NodeName'),
  podNamespace: keyword('PodNamespace'),
  podName: keyword('PodName'),
  podUID: keyword('PodUID'),
  netPhase: keyword('NetPhase'),
  workload: keyword('Workload'),
};

/** Starts and signals the runs of this node's sandboxes. Every call may still happen after we gave it up. */
export class SandboxRuns {
  readonly #options: SandboxRunsOptions;
  /** Sandboxes whose run was seen open: a hint that saves a refused start for each further interface. */
  readonly #seenOpen = new Set<string>();

  constructor(options: SandboxRunsOptions) {
    this.#options = options;
  }

  /**
   * Hands an ADD to its sandbox's run, starting it when it is the first. The answer comes from the last step, inside this
   * process; the result given here is that of a run which knew the attachment already.
   */
  async add(request: AddRequest, call: OpenCall): Promise<CniResult | undefined> {
    const { containerID } = request.attachment;
    const isHopeless = (): boolean => !call.hasBegun;
    for (let attempt = 1; ; attempt += 1) {
      if (!this.#seenOpen.has(containerID) && (await this.#start(request, isHopeless))) return undefined;
      try {
        return await this.#update<CniResult>('add', request, isHopeless);
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError) || attempt === 3) throw asProvisionError(error);
        this.#seenOpen.delete(containerID); // it ended between our look and our call
      }
    }
  }

  /** Asks the run to detach. `no-run`: nobody is there to ask. Throws when the run did not, or may not, do it in time. */
  async detach(request: DetachRequest): Promise<'detached' | 'no-run'> {
    this.#seenOpen.delete(request.attachment.containerID); // it may end now, and nobody would forget it later
    try {
      await this.#update<void>('detach', request, () => true);
      return 'detached';
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw asProvisionError(error);
      return 'no-run';
    }
  }

  /** Ends a run that does not react; only under the sandbox's lock and after everything of it was undone. */
  async terminate(request: DetachRequest, reason: string): Promise<void> {
    try {
      await this.#guarded(
        () => true,
        async (client) => await handleOf(client, request).terminate(reason),
      );
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw asProvisionError(error);
    }
  }

  /** True when the run was started by this call; false when it is open already. */
  async #start(request: AddRequest, isHopeless: () => boolean): Promise<boolean> {
    const { pod, node, attachment } = request;
    const workload = this.#options.workloadOf(pod);
    try {
      const handle = await this.#guarded(
        isHopeless,
        async (client) =>
          await client.workflow.start(podNetworkMessages.workflow, {
            workflowId: podNetworkId(pod, attachment.containerID),
            taskQueue: nodeQueue(node),
            args: [request],
            requestEagerStart: true,
            workflowTaskTimeout: podNetworkTimeouts.workflowTaskTimeout,
            staticSummary: `${pod.namespace}/${pod.name} on ${node}`,
            typedSearchAttributes: new TypedSearchAttributes([
              { key: attributes.nodeName, value: node },
              { key: attributes.podNamespace, value: pod.namespace },
              { key: attributes.podName, value: pod.name },
              { key: attributes.podUID, value: pod.uid },
              { key: attributes.netPhase, value: 'Attaching' },
              ...(workload === undefined
                ? []
                : [{ key: attributes.workload, value: workload.slice(0, longestWorkload) }]),
            ]),
          }),
      );
      this.#seenOpen.add(attachment.containerID);
      if (!handle.eagerlyStarted) this.#options.onNotEager();
      return true;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw asProvisionError(error);
      return false;
    }
  }

  async #update<T>(name: 'add' | 'detach', request: AddRequest | DetachRequest, isHopeless: () => boolean): Promise<T> {
    const { attachment, nonce } = request;
    return await this.#guarded(
      isHopeless,
      async (client) =>
        await handleOf(client, request).executeUpdate<T, [typeof request]>(podNetworkMessages[name], {
          args: [request],
          updateId: updateId(name, attachment, nonce),
        }),
    );
  }

  async #guarded<T>(isHopeless: () => boolean, call: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#options.client();
    if (client === undefined) throw temporalAway();
    return await this.#options.breaker.run(
      () => call(client),
      isHopeless,
      () => temporalAway(),
    );
  }
}

const handleOf = (client: Client, { pod, attachment }: AddRequest | DetachRequest): WorkflowHandle =>
  client.workflow.getHandle(podNetworkId(pod, attachment.containerID));

const temporalAway = (cause?: Error): ProvisionError =>
  new ProvisionError(
    {
      type: 'TemporalUnavailable',
      message: `Cannot record the request durably: Temporal ${cause === undefined ? 'does not answer' : `failed the call: ${innermost(cause).message}`}`,
      remedy:
        'Running pods are unaffected and the runtime repeats the call. See orb node for the address, then the Temporal server',
    },
    { cause },
  );

function asProvisionError(error: unknown): ProvisionError {
  if (error instanceof ProvisionError) return error;
  // The call itself failed, not the run that it was for. The namespace was there when this worker began: a server whose database
  // does not answer in time says that it is not.
  if (error instanceof ServiceError || error instanceof NamespaceNotFoundError) return temporalAway(error);
  return new ProvisionError(fromTemporal(error), { cause: error });
}

const innermost = (error: Error): Error => (error.cause instanceof Error ? innermost(error.cause) : error);
