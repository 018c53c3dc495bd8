import type { PodIdentity } from './attachment.ts';
import type { NodeCheckVerdict } from './node-check.ts';

/** Finds claims and runs whose pod is not there, and asks their nodes about them: by schedule, or when a person asks. */
export const zombieSweepWorkflow = 'zombieSweep';
/** ID of the Temporal Schedule, and the beginning of the workflow IDs that it starts. */
export const zombieSweepSchedule = 'zombie-sweep';
/** Workflow ID of a sweep that a person asked for: who asks while one runs gets its answer. */
export const reclaimId = 'reclaim';

/** Argument of `zombieSweep`. */
export interface SweepPlan extends SweepLimits {
  /** Between two looks at a suspect. */
  readonly pauseMs: number;
}

/** How much one sweep takes on; what is left over is its successor's. */
export interface SweepLimits {
  /** Claims and runs in all: they are arguments and results, and so in its history. */
  readonly suspects: number;
  /** Of one node: one question. */
  readonly suspectsPerNode: number;
}

/** A claim or a run whose pod the API server does not know. A reason to ask, never a proof. */
export interface Suspect {
  readonly kind: 'claim' | 'run';
  /** Name of the claim, or workflow ID of the run. */
  readonly subject: string;
  /** Which object or run of that name: UID of the claim, run ID of the run. */
  readonly uid: string;
  /** Changes with every write: resourceVersion of the claim; empty for a run. */
  readonly version: string;
  readonly node: string;
  readonly pod: PodIdentity;
  readonly containerID: string;
  /** Of a claim. */
  readonly pool?: string;
  /** Of a claim that is Held for an identity which has ended: no node is asked about it, the sweep ends it. */
  readonly identity?: string;
  /** One sentence. */
  readonly reason: string;
}

/** What the first look saw. */
export interface Sightings {
  readonly seen: Seen;
  readonly suspects: readonly Suspect[];
  /** Suspicious too, and not to be asked about. */
  readonly left: readonly LeftAlone[];
  /** Beyond the limits: for the next sweep. */
  readonly postponed: number;
  /** Claims that were Cooling or Conflicted and whose time was over: they ended. Absent: none. */
  readonly expired?: readonly string[];
}

export interface Seen {
  readonly claims: number;
  /** Of many a part, another one each time. */
  readonly openRuns: number;
  readonly pods: number;
}

/** Suspects of one node that nobody can vouch for. */
export interface LeftAlone {
  /** Empty: they name none. */
  readonly node: string;
  readonly why: string;
  readonly count: number;
  /** Some of them. */
  readonly subjects: readonly string[];
}

export interface SweepVerdict {
  readonly subject: string;
  readonly node: string;
  /** "namespace/name". */
  readonly pod: string;
  /**
   * The node's word, or: `cleared`: the second look found its pod, a change, or nothing; `unanswered`: the node's worker said
   * nothing in time, so nothing of it was touched.
   */
  readonly outcome: NodeCheckVerdict['outcome'] | 'cleared' | 'unanswered';
  readonly reason: string;
}

/** Result of `zombieSweep`. */
export interface SweepReport extends Omit<Sightings, 'suspects'> {
  readonly verdicts: readonly SweepVerdict[];
}

/**
 * What `zombieSweep` may do, on the queue `control`. What a sandbox may use is taken away by its node; only a claim that is Held
 * for an identity, which no sandbox has, is ended here.
 */
export interface SweepActivities {
  /** First look: names and metadata of everything, then the suspects themselves. */
  readonly findSuspects: (limits: SweepLimits) => Promise<Sightings>;
  /** Second look, at these alone; then, about those that look the same, the word of their node, or their end. */
  readonly checkNode: (node: string, suspects: readonly Suspect[]) => Promise<readonly SweepVerdict[]>;
}
