import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { LeaderLease, type Term } from './lease.ts';
import { silent } from './testing/claim-fixtures.ts';
import { type Journey, MemoryLease, promptly } from './testing/memory-lease.ts';
import { VirtualTime } from './testing/virtual-time.ts';

/** A process that competes for the lease. It can be slow, cut off, stopped for a while, or killed. */
class Replica {
  journey: () => Journey = () => promptly;
  /** How much later than asked it wakes up. */
  stallMs: () => number = () => 0;
  readonly #lease: LeaderLease;
  readonly #ended: Promise<void>;
  #term: Term | undefined;
  #isKilled = false;

  constructor(identity: string, time: VirtualTime, server: MemoryLease) {
    this.#lease = new LeaderLease({
      api: server.connect(() => (this.#isKilled ? { ...promptly, fate: 'lost before' } : this.journey())),
      namespace: 'orbweaver-system',
      name: 'orbweaver-control',
      identity,
      log: silent,
      clock: { now: () => time.now(), sleep: (ms, signal) => time.sleep(ms + this.stallMs(), signal) },
    });
    this.#ended = this.#lease.compete(async (term) => {
      this.#term = term;
      if (!term.signal.aborted) await once(term.signal, 'abort');
    });
  }

  get leads(): boolean {
    return !this.#isKilled && (this.#term?.remainingMs() ?? 0) > 0;
  }

  kill(): void {
    this.#isKilled = true;
  }

  stop(): void {
    this.#lease.stop();
  }

  get ended(): Promise<void> {
    return this.#ended;
  }
}

let time: VirtualTime;
let server: MemoryLease;
let replicas: Replica[];
beforeEach(() => {
  time = new VirtualTime();
  server = new MemoryLease(time);
  replicas = [];
});
afterEach(async () => {
  for (const replica of replicas) replica.stop();
  await time.advance(20_000);
  await Promise.all(replicas.map(({ ended }) => ended));
});

function start(identity: string): Replica {
  const replica = new Replica(identity, time, server);
  replicas.push(replica);
  return replica;
}

/** Milliseconds until it is so; fails when it takes longer than the limit. */
async function until(isSo: () => boolean, limitMs: number): Promise<number> {
  const beganAtMs = time.now();
  while (!isSo()) {
    if (time.now() - beganAtMs >= limitMs) throw new Error(`not so after ${limitMs} ms`);
    await time.advance(10);
  }
  return time.now() - beganAtMs;
}

describe('the lease', () => {
  it('is taken by one of two, who keeps it while it renews', async () => {
    const [a, b] = [start('a'), start('b')];
    await until(() => a.leads || b.leads, 1000);
    const [leader, other] = a.leads ? [a, b] : [b, a];
    await time.advance(60_000, () => {
      expect(leader.leads).toBe(true);
      expect(other.leads).toBe(false);
    });
    expect(server.lease?.spec).toMatchObject({ leaseDurationSeconds: 5, leaseTransitions: 1 });
  });

  it('goes to the other within 5.6 s after its holder was killed', async () => {
    const first = start('a');
    await until(() => first.leads, 1000);
    const second = start('b');
    await time.advance(7000);
    first.kill();
    expect(await until(() => second.leads, 10_000)).toBeLessThanOrEqual(5600);
  });

  it('goes to the other within 0.6 s after its holder was stopped', async () => {
    const first = start('a');
    await until(() => first.leads, 1000);
    const second = start('b');
    await time.advance(7000);
    first.stop();
    expect(await until(() => second.leads, 10_000)).toBeLessThanOrEqual(600);
    expect(first.leads).toBe(false);
  });

  it('is held no longer than 4 s without the API server, and had again when that is back', async () => {
    const only = start('a');
    await until(() => only.leads, 1000);
    only.journey = () => ({ ...promptly, fate: 'lost before' });
    expect(await until(() => !only.leads, 10_000)).toBeLessThanOrEqual(4000);
    await time.advance(20_000, () => expect(only.leads).toBe(false));
    only.journey = () => promptly;
    await until(() => only.leads, 6000);
  });

  it('is no longer held by a process that was stopped for a while, from the moment it goes on', async () => {
    const first = start('a');
    await until(() => first.leads, 1000);
    const second = start('b');
    first.stallMs = () => 30_000;
    await until(() => second.leads, 10_000);
    expect(first.leads).toBe(false);
    first.stallMs = () => 0;
    await time.advance(60_000, () => expect(first.leads && second.leads).toBe(false));
  });

  it('is ended for its holder as soon as another has it', async () => {
    const first = start('a');
    await until(() => first.leads, 1000);
    if (server.lease === undefined) throw new Error('no lease');
    const { metadata, spec } = server.lease;
    server.lease = { metadata: { ...metadata, resourceVersion: 'another' }, spec: { ...spec, holderIdentity: 'c' } };
    expect(await until(() => !first.leads, 10_000)).toBeLessThanOrEqual(1600);
  });

  it('is taken at once by the process whose write took effect without an answer', async () => {
    const only = start('a');
    only.journey = () => ({ ...promptly, fate: server.lease === undefined ? 'answered' : 'lost after' });
    await until(() => only.leads, 1000);
    only.journey = () => ({ ...promptly, fate: 'lost after' });
    await time.advance(3000);
    only.journey = () => promptly;
    await time.advance(20_000, () => expect(only.leads).toBe(true));
  });

  /** What a replica meets during 2 s. */
  const weather = fc.constantFrom(
    { ...promptly },
    { ...promptly },
    { ...promptly, fate: 'lost before' as const },
    { ...promptly, fate: 'lost after' as const },
    { ...promptly, thereMs: 900 },
    { ...promptly, backMs: 900 },
    { ...promptly, thereMs: 4000 },
    { ...promptly, stallMs: 3000 },
    { ...promptly, stallMs: 7000 },
  );
  const slotMs = 2000;
  const days = fc.array(weather, { minLength: 30, maxLength: 30 });

  it('is never held by two, whatever becomes of requests and however long processes stand still', async () => {
    let terms = 0;
    await fc.assert(
      fc.asyncProperty(days, days, async (...forecasts) => {
        time = new VirtualTime();
        server = new MemoryLease(time);
        replicas = forecasts.map((forecast, index) => {
          const replica = new Replica(`replica-${index}`, time, server);
          const now = (): Journey => forecast[Math.floor(time.now() / slotMs)] ?? promptly;
          replica.journey = now;
          replica.stallMs = () => now().stallMs;
          return replica;
        });
        await time.advance(slotMs * 30, () => expect(replicas.filter(({ leads }) => leads).length).toBeLessThan(2));
        terms += server.lease?.spec.leaseTransitions ?? 0;
        for (const replica of replicas) replica.stop();
        await time.advance(20_000);
        await Promise.all(replicas.map(({ ended }) => ended));
      }),
      { numRuns: 30 },
    );
    expect(terms).toBeGreaterThan(60); // else nothing was shown
  }, 30_000);
});
