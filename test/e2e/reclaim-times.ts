import { setTimeout as sleep } from 'node:timers/promises';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';

/** How long addresses took to come back, over several events; as the API server shows it, looked at every 20 ms. */
export class ReclaimTimes {
  readonly #what: string;
  readonly #events: (readonly number[])[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  get count(): number {
    return this.#events.flat().length;
  }

  /**
   * Waits until no claim names one of these sandboxes, and adds how long each took from now on.
   * @throws {Error} after `limitSeconds`, with the claims that are left.
   */
  async untilFreed(
    claims: () => Promise<readonly IPClaim[]>,
    containerIDs: ReadonlySet<string>,
    limitSeconds: number,
  ): Promise<void> {
    const startedAt = performance.now();
    const freedAfterMs: number[] = [];
    let left: ReadonlySet<string> | undefined;
    for (;;) {
      const found = (await claims()).filter(({ spec }) =>
        spec.holders.some((one) => containerIDs.has(one.containerID)),
      );
      const elapsedMs = performance.now() - startedAt;
      const now = new Set(found.map(({ metadata }) => metadata.name));
      // None seen at the first look: they were back before anybody could look.
      const before = left?.size ?? containerIDs.size;
      for (let freed = now.size; freed < before; freed += 1) freedAfterMs.push(elapsedMs);
      left = now;
      if (now.size === 0) break;
      if (elapsedMs > limitSeconds * 1000) {
        throw new Error(`${this.#what}: not back within ${limitSeconds} s: ${[...now].join(' ')}`);
      }
      await sleep(20);
    }
    this.#events.push(freedAfterMs);
  }

  /** The distribution, for people. */
  print(): void {
    const all = this.#events.flat().sort((one, other) => one - other);
    const at = (share: number): string => `${Math.round(all[Math.ceil(share * all.length) - 1] ?? 0)} ms`;
    const line = `${this.#what}: ${all.length} addresses in ${this.#events.length} events, back after p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)}`;
    process.stdout.write(`${line}\n`);
  }
}
