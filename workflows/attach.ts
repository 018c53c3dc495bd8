import type { CniResult } from '../contracts/cni.ts';
import { toCniResult } from '../contracts/cni-result.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import type { AddRequest, ClaimedAddress, DetachRequest } from '../contracts/pod-network.ts';
import { type Shield, Unwind } from './unwind.ts';

export interface Attached {
  readonly addresses: readonly ClaimedAddress[];
  readonly result: CniResult;
}

/** Gives one pod interface what its network asks for: links of the node, addresses, its own link. When any step fails, the node is left as it was found. */
export async function attach(node: NodeActivities, request: AddRequest, shield: Shield): Promise<Attached> {
  const failed: DetachRequest = { ...identityOf(request), reason: 'failed-add' };
  const saga = new Unwind(shield);
  const { provides, shared, coordination } = request.network;
  try {
    // No run began with these keys before there was this step, so it needs no patch: none replays into it.
    if (shared !== undefined || provides === 'links') {
      await saga.step('links of the node', {
        run: () => node.prepareLinks(request),
        undo: () => detach(node, failed),
      });
    }
    if (provides === 'links') return { addresses: [], result: toCniResult([]) };
    // As above: no older run has these.
    if (provides === 'rdma') {
      await saga.step('RDMA device', {
        run: () => node.lendRdma(request),
        undo: () => detach(node, failed),
      });
      return { addresses: [], result: toCniResult([]) };
    }
    if (provides === 'coordination') {
      const result = await saga.step('coordination', {
        run: () => node.coordinate(request, toCniResult([])),
        undo: () => detach(node, failed),
      });
      return { addresses: [], result };
    }
    const addresses = await saga.step('addresses', {
      run: () => node.claimAddresses(request),
      // The link too: before a worker was killed, an execution that nobody remembers may have come further than this one.
      undo: () => detach(node, failed),
    });
    if (provides === 'addresses') return { addresses, result: toCniResult(addresses) };
    const made = await saga.step('link', {
      run: () => node.plumbLink(request, addresses),
      undo: () => node.removeLink(failed),
    });
    // What this does is taken back with the link, by the same undo.
    const result = coordination === undefined ? made : await node.coordinate(request, made);
    return { addresses, result };
  } catch (failure) {
    return await saga.unwind(failure);
  }
}

/** Takes one pod interface away: its link first, because an address is free only once no interface can answer for it. */
export async function detach(node: NodeActivities, request: DetachRequest): Promise<void> {
  await node.removeLink(request);
  await node.releaseAddresses(request);
}

const identityOf = ({ attachment, pod, nonce, netns }: AddRequest): Omit<DetachRequest, 'reason'> => ({
  attachment,
  pod,
  nonce,
  netns,
});
