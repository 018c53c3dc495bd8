import type { Failure } from '../contracts/failures.ts';
import { fromTemporal, toApplicationFailure } from '../temporal-config/failure-conversion.ts';

/** Runs work that a cancelled caller must not interrupt: a non-cancellable scope in a workflow, nothing special in a test. */
export type Shield = <T>(work: () => Promise<T>) => Promise<T>;

interface Step<T> {
  readonly run: () => Promise<T>;
  /** Takes the request's identity, never the step's result: the reply may be lost while the effect happened. */
  readonly undo: () => Promise<void>;
}

/**
 * Steps with their undo. An undo is recorded before its step runs, because a lost reply leaves work behind; undoing goes
 * newest first, finishes even when the caller is cancelled, and stops at the first undo that fails: an address is not free
 * while its link may still answer for it.
 */
export class Unwind {
  readonly #shield: Shield;
  readonly #undos: { readonly name: string; readonly undo: () => Promise<void> }[] = [];

  constructor(shield: Shield) {
    this.#shield = shield;
  }

  async step<T>(name: string, { run, undo }: Step<T>): Promise<T> {
    this.#undos.push({ name, undo });
    return await run();
  }

  /** Undoes all steps so far and throws the failure that made it necessary, or `UnwindStuck` when an undo failed. */
  async unwind(failure: unknown): Promise<never> {
    const reason = fromTemporal(failure);
    // Another owner serves this request now: whatever was done belongs to it.
    if (reason.type !== 'Superseded') await this.#shield(() => this.#undoAll(reason));
    throw toApplicationFailure(reason);
  }

  async #undoAll(reason: Failure): Promise<void> {
    for (const { name, undo } of this.#undos.toReversed()) {
      try {
        await undo();
      } catch (stuck) {
        const failure = fromTemporal(stuck);
        throw toApplicationFailure(failure.type === 'Superseded' ? failure : unwindStuck(name, failure, reason));
      }
    }
  }
}

const unwindStuck = (step: string, stuck: Failure, reason: Failure): Failure => ({
  type: 'UnwindStuck',
  message: `Cannot undo step "${step}" (${stuck.message}) after the attachment failed: ${reason.message}`,
  remedy: stuck.remedy ?? 'See what is left on the node: orb explain pod NAMESPACE/NAME',
});
