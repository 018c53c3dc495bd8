import type { PodIdentity } from './attachment.ts';

/**
 * Argument of `nodeCheck`, on the node's queue: claims and runs that look abandoned from outside. Only the node's worker can say
 * what they are: it looks for proof, takes away what is proven gone, and refuses the rest.
 */
export interface NodeCheckRequest {
  /** Who asks and why, for the run's summary: "zombieSweep: the pod is gone". */
  readonly reason: string;
  readonly claims: readonly { readonly name: string; readonly uid: string }[];
  /** Open `podNetwork` runs whose sandbox nobody knows. */
  readonly runs: readonly SuspectRun[];
}

export interface SuspectRun {
  readonly workflowId: string;
  readonly pod: PodIdentity;
  readonly containerID: string;
}

export interface NodeCheckVerdict {
  /** Name of the claim, or workflow ID of the run. */
  readonly subject: string;
  /** `released`: taken away now. `absent`: nothing to take away (it went, or is another's by now). `kept`: no proof. */
  readonly outcome: 'released' | 'absent' | 'kept';
  /** One sentence: the proof, or why there is none. */
  readonly reason: string;
}

export const nodeCheckWorkflow = 'nodeCheck';
/** One check per node at a time; a second request waits for the next sweep. */
export const nodeCheckId = (nodeName: string): string => `check/${nodeName}`;

/** What `nodeCheck` does on its node: one activity, in the process that holds the CNI socket. */
export interface NodeCheckActivities {
  /** Doing it twice is safe: what the first time took away is `absent` the second. Heartbeats between subjects. */
  readonly checkSuspects: (request: NodeCheckRequest) => Promise<readonly NodeCheckVerdict[]>;
}
