import type { CniBody } from '../../deploy/dev/hand-made-sandbox.ts';
import type { NetworkConfiguration } from '../../deploy/dev/multus.ts';
import type { SandboxAddresses } from './namespaces.ts';

export type { SandboxAddresses } from './namespaces.ts';

/** One call of a network, as a runtime makes it: of its plugin, or of each plugin of its list with the result of the one before. */
export interface CniCall {
  readonly command: string;
  readonly network: NetworkConfiguration;
  /** The whole environment of the executable. */
  readonly env: Readonly<Record<string, string>>;
  /** Name of the executable, for a network without a list; its `type` when absent. */
  readonly executable?: string;
  /** Result of the ADD, for a DEL or CHECK. */
  readonly prevResult?: unknown;
  /** Kills the executable after this time, as a runtime does that gave up. */
  readonly killAfterMs?: number;
  /** Looks at the executable's memory while it runs; costs time, so only where memory is the question. */
  readonly watchesMemory?: boolean;
}

/** How a call ended. */
export interface CniOutcome {
  /** Null when the executable was killed or could not be started. */
  readonly exitCode: number | null;
  /** The JSON on stdout; undefined when there was none. */
  readonly body: CniBody | undefined;
  /** Text instead of JSON on stdout, or why nothing could be started. */
  readonly text?: string;
  /** From just before the start of the executable to its end, in the process that started it; of a list, the sum. */
  readonly durationMs: number;
  /** How long starting the executable held its starter: a part of `durationMs`. */
  readonly spawnMs: number;
  /** Unix time. */
  readonly startedAtMs: number;
  /** VmHWM of the executable, when it was watched and seen. */
  readonly peakRssKiB?: number;
}

/** What a runner can be asked, by kind, and what it answers. */
export interface RunnerWork {
  readonly calls: { ask: { readonly calls: readonly CniCall[]; readonly atOnce: number }; answer: CniOutcome[] };
  readonly make: { ask: { readonly containerIDs: readonly string[] }; answer: null };
  readonly remove: { ask: { readonly containerIDs: readonly string[] }; answer: null };
  readonly addresses: { ask: { readonly containerIDs?: readonly string[] }; answer: SandboxAddresses[] };
}

export type RunnerRequest = {
  [Kind in keyof RunnerWork]: { readonly id: number; readonly kind: Kind } & RunnerWork[Kind]['ask'];
}[keyof RunnerWork];

export type RunnerAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };
