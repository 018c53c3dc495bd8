import type { CniResult } from '../../../contracts/cni.ts';
import type { NodeActivities } from '../../../contracts/node-activities.ts';
import type { AddRequest, DetachRequest } from '../../../contracts/pod-network.ts';
import { fromTemporal } from '../../../temporal-config/failure-conversion.ts';
import { attach, detach } from '../../../workflows/attach.ts';
import { withTemporalFailures } from '../temporal-worker.ts';

/** What a run does for one ADD, without Temporal: its steps once, every undo until it succeeds, then the answer. */
export async function runAdd(activities: NodeActivities, request: AddRequest): Promise<CniResult> {
  const node = asRunSeesThem(activities);
  try {
    return (await attach(node, request, (work) => work())).result;
  } catch (error) {
    await node.answerFailure(request.nonce, fromTemporal(error));
    throw error;
  }
}

/** What a run does for one DEL. */
export async function runDetach(activities: NodeActivities, request: DetachRequest): Promise<void> {
  await detach(asRunSeesThem(activities), request);
}

/** Every activity and undo runs twice, as they do when a workflow task is lost after its local activities. */
export const twice = (node: NodeActivities): NodeActivities => ({
  prepareLinks: (add) => again(() => node.prepareLinks(add)),
  claimAddresses: (add) => again(() => node.claimAddresses(add)),
  plumbLink: (add, addresses) => again(() => node.plumbLink(add, addresses)),
  lendRdma: (add) => again(() => node.lendRdma(add)),
  coordinate: (add, made) => again(() => node.coordinate(add, made)),
  removeLink: (gone) => again(() => node.removeLink(gone)),
  releaseAddresses: (gone) => again(() => node.releaseAddresses(gone)),
  answerFailure: (nonce, failure) => again(() => node.answerFailure(nonce, failure)),
});

async function again<T>(work: () => Promise<T>): Promise<T> {
  await work();
  return await work();
}

const undoAttempts = 3;

function asRunSeesThem(activities: NodeActivities): NodeActivities {
  const converted = withTemporalFailures(activities);
  return {
    ...converted,
    removeLink: (request) => retried(() => converted.removeLink(request)),
    releaseAddresses: (request) => retried(() => converted.releaseAddresses(request)),
  };
}

async function retried(undo: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await undo();
    } catch (error) {
      if (attempt === undoAttempts || fromTemporal(error).type === 'Superseded') throw error;
    }
  }
}
