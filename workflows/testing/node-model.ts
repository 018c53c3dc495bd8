import type { CniResult } from '../../contracts/cni.ts';
import { toCniResult } from '../../contracts/cni-result.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import type { AddRequest, ClaimedAddress, DetachRequest } from '../../contracts/pod-network.ts';

type Step = Exclude<keyof NodeActivities, 'answerFailure'>;

/** A step that fails once, before or after it takes effect; or each time, as a stuck undo does. */
export interface Fault {
  readonly at: 'before' | 'after';
  readonly step: Step;
  readonly always?: boolean;
}

export const forwardFaults: readonly Fault[] = (
  ['prepareLinks', 'claimAddresses', 'plumbLink', 'coordinate'] as const
).flatMap((step) => [
  { at: 'before', step },
  { at: 'after', step },
]);

/** A node of twenty lines that holds what the real one would hold, and fails on demand. */
export class NodeModel implements NodeActivities {
  /** `shared <container ID>`, `address …`, `link …`, `RDMA device …` and `tie …`, while they exist. */
  readonly holds = new Set<string>();
  readonly calls: string[] = [];
  readonly answered: string[] = [];
  /** Awaited inside a step, after it took effect: lets a test act while the step runs. */
  pauseIn: ((step: Step) => Promise<void>) | undefined;
  readonly #faults: Fault[];

  constructor(...faults: readonly Fault[]) {
    this.#faults = [...faults];
  }

  prepareLinks(request: AddRequest): Promise<void> {
    return this.#do('prepareLinks', request, () => {
      this.holds.add(`shared ${request.attachment.containerID}`);
    });
  }

  claimAddresses(request: AddRequest): Promise<readonly ClaimedAddress[]> {
    return this.#do('claimAddresses', request, () => {
      this.holds.add(`address ${request.attachment.containerID}`);
      return [claimed];
    });
  }

  plumbLink(request: AddRequest, addresses: readonly ClaimedAddress[]) {
    return this.#do('plumbLink', request, () => {
      this.holds.add(`link ${request.attachment.containerID}`);
      return toCniResult(addresses, { name: request.attachment.ifName, sandbox: request.netns });
    });
  }

  lendRdma(request: AddRequest): Promise<void> {
    return this.#do('lendRdma', request, () => {
      this.holds.add(`RDMA device ${request.attachment.containerID}`);
    });
  }

  coordinate(request: AddRequest, made: CniResult) {
    return this.#do('coordinate', request, () => {
      this.holds.add(`tie ${request.attachment.containerID}`);
      return made;
    });
  }

  removeLink(request: DetachRequest): Promise<void> {
    return this.#do('removeLink', request, () => {
      this.holds.delete(`tie ${request.attachment.containerID}`);
      this.holds.delete(`RDMA device ${request.attachment.containerID}`);
      this.holds.delete(`link ${request.attachment.containerID}`);
      this.holds.delete(`shared ${request.attachment.containerID}`);
    });
  }

  releaseAddresses(request: DetachRequest): Promise<void> {
    return this.#do('releaseAddresses', request, () => {
      const { containerID } = request.attachment;
      if (this.holds.has(`link ${containerID}`))
        throw new Error('an address was freed while its link may still answer');
      this.holds.delete(`address ${containerID}`);
    });
  }

  async answerFailure(nonce: string): Promise<void> {
    this.answered.push(nonce);
  }

  async #do<T>(
    step: Step,
    { attachment }: { readonly attachment: { readonly ifName: string } },
    effect: () => T,
  ): Promise<T> {
    this.calls.push(`${step} ${attachment.ifName}`);
    this.#failAt('before', step);
    const result = effect();
    await this.pauseIn?.(step);
    this.#failAt('after', step);
    return result;
  }

  #failAt(at: Fault['at'], step: Step): void {
    const index = this.#faults.findIndex((fault) => fault.at === at && fault.step === step);
    const fault = this.#faults[index];
    if (fault === undefined) return;
    if (fault.always !== true) this.#faults.splice(index, 1);
    throw new ProvisionError({ type: 'KernelRefused', message: `failed ${at} ${step}` });
  }
}

export const claimed: ClaimedAddress = {
  family: 4,
  address: '10.70.8.20/22',
  pool: 'rack7-v4',
  gateway: '10.70.8.1',
  routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }],
};

export const addRequest = (ifName = 'eth0', nonce = 'a'.repeat(32), containerID = '5bc0ffee'): AddRequest => ({
  attachment: { containerID, network: 'underlay', ifName, kind: 'attach' },
  pod: { namespace: 'pay', name: 'api-0', uid: '9c1f0000-0000-4000-8000-000000000001' },
  node: 'r7-n1',
  netns: '/run/netns/cni-1',
  netnsCookie: '4711',
  nonce,
  arrivedAtMs: 1_790_000_000_000,
  network: {
    provides: 'interface',
    link: { kind: 'macvlan', master: 'bond0', mode: 'bridge' },
    defaultIPv4Pools: [],
    defaultIPv6Pools: [],
    cleanGateway: false,
  },
});

export const detachRequest = ({ attachment, pod, netns }: AddRequest, nonce = 'd'.repeat(32)): DetachRequest => ({
  attachment,
  pod,
  netns,
  nonce,
  reason: 'detach',
});
