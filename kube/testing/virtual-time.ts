import { setImmediate as nextTurn } from 'node:timers/promises';

/** Time that passes only when a test says so, for whoever takes a clock as an argument. */
export class VirtualTime {
  #nowMs = 0;
  #alarms: { readonly atMs: number; readonly ring: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  /** Resolves at its time, or as soon as the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const alarm = { atMs: this.#nowMs + ms, ring: resolve };
      this.#alarms.push(alarm);
      signal?.addEventListener('abort', () => {
        this.#alarms = this.#alarms.filter((other) => other !== alarm);
        resolve();
      });
    });
  }

  /** Lets this much time pass, one alarm after another; `look` is called whenever something may have happened. */
  async advance(ms: number, look: () => void = () => undefined): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await nextTurn();
      look();
      const nextAtMs = Math.min(...this.#alarms.map(({ atMs }) => atMs));
      const next = this.#alarms.find(({ atMs }) => atMs === nextAtMs);
      if (next === undefined || nextAtMs > endMs) break;
      this.#alarms = this.#alarms.filter((alarm) => alarm !== next);
      // Just before it, too: what ends by the clock alone rings no alarm.
      this.#nowMs = Math.max(this.#nowMs, next.atMs - 0.001);
      look();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.ring();
    }
    this.#nowMs = endMs;
    look();
  }
}
