import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from './api-client.ts';
import { hasStatus } from './api-error.ts';
import type { Log } from './log.ts';

/** One's own time: monotonic milliseconds, and a sleep that an abort ends early (it then resolves, too). */
export interface Clock {
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface LeaseOptions {
  readonly api: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Never used by another process, nor by an earlier life of this one: what carries it was written by us. */
  readonly identity: string;
  readonly log: Log;
  readonly clock?: Clock;
}

/** The time in which this process is the leader. */
export interface Term {
  /** Aborts when the lease is lost, or may be, or is to be given back. */
  readonly signal: AbortSignal;
  /**
   * How long it certainly lasts; 0 when it is over. Asked right before each write: a process that was stopped for a while
   * learns here that it leads no more.
   */
  remainingMs(): number;
}

/** For how long everybody believes a holder that shows no sign of life. */
const leaseMs = 5000;
const renewEveryMs = 1500;
/** A leader stops at that time after its last renewal began, the difference to `leaseMs` before another may start. */
const holdMs = 4000;
/** From the end of a term to the earliest start of another's. */
export const betweenTermsMs = leaseMs - holdMs;
const requestMs = 1500;
const lookEveryMs = 500;
const tryAgainMs = 250;

interface LeaseObject {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/**
 * Leader election by a `coordination.k8s.io/v1` Lease. Every write is on the condition of the resourceVersion that was read, so
 * of two who reach for the lease one gets it. Times are measured by our own clock, from when we saw the lease change last:
 * what another's clock wrote into it is for people.
 */
export class LeaderLease {
  readonly #api: ApiClient;
  readonly #name: string;
  readonly #collection: string;
  readonly #identity: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  /** The lease as last read or written. */
  #lease: LeaseObject | undefined;
  /** When that was first seen. */
  #seenAtMs = 0;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  constructor({ api, namespace, name, identity, log, clock = ownClock }: LeaseOptions) {
    this.#api = api;
    this.#name = name;
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    this.#identity = identity;
    this.#log = log;
    this.#clock = clock;
  }

  /** Competes for the lease until `stop`, and does the work whenever it has it. The work ends soon after its term's signal. */
  async compete(work: (term: Term) => Promise<void>): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#look().catch((err: unknown) => this.#log.debug({ err }, 'lease not read or not taken'));
      if (this.#isHeld()) await this.#lead(work);
      await this.#clock.sleep(lookEveryMs, signal);
    }
  }

  /** Ends the term, if there is one, and gives the lease back: the next leader need not wait for its end. */
  stop(): void {
    this.#stopped.abort();
  }

  async #lead(work: (term: Term) => Promise<void>): Promise<void> {
    const ending = new AbortController();
    const end = (): void => ending.abort();
    this.#stopped.signal.addEventListener('abort', end, { once: true });
    if (this.#stopped.signal.aborted) end();
    const lease = { name: this.#name, identity: this.#identity };
    this.#log.info(lease, 'leadership taken');
    const working = work({
      signal: ending.signal,
      remainingMs: () => (ending.signal.aborted ? 0 : this.#remainingMs()),
    })
      .catch((err: unknown) => this.#log.warn({ err, ...lease }, 'work of the leader failed'))
      .finally(end);
    await Promise.all([this.#renew(ending.signal).then(end), this.#endWhenUnsure(ending)]);
    await working;
    this.#stopped.signal.removeEventListener('abort', end);
    const isReleased = this.#isHeld() && (await this.#release());
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
    this.#log.info({ ...lease, isReleased }, 'leadership ended');
  }

  /** Reads the lease, and reaches for it when nobody holds it. */
  async #look(): Promise<void> {
    const lease = await this.#read();
    if (lease === undefined) return await this.#write('POST', {});
    const { holderIdentity = '', leaseDurationSeconds = 0 } = lease.spec ?? {};
    const endsAtMs = this.#seenAtMs + leaseDurationSeconds * 1000;
    // Our own name is there when a write of ours took effect and its answer was lost.
    if (holderIdentity === '' || holderIdentity === this.#identity || this.#clock.now() >= endsAtMs)
      await this.#write('PUT', lease);
  }

  async #renew(signal: AbortSignal): Promise<void> {
    for (let pauseMs = renewEveryMs; ; ) {
      await this.#clock.sleep(pauseMs, signal);
      if (signal.aborted) return;
      pauseMs = renewEveryMs;
      try {
        if (this.#lease) await this.#write('PUT', this.#lease);
      } catch (err) {
        this.#log.warn({ err }, 'lease not renewed');
        if (hasStatus(err, 409) && !(await this.#isStillOurs())) {
          this.#heldUntilMs = Number.NEGATIVE_INFINITY;
          return;
        }
        pauseMs = tryAgainMs;
      }
    }
  }

  /** After a conflict: a renewal of ours that got no answer has changed the lease, or another has it. */
  async #isStillOurs(): Promise<boolean> {
    try {
      return (await this.#read())?.spec?.holderIdentity === this.#identity;
    } catch {
      return true; // not known: the clock decides
    }
  }

  async #endWhenUnsure(ending: AbortController): Promise<void> {
    while (!ending.signal.aborted && this.#isHeld())
      await this.#clock.sleep(Math.max(1, this.#remainingMs()), ending.signal);
    ending.abort();
  }

  #isHeld(): boolean {
    return this.#remainingMs() > 0;
  }

  #remainingMs(): number {
    return Math.max(0, this.#heldUntilMs - this.#clock.now());
  }

  async #read(): Promise<LeaseObject | undefined> {
    const path = `${this.#collection}/${this.#name}`;
    try {
      return this.#see(await this.#api.request<LeaseObject>({ method: 'GET', path, timeoutMs: requestMs }));
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async #write(method: 'POST' | 'PUT', before: Partial<LeaseObject>): Promise<void> {
    const beganAtMs = this.#clock.now();
    const now = microTime();
    const wasOurs = before.spec?.holderIdentity === this.#identity;
    const { leaseTransitions = 0, acquireTime = now } = before.spec ?? {};
    await this.#send(method, before, {
      holderIdentity: this.#identity,
      leaseDurationSeconds: leaseMs / 1000,
      acquireTime: wasOurs ? acquireTime : now,
      renewTime: now,
      leaseTransitions: wasOurs ? leaseTransitions : leaseTransitions + 1,
    });
    this.#heldUntilMs = beganAtMs + holdMs;
  }

  async #release(): Promise<boolean> {
    try {
      const { spec = {}, ...before } = this.#lease ?? {};
      await this.#send('PUT', before, { ...spec, holderIdentity: '' });
      return true;
    } catch (err) {
      this.#log.debug({ err }, 'lease not given back: it will run out');
      return false;
    }
  }

  async #send(method: 'POST' | 'PUT', before: Partial<LeaseObject>, spec: LeaseObject['spec']): Promise<void> {
    const path = method === 'POST' ? this.#collection : `${this.#collection}/${this.#name}`;
    const metadata = { ...before.metadata, name: this.#name };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    this.#see(await this.#api.request<LeaseObject>({ method, path, body, timeoutMs: requestMs }));
  }

  #see(lease: LeaseObject): LeaseObject {
    const isChanged = lease.metadata.resourceVersion !== this.#lease?.metadata.resourceVersion;
    if (isChanged) this.#seenAtMs = this.#clock.now();
    this.#lease = lease;
    return lease;
  }
}

/** Kubernetes' MicroTime wants exactly six digits. */
const microTime = (): string => new Date().toISOString().replace('Z', '000Z');

const ownClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
};
