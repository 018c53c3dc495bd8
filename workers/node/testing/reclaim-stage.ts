import type { AttachmentRecord } from '../../../activities/node-ports.ts';
import { type RestorePorts, restoreClaims } from '../../../activities/restore-claims.ts';
import type { AddRequest, DetachRequest } from '../../../contracts/pod-network.ts';
import { addRequest } from '../../../workflows/testing/node-model.ts';
import { newNonce } from '../call-server.ts';
import { DetachService } from '../detach-service.ts';
import { LostDeletes } from '../lost-deletes.ts';
import { memoryRecords, type NodeProcess, NodeWorld, node, silent } from './node-world.ts';
import { runAdd } from './run-in-process.ts';

/**
 * A node whose runtime sends no DEL: the real steps and the real claim store over a world in memory, without Temporal. `watched`
 * is what the pod watch shows; the pods of the world are what the API server has.
 */
export class ReclaimStage {
  readonly world: NodeWorld;
  readonly watched = new Map<string, { readonly isAlive: boolean }>();
  readonly detached: DetachRequest[] = [];
  /** What a detach throws before it does anything; once for each. */
  readonly refusals: Error[] = [];
  worker: NodeProcess;
  lost: LostDeletes;

  static async open(): Promise<ReclaimStage> {
    const world = new NodeWorld();
    world.pools.set('v4', {
      metadata: { name: 'v4' },
      spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.59'], gateway: '10.70.8.1', default: true },
    });
    return new ReclaimStage(world, await world.start());
  }

  private constructor(world: NodeWorld, worker: NodeProcess) {
    this.world = world;
    this.worker = worker;
    this.lost = this.#watchOver();
  }

  /** A pod with an attached sandbox; its namespace and name are those of its requests. */
  async attach(containerID: string, pod = `pod-of-${containerID}`): Promise<AddRequest> {
    const request = this.requestOf(containerID, pod);
    this.world.pods.set(`pay/${pod}`, { uid: request.pod.uid, annotations: {}, isAlive: true });
    this.watched.set(request.pod.uid, { isAlive: true });
    await this.attachAs(request);
    return request;
  }

  async attachAs(request: AddRequest): Promise<void> {
    this.world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
    const call = this.worker.calls.open(request.nonce, 'ADD', request.attachment);
    await runAdd(this.worker.activities, request).finally(() => call.close());
  }

  requestOf(containerID: string, pod = `pod-of-${containerID}`): AddRequest {
    const request = addRequest('eth0', newNonce(), containerID);
    return {
      ...request,
      pod: { namespace: 'pay', name: pod, uid: `uid-of-${pod}` },
      netns: `/run/netns/${containerID}`,
      netnsCookie: String(this.world.namespaces.size + 100),
    };
  }

  /** The API server has the pod no more; the watch need not have told yet. */
  deletePod({ pod }: AddRequest): void {
    this.world.pods.delete(`${pod.namespace}/${pod.name}`);
  }

  /** The API server has the pod no more, and its watch tells. */
  podGone(request: AddRequest): void {
    this.deletePod(request);
    this.watched.delete(request.pod.uid);
    this.lost.podGone(request.pod);
  }

  namespaceGone({ netns }: AddRequest): void {
    this.world.namespaces.delete(netns);
  }

  /** The worker is killed, and another one starts; the caller lets it compare. */
  async restart(): Promise<void> {
    this.lost.close();
    this.worker.kill();
    this.worker = await this.world.start();
    this.lost = this.#watchOver();
  }

  detach = async (gone: Omit<DetachRequest, 'nonce' | 'reason'>): Promise<void> => {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    await this.#detach({ ...gone, nonce: newNonce(), reason: 'proven-gone' });
  };

  /** The DEL of the runtime, which comes while the namespace is there. */
  async del({ attachment, pod, netns }: AddRequest): Promise<void> {
    await this.#detach({ attachment, pod, netns, nonce: newNonce(), reason: 'detach' });
  }

  async #detach(request: DetachRequest): Promise<void> {
    const { calls, locks, steps } = this.worker;
    const runs = { detach: async () => 'no-run' as const };
    await new DetachService({ runs, calls, locks, steps, untold: { note: () => undefined }, log: silent }).detach(
      request,
    );
    this.detached.push(request);
  }

  get restorePorts(): RestorePorts {
    const { ports, claims, locks } = this.worker;
    const addressesIn = async (netns: string): Promise<readonly string[]> =>
      [...(this.world.namespaces.get(netns)?.links.values() ?? [])].flatMap(({ addresses }) => [...addresses]);
    return {
      node,
      records: { read: (attachment) => ports.records.read(attachment), list: () => this.records.list() },
      claims: { take: (want) => ports.claims.take(want), readWhole: (name) => claims.readWhole(name) },
      pods: { findLive: (pod) => ports.pods.find(pod) },
      cluster: this.world.cluster,
      kernel: { ...ports.kernel, addressesIn },
      locks,
      log: ports.log,
    };
  }

  readonly records = {
    list: async (containerID?: string): Promise<readonly AttachmentRecord[]> =>
      (await memoryRecords(this.world).list()).filter(
        ({ attachment }) => containerID === undefined || attachment.containerID === containerID,
      ),
  };

  #watchOver(): LostDeletes {
    const { claims, ports } = this.worker;
    return new LostDeletes({
      node,
      records: this.records,
      claims: {
        own: () => claims.own(),
        holderOf: async (name) => (await claims.readWhole(name))?.spec.holders.find((one) => one.node === node.name),
        freeHeld: (podUID) => claims.freeHeld(podUID),
      },
      pods: {
        find: (pod) => ports.pods.find(pod),
        remembered: ({ uid }) => this.watched.get(uid),
      },
      kernel: ports.kernel,
      detach: (gone) => this.detach(gone),
      restoreClaims: () => restoreClaims(this.restorePorts),
      log: ports.log,
      pauses: { firstLookMs: 5, longestLookMs: 10, retryMs: 5 },
    });
  }
}
