import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { SpiderIPPool } from '../../../contracts/crds/spiderippool.ts';
import { type AddressSpace, entryFor } from '../../../ipam/admission/address-space.ts';
import { validatePoolCreate } from '../../../ipam/admission/pool-rules.ts';
import type { Verdict } from '../../../ipam/admission/verdict.ts';
import type { ReadSpace } from '../../../kube/address-space-store.ts';
import { VirtualTime } from '../../../kube/testing/virtual-time.ts';
import { SpaceQueue } from './space-queue.ts';

const settings = { families: [4, 6], subnets: true, refusesDeletionInUse: false } as const;

/** An API server with one AddressSpace and pools, in virtual time: every request takes a moment there and a moment back. */
class Cluster {
  readonly time = new VirtualTime();
  readonly pools: SpiderIPPool[] = [];
  space: AddressSpace = { entries: [] };
  revision = 0;
  writes = 0;
  readonly #delays: readonly number[];
  #requests = 0;

  constructor(delays: readonly number[] = [1]) {
    this.#delays = delays;
  }

  replica(): SpaceQueue {
    return new SpaceQueue({
      now: () => 1_000_000 + this.time.now(),
      sleep: (ms) => this.time.sleep(ms),
      list: async () => ({ pools: await this.#travel(() => [...this.pools]), subnets: [] }),
      space: {
        read: () => this.#travel(() => ({ space: this.space, resourceVersion: String(this.revision) })),
        replace: (next: ReadSpace) =>
          this.#travel(() => {
            if (next.resourceVersion !== String(this.revision)) return 'overtaken';
            this.space = next.space;
            this.revision += 1;
            this.writes += 1;
            return 'written';
          }),
      },
    });
  }

  /** What the API server does with a create: it asks a replica, and makes the object some time after that let it pass. */
  async create(
    queue: SpaceQueue,
    pool: SpiderIPPool,
    { isDryRun = false, isLostAfter = false } = {},
  ): Promise<Verdict> {
    const verdict = await this.ask(queue, pool, isDryRun);
    await this.#travel(() => {
      if (verdict.outcome === 'allowed' && !isDryRun && !isLostAfter) this.pools.push(pool);
    });
    return verdict;
  }

  ask(queue: SpaceQueue, pool: SpiderIPPool, isDryRun = false): Promise<Verdict> {
    const entry = entryFor(pool, undefined, 1_000_000 + this.time.now());
    const endsAtMs = this.time.now() + 9000;
    return queue.decide({
      ...(entry && { entry }),
      isDryRun,
      deadline: { remainingMs: () => endsAtMs - this.time.now() },
      judge: (listed) => validatePoolCreate(pool, { settings, user: 'kim', controlWorker: 'us', ...listed }),
    });
  }

  /** Lets time pass until all of these have ended. */
  async all<Value>(work: readonly Promise<Value>[], atMostMs = 20_000): Promise<readonly Value[]> {
    let isDone = false;
    const done = Promise.all(work).finally(() => {
      isDone = true;
    });
    done.catch(() => undefined);
    for (let ms = 0; !isDone && ms < atMostMs; ms += 10) await this.time.advance(10);
    return await done;
  }

  async #travel<Value>(arrive: () => Value): Promise<Value> {
    const delay = (): number => this.#delays[(this.#requests += 1) % this.#delays.length] ?? 1;
    await this.time.sleep(delay());
    const value = arrive();
    await this.time.sleep(delay());
    return value;
  }
}

const poolOf = (name: string, subnet: string, ips: readonly string[]): SpiderIPPool => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name, uid: `uid-${name}`, generation: 1 },
  spec: { subnet, ips, ipVersion: 4 },
});

const allowed = (verdicts: readonly Verdict[]): number =>
  verdicts.filter(({ outcome }) => outcome === 'allowed').length;

