import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Log } from '../../../activities/node-ports.ts';
import type { PoolEdit } from '../../../contracts/crds/pooledit.ts';
import type { SpiderIPPool } from '../../../contracts/crds/spiderippool.ts';
import { formatAddress, parseAddress } from '../../../ipam/address.ts';
import { contains } from '../../../ipam/interval-set.ts';
import { isEditOpen } from '../../../ipam/pool-edit.ts';
import { isMalformed, offers, readPool } from '../../../ipam/pool-snapshot.ts';
import type { ApiClient, ApiRequest } from '../../../kube/api-client.ts';
import { PoolReader, poolMemoryMs } from '../../../kube/pool-reader.ts';
import { VirtualTime } from '../../../kube/testing/virtual-time.ts';
import { asPoolPort } from '../../node/node-cluster.ts';
import { Admission } from './admission.ts';
import type { SpaceRequest } from './space-queue.ts';

const silent: Log = { child: () => silent, debug() {}, info() {}, warn() {}, error() {} };
const nothingReserved = { 4: { intervals: [], size: 0n }, 6: { intervals: [], size: 0n } };
const addressAt = (index: number): string => `10.70.8.${20 + index}`;
const poolSize = 6;

/** One pool, its claims and its edits at an API server; nodes and admission are the real ones. Every request takes its time. */
class Cluster {
  readonly time = new VirtualTime();
  pool: SpiderIPPool = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'rack7-v4', uid: 'uid-1', generation: 1 },
    spec: { subnet: '10.70.8.0/24', ips: [`${addressAt(0)}-${addressAt(poolSize - 1)}`], ipVersion: 4 },
  };
  readonly claims = new Set<string>();
  readonly configured = new Set<string>();
  readonly edits = new Map<string, PoolEdit>();
  readonly stranded: string[] = [];
  passed = 0;
  readonly #delays: readonly number[];
  #requests = 0;

  constructor(delays: readonly number[]) {
    this.#delays = delays;
  }

  /** A request travels, takes effect, and its answer travels back. */
  async travel<Value>(arrive: () => Value): Promise<Value> {
    const delay = (): number => this.#delays[(this.#requests += 1) % this.#delays.length] ?? 1;
    await this.time.sleep(delay());
    const value = arrive();
    await this.time.sleep(delay());
    return value;
  }

  /** A node that reads through its own connection. */
  node() {
    const api: ApiClient = {
      request: <Answer>({ path }: ApiRequest) =>
        this.travel(() => {
          if (path.endsWith('/rack7-v4')) return this.pool as Answer;
          const items = path.endsWith('/spiderippools')
            ? [this.pool]
            : path.endsWith('/pooledits')
              ? [...this.edits.values()]
              : [];
          return { metadata: { resourceVersion: '1' }, items } as Answer;
        }),
      // oxlint-disable-next-line require-yield -- pools are not watched
      async *watch() {
        throw new Error('pools are not watched');
      },
      close: async () => undefined,
    };
    return asPoolPort(new PoolReader({ api, now: () => this.time.now() }), silent);
  }

  /** As an ADD does: choose by what is remembered, create the claim, look again, configure or give back. */
  async add(pools: ReturnType<Cluster['node']>, wanted: number): Promise<void> {
    const text = addressAt(wanted);
    const address = parseAddress(text);
    const known = (await pools.recent()).pools.get('rack7-v4');
    if (address === undefined || known === undefined || !offers(known, address)) return;
    const isTaken = await this.travel(() => {
      if (this.claims.has(text)) return true;
      this.claims.add(text);
      return false;
    });
    if (isTaken) return;
    const now = await pools.fresh('rack7-v4');
    if (now !== undefined && offers(now, address)) this.configured.add(text);
    else await this.travel(() => this.claims.delete(text));
    this.#look();
  }

  async del(index: number): Promise<void> {
    const text = addressAt(index);
    if (this.configured.delete(text)) await this.travel(() => this.claims.delete(text));
  }

  /** As the API server does: ask admission about the object as it is, write if it still is that one, and else begin anew. */
  async edit(admission: Admission, excluded: readonly number[]): Promise<void> {
    for (let tries = 0; tries < 5; tries += 1) if (await this.#tryEdit(admission, excluded)) return;
  }

  /** A count in its status: another object for the API server, the same generation. */
  async publish(): Promise<void> {
    await this.travel(() => {
      this.pool = { ...this.pool, status: { allocatedIPCount: this.claims.size } };
    });
  }

  async #tryEdit(admission: Admission, excluded: readonly number[]): Promise<boolean> {
    const old = await this.travel(() => this.pool);
    const generation = (old.metadata.generation ?? 0) + 1;
    const next = {
      ...old,
      metadata: { ...old.metadata, generation },
      spec: { ...old.spec, excludeIPs: excluded.map(addressAt) },
    };
    const answer = await admission.answer(
      'validate',
      'spiderippool',
      {
        uid: 'q',
        kind: 'spiderippool',
        operation: 'UPDATE',
        isDryRun: false,
        user: 'kim',
        object: { ...next },
        oldObject: { ...old },
      },
      { remainingMs: () => 60_000 },
    );
    if (!answer.allowed) return true;
    const isWritten = await this.travel(() => {
      if (this.pool !== old) return false;
      this.pool = next;
      this.passed += 1;
      return true;
    });
    this.#look();
    return isWritten;
  }

  admission(nodeMemoryMs: number): Admission {
    const list = () => this.travel(() => ({ pools: [this.pool], subnets: [] }));
    const space = { decide: async (request: SpaceRequest) => request.judge(await list()) };
    return new Admission({
      settings: { families: [4, 6], subnets: true, refusesDeletionInUse: false },
      controlWorker: 'us',
      list,
      subnets: async () => [],
      spaces: { 4: space, 6: space },
      takenAddresses: () =>
        this.travel(() => Array.from(this.claims, (address) => ({ address, holder: 'pod pay/api-0' }))),
      edits: {
        announce: async (name, spec) => {
          const metadata = { name, creationTimestamp: new Date().toISOString() };
          await this.travel(() =>
            this.edits.set(name, { apiVersion: 'orbweaver.io/v1alpha1', kind: 'PoolEdit', metadata, spec }),
          );
        },
        noteKnown: async (name) => {
          await this.travel(() => {
            const edit = this.edits.get(name);
            if (edit) this.edits.set(name, { ...edit, spec: { ...edit.spec, isKnown: true } });
          });
        },
        known: (pool) =>
          this.travel(() =>
            Array.from(this.edits.values())
              .filter((edit) => edit.spec.isKnown === true && isEditOpen(edit, pool, Date.now()))
              .map(({ spec }) => spec),
          ),
        withdraw: async (name) => {
          await this.travel(() => this.edits.delete(name));
        },
      },
      nodeMemoryMs,
      sleep: (ms) => this.time.sleep(ms),
    });
  }

  /** An address that a pod uses and its pool no longer has. */
  #look(): void {
    const pool = readPool(this.pool, nothingReserved);
    if (isMalformed(pool)) throw new Error(pool.problem);
    for (const text of this.configured) {
      const address = parseAddress(text);
      if (address && !contains(pool.candidates, address.value)) this.stranded.push(formatAddress(address));
    }
  }
}

