import { defineSearchAttributeKey } from '@temporalio/common';
import * as wf from '@temporalio/workflow';
import { Mutex } from 'async-mutex';
import { attachmentKey } from '../contracts/attachment.ts';
import type { CniResult } from '../contracts/cni.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import {
  type AddRequest,
  type DetachRequest,
  type PodNetworkState,
  podNetworkMessages,
} from '../contracts/pod-network.ts';
import { fromTemporal, toApplicationFailure } from '../temporal-config/failure-conversion.ts';
import { stepOptions, undoOptions } from '../temporal-config/timeouts.ts';
import { attach, detach } from './attach.ts';
import { netPhaseOf, SandboxState, toMarkdown } from './sandbox-state.ts';

const { prepareLinks, claimAddresses, plumbLink, lendRdma, coordinate, answerFailure } =
  wf.proxyLocalActivities<NodeActivities>(stepOptions);
const { releaseAddresses, removeLink } = wf.proxyLocalActivities<NodeActivities>(undoOptions);
const node: NodeActivities = {
  prepareLinks,
  claimAddresses,
  plumbLink,
  lendRdma,
  coordinate,
  answerFailure,
  releaseAddresses,
  removeLink,
};

export const addUpdate = wf.defineUpdate<CniResult, [AddRequest]>(podNetworkMessages.add);
export const detachUpdate = wf.defineUpdate<void, [DetachRequest]>(podNetworkMessages.detach);
export const describeQuery = wf.defineQuery<PodNetworkState>(podNetworkMessages.describe);

const netPhase = defineSearchAttributeKey('NetPhase', 'KEYWORD');
const ipAddress = defineSearchAttributeKey('IpAddress', 'KEYWORD_LIST');
const poolName = defineSearchAttributeKey('PoolName', 'KEYWORD_LIST');

const uncancelled = <T>(work: () => Promise<T>): Promise<T> => wf.CancellationScope.nonCancellable(work);

/** Owns one sandbox's network from its first ADD until its last interface is gone. Workflow ID: `pod/<namespace>/<name>/<container ID>`. */
export async function podNetwork(first: AddRequest): Promise<void> {
  const sandbox = new SandboxState(first);
  const turn = new Mutex(); // handlers interleave at every await; ADD and DEL of one sandbox must not
  const adding = new Map<string, wf.CancellationScope>();
  let hasAttached = false;

  const publish = (): void => {
    const state = sandbox.describe();
    const addresses = state.interfaces.flatMap((nic) => nic.addresses);
    wf.setCurrentDetails(toMarkdown(state));
    wf.upsertSearchAttributes([
      { key: netPhase, value: netPhaseOf(state) },
      { key: ipAddress, value: addresses.map(({ address }) => address.split('/', 1).join()) },
      { key: poolName, value: [...new Set(addresses.map(({ pool }) => pool))] },
    ]);
  };

  const attachInTurn = (request: AddRequest): Promise<CniResult> =>
    turn.runExclusive(async () => {
      const { attachment } = request;
      const known = sandbox.resultOf(attachment); // a repeated ADD gets the same answer
      if (known !== undefined) return known;
      sandbox.enter(attachment, 'Attaching');
      try {
        const attached = await attach(node, request, uncancelled);
        sandbox.attached(attachment, attached);
        hasAttached = true;
        publish();
        return attached.result;
      } catch (error) {
        const failure = fromTemporal(error);
        sandbox.failed(attachment, failure);
        publish();
        await uncancelled(() => node.answerFailure(request.nonce, failure));
        throw toApplicationFailure(failure);
      }
    });

  const add = async (request: AddRequest): Promise<CniResult> => {
    const key = attachmentKey(request.attachment);
    const scope = new wf.CancellationScope();
    adding.set(key, scope);
    try {
      return await scope.run(() => attachInTurn(request));
    } finally {
      if (adding.get(key) === scope) adding.delete(key);
    }
  };

  const takeAway = (request: DetachRequest): Promise<void> => {
    adding.get(attachmentKey(request.attachment))?.cancel(); // before its turn comes: the DEL has 5 s, the ADD has more
    return uncancelled(() =>
      turn.runExclusive(async () => {
        sandbox.enter(request.attachment, 'Detaching');
        try {
          await detach(node, request);
          sandbox.remove(request.attachment);
        } catch (error) {
          const failure = fromTemporal(error);
          if (failure.type === 'Superseded') sandbox.remove(request.attachment); // the node undoes it without this run
          throw toApplicationFailure(failure);
        } finally {
          wf.setCurrentDetails(toMarkdown(sandbox.describe()));
        }
      }),
    );
  };

  // Handlers come before the first await: an update may arrive in the first workflow task.
  wf.setHandler(addUpdate, add, { description: 'Attaches one more interface (CNI ADD)' });
  wf.setHandler(detachUpdate, takeAway, { description: 'Takes one interface away (CNI DEL)' });
  wf.setHandler(describeQuery, () => sandbox.describe(), { description: 'Interfaces, addresses and their state' });

  const failure = await add(first).then(
    () => undefined,
    (error: unknown) => error,
  );
  // A cancelled run keeps its pod's network: only a DEL, or proof that the sandbox is gone, takes a live interface away.
  await uncancelled(() => wf.condition(() => sandbox.isEmpty && wf.allHandlersFinished()));
  if (failure !== undefined && !hasAttached) throw failure; // so that a run which only unwound shows as Failed
  wf.log.info('sandbox network released', { ...first.attachment });
}