describe('requests for the addresses of one family', () => {
  it.each([1, 2, 3])('pass exactly once when 100 want the same, through %i replicas', async (count) => {
    const cluster = new Cluster([3, 1, 7]);
    const replicas = Array.from({ length: count }, () => cluster.replica());
    const wanted = Array.from({ length: 100 }, (_, at) =>
      cluster.create(
        replicas[at % count] ?? cluster.replica(),
        poolOf(`p${at}`, '10.70.8.0/22', ['10.70.8.20-10.70.8.90']),
      ),
    );
    expect(allowed(await cluster.all(wanted))).toBe(1);
    expect(cluster.pools).toHaveLength(1);
  });

  it('that wait together are one write', async () => {
    const cluster = new Cluster();
    const queue = cluster.replica();
    const apart = Array.from({ length: 100 }, (_, at) =>
      cluster.create(queue, poolOf(`p${at}`, `10.${at}.0.0/16`, [`10.${at}.0.5`])),
    );
    expect(allowed(await cluster.all(apart))).toBe(100);
    expect(cluster.writes).toBeLessThanOrEqual(2);
  });

  it('leave nothing when they are dry runs, and are judged all the same', async () => {
    const cluster = new Cluster();
    const queue = cluster.replica();
    const pool = poolOf('a', '10.70.8.0/22', ['10.70.8.20']);
    await cluster.all([cluster.create(queue, pool, { isDryRun: true })]);
    expect(cluster.space.entries).toEqual([]);
    const [first] = await cluster.all([cluster.create(queue, pool, { isLostAfter: true })]);
    const [second] = await cluster.all([
      cluster.create(queue, poolOf('b', '10.70.8.0/22', ['10.70.8.20']), { isDryRun: true }),
    ]);
    expect([first?.outcome, second]).toMatchObject(['allowed', { outcome: 'denied', status: 409 }]);
  });

  it('block others for 90 s at most when their object never comes', async () => {
    const cluster = new Cluster();
    const queue = cluster.replica();
    const next = (name: string) => cluster.create(queue, poolOf(name, '10.70.8.0/22', ['10.70.8.20']));
    await cluster.all([cluster.create(queue, poolOf('lost', '10.70.8.0/22', ['10.70.8.20']), { isLostAfter: true })]);
    await cluster.time.advance(85_000);
    expect(await cluster.all([next('a')])).toMatchObject([{ outcome: 'denied', status: 409 }]);
    await cluster.time.advance(5000);
    expect(await cluster.all([next('b')])).toMatchObject([{ outcome: 'allowed' }]);
  });

  it('block nobody any more when their object is deleted before anybody saw it', async () => {
    const cluster = new Cluster();
    const queue = cluster.replica();
    const pool = poolOf('a', '10.70.8.0/22', ['10.70.8.20']);
    await cluster.all([cluster.create(queue, pool)]);
    await cluster.all([
      queue.decide({
        deleted: new Map([['uid-a', 1]]),
        isDryRun: false,
        deadline: { remainingMs: () => 1000 },
        judge: () => ({ outcome: 'allowed', warnings: [] }),
      }),
    ]);
    cluster.pools.length = 0;
    const again = { ...pool, metadata: { ...pool.metadata, name: 'b', uid: 'uid-b' } };
    expect(await cluster.all([cluster.create(queue, again)])).toMatchObject([{ outcome: 'allowed' }]);
  });

  it('fail one by one when one of them cannot be judged', async () => {
    const cluster = new Cluster();
    const queue = cluster.replica();
    const broken = queue.decide({
      isDryRun: false,
      deadline: { remainingMs: () => 1000 },
      judge: () => {
        throw new Error('nobody can read this');
      },
    });
    const whole = cluster.create(queue, poolOf('a', '10.70.8.0/22', ['10.70.8.20']));
    await expect(cluster.all([broken])).rejects.toThrow('nobody can read this');
    expect(await cluster.all([whole])).toMatchObject([{ outcome: 'allowed' }]);
  });

  it('never end with an address in two pools, nor with two subnets that overlap, in whatever order things happen', async () => {
    const pools = fc.record({
      subnet: fc.constantFrom('10.70.8.0/22', '10.70.8.0/23', '10.70.0.0/16', '10.70.10.0/24'),
      at: fc.nat(12),
      size: fc.integer({ min: 1, max: 6 }),
      replica: fc.nat(2),
      afterMs: fc.nat(30),
      isLostAfter: fc.boolean(),
    });
    const delays = fc.array(fc.nat(15), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(fc.array(pools, { minLength: 2, maxLength: 12 }), delays, async (wanted, journeys) => {
        const cluster = new Cluster(journeys);
        const replicas = [cluster.replica(), cluster.replica(), cluster.replica()];
        const creates = wanted.map(async ({ subnet, at, size, replica, afterMs, isLostAfter }, index) => {
          await cluster.time.sleep(afterMs);
          const base = subnet.replace(/\d+\/\d+$/, '');
          const pool = poolOf(`p${index}`, subnet, [`${base}${at + 1}-${base}${at + size}`]);
          return await cluster.create(replicas[replica] ?? cluster.replica(), pool, { isLostAfter });
        });
        await cluster.all(creates);
        for (const [index, one] of cluster.pools.entries()) {
          const others = cluster.pools.filter((_, at) => at !== index);
          const world = { settings, user: 'kim', controlWorker: 'us', pools: others, subnets: [] };
          expect(validatePoolCreate(one, world)).toMatchObject({ outcome: 'allowed' });
        }
      }),
      { numRuns: 60 },
    );
  });
});
