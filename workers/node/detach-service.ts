import type { Log } from '../../activities/node-ports.ts';
import { toFailure } from '../../contracts/failures.ts';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';
import type { OpenCalls } from './open-calls.ts';
import type { SandboxLocks } from './sandbox-locks.ts';
import type { SandboxRuns } from './sandbox-runs.ts';
import type { UntoldRuns } from './untold-runs.ts';

export interface DetachOptions {
  readonly runs: Pick<SandboxRuns, 'detach'>;
  readonly calls: OpenCalls;
  readonly locks: SandboxLocks;
  readonly steps: Pick<NodeActivities, 'removeLink' | 'releaseAddresses'>;
  /** Told of each DEL that may be answered before Temporal has recorded it. */
  readonly untold: Pick<UntoldRuns, 'note'>;
  readonly log: Log;
  /** How long the run may take before this process undoes the attachment itself. */
  readonly runLimitMs?: number;
  /** How long a run that is late may take until it is asked again. */
  readonly tellLimitMs?: number;
  /** How long undoing may take from the beginning of the call on. */
  readonly limitMs?: number;
}

/** `undone`: nothing is left. `run-open`: nothing is left on the node, but the run could not be told and is still open. */
export type Detached = 'undone' | 'run-open';

/**
 * Takes an attachment away, with its run or without: pod gone, namespace gone, run gone and worker restarted all end the same.
 * Throws when something is left after `limitMs`; the caller then keeps the request on disk, and the addresses stay held.
 */
export class DetachService {
  readonly #options: Required<DetachOptions>;

  constructor(options: DetachOptions) {
    this.#options = { runLimitMs: 3000, tellLimitMs: 10_000, limitMs: 4500, ...options };
  }

  /**
   * With `keepsAsking` the caller calls again as long as the run is open; otherwise a run that is only late is left time to hear
   * of it, and is kept as a DEL on disk when it did not.
   */
  async detach(request: DetachRequest, { keepsAsking = false } = {}): Promise<Detached> {
    const { calls, limitMs } = this.#options;
    const call = calls.open(request.nonce, 'DEL', request.attachment);
    try {
      return await within(limitMs, this.#detach(request, call, keepsAsking));
    } finally {
      call.close();
    }
  }

  async #detach(request: DetachRequest, call: ReturnType<OpenCalls['open']>, keepsAsking: boolean): Promise<Detached> {
    const { runs, runLimitMs, tellLimitMs, untold, log } = this.#options;
    let hasFailed = false;
    const told = runs.detach(request).catch((err: unknown) => {
      hasFailed = true;
      throw err;
    });
    // The last step tells us inside the process, before Temporal has recorded it.
    const byRun = Promise.race([told, call.outcome.then(() => 'done, not recorded' as const)]);
    const outcome = await within(runLimitMs, byRun).catch((err: unknown) => {
      log.warn({ err, attachment: request.attachment }, 'run did not detach, undoing by records and marks');
      return hasFailed ? ('failed' as const) : ('late' as const);
    });
    if (outcome === 'done, not recorded') untold.note(request, told);
    if (outcome === 'detached' || outcome === 'done, not recorded') return 'undone';
    call.takeOver();
    await this.#undoDirectly(request, outcome);
    if (outcome === 'no-run') return 'undone';
    if (outcome === 'failed' || keepsAsking) return 'run-open';
    // A busy server still delivers the call, and the run then learns that it was overtaken: asking again would only add to its work.
    untold.note(request, within(tellLimitMs, told.catch(unlessSuperseded)));
    return 'undone';
  }

  async #undoDirectly(request: DetachRequest, outcome: 'no-run' | 'failed' | 'late'): Promise<void> {
    const { locks, steps, limitMs, log } = this.#options;
    await locks.hold(
      request.attachment.containerID,
      async () => {
        await steps.removeLink(request);
        await steps.releaseAddresses(request);
      },
      { waitMs: limitMs },
    );
    log.info({ attachment: request.attachment, outcome }, 'attachment undone without its run');
  }
}

/** A run that was overtaken has forgotten the attachment: it knows. */
function unlessSuperseded(error: unknown): void {
  if (toFailure(error).type !== 'Superseded') throw error;
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Not done within ${limitMs} ms`)), limitMs);
  work.catch(() => undefined); // it goes on and may fail after we stopped waiting
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
