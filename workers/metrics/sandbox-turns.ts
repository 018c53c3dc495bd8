/**
 * How long calls wait for others of their sandbox: its run serves them one after the other. A call's turn comes when those that were
 * open at its arrival are answered. No call waits for one of another sandbox.
 */
export class SandboxTurns {
  /** Ends of the calls that are open, by container ID. */
  readonly #open = new Map<string, Set<Promise<void>>>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A call arrived; what it gives ends the call and tells for how many milliseconds it waited. */
  enter(containerID: string): () => number {
    const open = this.#open.get(containerID) ?? new Set();
    this.#open.set(containerID, open);
    const arrivedAtMs = this.#nowMs();
    let turnAtMs = open.size === 0 ? arrivedAtMs : undefined;
    if (turnAtMs === undefined) {
      void Promise.all(open).then(() => {
        turnAtMs = this.#nowMs();
      });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    open.add(promise);
    return () => {
      resolve();
      open.delete(promise);
      if (open.size === 0 && this.#open.get(containerID) === open) this.#open.delete(containerID);
      return (turnAtMs ?? this.#nowMs()) - arrivedAtMs;
    };
  }
}
