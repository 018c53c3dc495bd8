import { ProvisionError } from '../../contracts/failures.ts';

/**
 * One lock for each sandbox: every step of any origin (run, DEL by records, queue replay, reclaim) holds it. First come, first
 * served; a waiter that gives up in time leaves no trace and its work never runs.
 */
export class SandboxLocks {
  readonly #tails = new Map<string, Promise<void>>();

  async hold<T>(containerID: string, work: () => Promise<T>, limits?: { readonly waitMs: number }): Promise<T> {
    const ahead = this.#tails.get(containerID);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const tail = Promise.all([ahead, released]).then(() => undefined);
    this.#tails.set(containerID, tail);
    try {
      if (ahead !== undefined) await inTime(ahead, limits?.waitMs, containerID);
      return await work();
    } finally {
      release();
      void tail.then(() => {
        if (this.#tails.get(containerID) === tail) this.#tails.delete(containerID);
      });
    }
  }

  /** Sandboxes that are being worked on now. */
  get size(): number {
    return this.#tails.size;
  }
}

async function inTime(ahead: Promise<void>, waitMs: number | undefined, containerID: string): Promise<void> {
  if (waitMs === undefined) return await ahead;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(reject, waitMs, busy(containerID, waitMs));
  try {
    await Promise.race([ahead, late]);
  } finally {
    clearTimeout(timer);
  }
}

const busy = (containerID: string, waitMs: number): ProvisionError =>
  new ProvisionError({
    type: 'WorkerBusy',
    message: `Another operation on sandbox ${containerID} was not finished within ${waitMs} ms`,
    remedy: 'See which step takes so long: orb explain pod NAMESPACE/NAME',
  });