interface Happening {
  readonly afterMs: number;
  readonly what: 'add' | 'del' | 'edit' | 'publish';
  readonly node: number;
  readonly addresses: readonly number[];
}

const happenings = fc.array(
  fc.record({
    afterMs: fc.nat(6000),
    what: fc.constantFrom('add', 'add', 'del', 'edit', 'publish'),
    node: fc.nat(1),
    addresses: fc.uniqueArray(fc.nat(poolSize - 1), { minLength: 1, maxLength: poolSize - 1 }),
  }) satisfies fc.Arbitrary<Happening>,
  { minLength: 3, maxLength: 14 },
);
const delays = fc.array(fc.oneof(fc.nat(20), fc.nat(1500)), { minLength: 1, maxLength: 9 });

async function play(what: readonly Happening[], journeys: readonly number[], nodeMemoryMs: number): Promise<Cluster> {
  const cluster = new Cluster(journeys);
  const nodes = [cluster.node(), cluster.node()] as const;
  const admission = cluster.admission(nodeMemoryMs);
  const going = what.map(async ({ afterMs, what, node, addresses }) => {
    await cluster.time.sleep(afterMs);
    if (what === 'add') await cluster.add(node === 0 ? nodes[0] : nodes[1], addresses[0] ?? 0);
    else if (what === 'del') await cluster.del(addresses[0] ?? 0);
    else if (what === 'publish') await cluster.publish();
    else await cluster.edit(admission, addresses);
  });
  let isDone = false;
  const done = Promise.all(going).finally(() => {
    isDone = true;
  });
  while (!isDone) await cluster.time.advance(1000);
  await done;
  return cluster;
}

/** Long enough for whoever read the edits before this one was made. */
const longEnoughMs = poolMemoryMs + 250;

describe('edits that take addresses away from a pool while nodes give them', () => {
  it('strand no address that a pod uses, whatever comes first', async () => {
    let passed = 0;
    await fc.assert(
      fc.asyncProperty(happenings, delays, async (what, journeys) => {
        const cluster = await play(what, journeys, longEnoughMs);
        passed += cluster.passed;
        expect(cluster.stranded).toEqual([]);
      }),
      { numRuns: 60 },
    );
    expect(passed).toBeGreaterThan(20); // or nothing was tried
  }, 60_000);

  it('would strand one if admission did not wait until no node remembers the time before', async () => {
    const found = await fc.check(
      fc.asyncProperty(happenings, delays, async (what, journeys) => {
        expect((await play(what, journeys, 0)).stranded).toEqual([]);
      }),
      { numRuns: 1000, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  }, 60_000);
});
