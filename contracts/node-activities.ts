import type { CniResult } from './cni.ts';
import type { Failure } from './failures.ts';
import type { AddRequest, ClaimedAddress, DetachRequest } from './pod-network.ts';

/**
 * The effects that `podNetwork` orders on its node. Each finds what an earlier attempt did, so doing one twice equals doing
 * it once and undoing what never happened succeeds. They run as local activities in the process that holds the CNI socket.
 */
export interface NodeActivities {
  /**
   * Makes the links of the node that the network asks for, or finds them there as asked. The last step of an attachment that
   * asks for nothing else: the caller is answered before this returns.
   */
  readonly prepareLinks: (request: AddRequest) => Promise<void>;

  /**
   * Claims an address of every family asked. Starts no work when the caller is gone. The last step of an attachment that
   * only provides addresses: the caller is answered before this returns.
   */
  readonly claimAddresses: (request: AddRequest) => Promise<readonly ClaimedAddress[]>;

  /**
   * Gives the addresses back: deleted, or Held for a pod that lives or an identity that stays. Undo of `claimAddresses` and
   * so the last undo of an attachment: its record goes with it, and a DEL that waits is answered.
   */
  readonly releaseAddresses: (request: DetachRequest) => Promise<void>;

  /**
   * Makes the interface with its addresses and routes. The last step where no coordination is asked for: writes `done` into the
   * record and answers the caller.
   */
  readonly plumbLink: (request: AddRequest, addresses: readonly ClaimedAddress[]) => Promise<CniResult>;

  /**
   * Gives the pod the RDMA device of a VF whose link another plugin has moved. The only step of an attachment that asks for it:
   * writes `done` into the record and answers the caller.
   */
  readonly lendRdma: (request: AddRequest) => Promise<void>;

  /**
   * Ties an interface to its node and to the pod's other interfaces; its plan is in the record before the first change. The last
   * step where it is asked for: writes `done` into the record and answers the caller with `made`, as it is then.
   */
  readonly coordinate: (request: AddRequest, made: CniResult) => Promise<CniResult>;

  /**
   * Takes back what `coordinate` did, by its record, then removes what `plumbLink` made for this attachment, found by mark, or
   * gives back the device that `plumbLink` or `lendRdma` lent, and then removes what `prepareLinks` made, if nobody else uses it.
   * Undo of all four.
   */
  readonly removeLink: (request: DetachRequest) => Promise<void>;

  /** Answers the caller of an ADD that failed, after everything is undone. */
  readonly answerFailure: (nonce: string, failure: Failure) => Promise<void>;
}
