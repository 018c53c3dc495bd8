import { setTimeout as sleep } from 'node:timers/promises';
import type { AddRequest } from '../contracts/pod-network.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type { OpenCalls } from './node-ports.ts';

/** Time as a step waits in it. */
export interface Clock {
  /** Milliseconds of a clock that is never set. */
  now(): number;
  sleep(ms: number): Promise<unknown>;
}

export interface PatiencePorts {
  readonly calls: Pick<OpenCalls, 'isWaiting' | 'isDetachWanted'>;
  /** Real time when absent. */
  readonly clock?: Clock;
  /** Told once of each ADD that has to wait for its pool. */
  readonly onAwaitedPool?: () => void;
}

/** How long one ADD waits in all for pools that are being made. Less than a step may take, so that its reason is told. */
const mostMs = 25_000;
const firstPauseMs = 100;
const longestPauseMs = 1000;
const realTime: Clock = { now: () => performance.now(), sleep: (ms) => sleep(ms) };

/** The waiting of one ADD for what the control worker is about to make: as long as its caller waits, and no longer. */
export class Patience {
  readonly #ports: PatiencePorts;
  readonly #clock: Clock;
  readonly #request: Pick<AddRequest, 'attachment' | 'nonce'>;
  readonly #endMs: number;
  #hasWaited = false;

  constructor(ports: PatiencePorts, request: Pick<AddRequest, 'attachment' | 'nonce'>) {
    this.#ports = ports;
    this.#clock = ports.clock ?? realTime;
    this.#request = request;
    this.#endMs = this.#clock.now() + mostMs;
  }

  /**
   * Looks again and again until something is found; undefined when the time is over. Throws when nobody waits for the answer
   * any more.
   */
  async until<Found>(look: () => Promise<Found | undefined>, limitMs = mostMs): Promise<Found | undefined> {
    const { calls, onAwaitedPool } = this.#ports;
    const { attachment, nonce } = this.#request;
    const endMs = Math.min(this.#endMs, this.#clock.now() + limitMs);
    for (let pauseMs = firstPauseMs; this.#clock.now() < endMs; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      if (!this.#hasWaited) onAwaitedPool?.();
      this.#hasWaited = true;
      await this.#clock.sleep(pauseMs);
      if (!calls.isWaiting(nonce)) throw callerGone(attachment);
      if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
      const found = await look();
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
