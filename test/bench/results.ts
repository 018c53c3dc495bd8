import type { AdmissionFigures } from './admission.ts';
import type { Calibration } from './calibration.ts';
import type { ControlWorkerFigures } from './control-worker.ts';
import type { VariantRound } from './measure.ts';
import type { MemoryFigures } from './memory.ts';
import type { NicFigures } from './nics.ts';
import type { Variant } from './variants.ts';

/** Everything that one run of the benchmark found; the JSON file is this. */
export interface Results {
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly kernel: string;
    readonly node: string;
    /** Load averages over 1, 5 and 15 minutes before the first phase: a quiet machine shows less than 0.3. */
    readonly loadBefore: readonly number[];
  };
  readonly startedAt: string;
  readonly minutes: number;
  readonly rounds: number;
  readonly isQuick: boolean;
  /** No pool was filled with more claims, whatever the names of variants say. */
  readonly mostUsed?: number;
  readonly phases: readonly PhaseResults[];
  /** `VERSION` through the same runner: the start and end of our executable without a worker, one at a time. */
  readonly executableAlone?: { readonly p50Ms: number; readonly p99Ms: number; readonly spawnP50Ms: number };
  readonly calibration?: Calibration;
  readonly nics?: NicFigures;
  readonly admission?: AdmissionFigures;
  readonly memory?: MemoryFigures;
}

export interface PhaseResults {
  readonly name: string;
  readonly title: string;
  readonly variants: readonly { readonly variant: Variant; readonly rounds: readonly VariantRound[] }[];
  /** Runs that are still open, and own claims that are still there, 10 s after the last DEL. */
  readonly leftOver: { readonly openRuns: number; readonly claims: number };
  /** CPU of a node worker to which nothing happens, ms per second. */
  readonly workerIdleCpuMsPerSecond: number;
  /** How often a worker's run was not started eagerly. */
  readonly notEager: number;
  readonly controlWorker?: ControlWorkerFigures;
}
