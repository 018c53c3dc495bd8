import { setImmediate as laterInTheLoop } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ProvisionError } from '../../contracts/failures.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { MemoryClaims } from '../../kube/testing/memory-claims.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import type { OpenCall } from './open-calls.ts';
import { type NodeProcess, NodeWorld } from './testing/node-world.ts';
import { runAdd, runDetach } from './testing/run-in-process.ts';

/** What happens to a StatefulSet on two nodes, in any order, while what happened before is still going on. */
type Happening =
  /** The ordinal's pod is replaced by another one: by force, its sandbox need not be gone. */
  | { readonly kind: 'replace'; readonly ordinal: number; readonly node: number }
  | { readonly kind: 'del'; readonly sandbox: number }
  | { readonly kind: 'fail'; readonly node: number; readonly at: 'before' | 'after'; readonly calls: number }
  | { readonly kind: 'kill'; readonly node: number };

const ordinals = 2;
const someNode = fc.nat(1);
const happenings: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('replace'), ordinal: fc.nat(ordinals - 1), node: someNode }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('del'), sandbox: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fail'),
      node: someNode,
      at: fc.constantFrom('before', 'after'),
      calls: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill'), node: someNode }) },
);

interface Sandbox {
  readonly request: AddRequest;
  readonly ordinal: number;
  readonly host: Host;
  readonly call: OpenCall;
}

interface Host {
  readonly world: NodeWorld;
  worker: Promise<NodeProcess>;
}

class Play {
  readonly #api = new MemoryClaims();
  readonly hosts: readonly Host[] = [1, 2].map((number) => {
    const node = { name: `r7-n${number}`, machineID: `m${number}`, bootID: 'b' };
    const world = new NodeWorld({ api: this.#api, node });
    world.pools.set('v4', {
      metadata: { name: 'v4' },
      spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.24'], default: true },
    });
    return { world, worker: world.start() };
  });
  readonly sandboxes: Sandbox[] = [];
  /** Every address that an ordinal ever had. */
  readonly given = Array.from({ length: ordinals }, () => new Set<string>());
  readonly #going: Promise<unknown>[] = [];
  /** The ADDs of each ordinal. */
  readonly #adding = Array.from({ length: ordinals }, () => Promise.resolve());
  #made = 0;

  async open(pauses: readonly number[]): Promise<void> {
    let step = 0;
    for (const { world, worker } of this.hosts) {
      world.holdAfter = async () => {
        for (let left = pauses[(step += 1) % pauses.length] ?? 0; left > 0; left -= 1) await laterInTheLoop();
      };
      await worker;
    }
  }

  async happen(happening: Happening): Promise<void> {
    if (happening.kind === 'replace') return await this.#replace(happening.ordinal, happening.node);
    if (happening.kind === 'kill') return await this.#killAndStart(happening.node);
    if (happening.kind === 'fail') return this.#failLater(happening);
    const sandbox = this.sandboxes[happening.sandbox % Math.max(1, this.sandboxes.length)];
    if (sandbox !== undefined) this.#del(sandbox);
  }

  /** All sandboxes are taken down; what is left is what the ordinals have. */
  async end(): Promise<void> {
    for (const { world } of this.hosts) world.onMoment = undefined;
    await this.#settle();
    for (const sandbox of this.sandboxes.toReversed()) this.#del(sandbox);
    await this.#settle();
  }

  get claims(): readonly string[] {
    return this.#api.all().map(({ metadata, spec }) => `${metadata.name} ${spec.phase} ${spec.identity}`);
  }

  get violations(): readonly string[] {
    const held = this.hosts.flatMap(({ world }) =>
      [...world.namespaces.values()].flatMap(({ links }) => [...links.values()].flatMap((link) => [...link.addresses])),
    );
    const twice = held.filter((address, at) => held.indexOf(address) !== at);
    return [...this.hosts.flatMap(({ world }) => world.violations), ...twice.map((address) => `${address} twice`)];
  }

  async #replace(ordinal: number, node: number): Promise<void> {
    const host = this.hosts[node];
    if (host === undefined) return;
    await this.#adding[ordinal]; // of its predecessor: two that have no address yet would each get one
    this.#made += 1;
    const containerID = `c${this.#made}`;
    const base = addRequest('eth0', this.#made.toString(16).padStart(32, '0'), containerID);
    const pod = { namespace: 'pay', name: `api-${ordinal}`, uid: `uid-${containerID}` };
    const arrivedAtMs = host.world.nowMs;
    const netns = `/run/netns/${containerID}`;
    const request = { ...base, pod, netns, netnsCookie: String(this.#made), arrivedAtMs };
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'api', uid: 's', controller: true }];
    for (const { world } of this.hosts)
      world.pods.set(`pay/api-${ordinal}`, { uid: pod.uid, annotations: {}, isAlive: true, ownerReferences });
    host.world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
    const call = (await host.worker).calls.open(request.nonce, 'ADD', request.attachment);
    call.outcome.catch(() => undefined);
    const sandbox = { request, ordinal, host, call };
    this.sandboxes.push(sandbox);
    this.#going.push((this.#adding[ordinal] = this.#add(sandbox)));
  }

  async #add({ request, host, ordinal }: Sandbox): Promise<void> {
    for (;;) {
      const worker = await host.worker;
      const result = await runAdd(worker.activities, request).catch(() => undefined);
      for (const { address } of result?.ips ?? []) this.given[ordinal]?.add(address);
      if (worker === (await host.worker)) return;
    }
  }

  #del(sandbox: Sandbox): void {
    this.sandboxes.splice(this.sandboxes.indexOf(sandbox), 1);
    const { request, host } = sandbox;
    sandbox.call.close();
    const { namespace, name, uid } = request.pod;
    for (const { world } of this.hosts)
      if (world.pods.get(`${namespace}/${name}`)?.uid === uid) world.pods.delete(`${namespace}/${name}`);
    const detach = async (): Promise<void> => {
      const del = detachRequest(request);
      for (;;) {
        const worker = await host.worker;
        const call = worker.calls.open(del.nonce, 'DEL', del.attachment);
        const isDone = await runDetach(worker.activities, del).then(
          () => true,
          () => false,
        );
        call.close();
        if (isDone && worker === (await host.worker)) break;
        await laterInTheLoop();
      }
      host.world.namespaces.delete(request.netns);
    };
    this.#going.push(detach());
  }

  #failLater({ node, at, calls }: Extract<Happening, { kind: 'fail' }>): void {
    const world = this.hosts[node]?.world;
    if (world === undefined) return;
    let left = calls;
    world.onMoment = (moment) => {
      if (moment.at !== at || (left -= 1) >= 0) return;
      world.onMoment = undefined;
      throw new ProvisionError({ type: 'KernelRefused', message: `failed ${at} ${moment.call}` });
    };
  }

  /** Nobody reconnects: what the killed worker did not answer is unwound. */
  async #killAndStart(node: number): Promise<void> {
    const host = this.hosts[node];
    if (host === undefined) return;
    const old = await host.worker;
    host.worker = host.world.start();
    old.kill();
    await host.worker;
  }

  async #settle(): Promise<void> {
    for (let settled = -1; settled < this.#going.length; ) {
      settled = this.#going.length;
      await Promise.all(this.#going);
    }
  }
}

it('gives an ordinal one address for its whole life, on one node at a time, whatever becomes of its pods and workers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(happenings, fc.nat(12)), { minLength: 10, maxLength: 30, size: 'max' }),
      fc.array(fc.nat(2), { minLength: 1, maxLength: 9 }),
      async (story, pauses) => {
        const play = new Play();
        await play.open(pauses);
        for (const [happening, turns] of story) {
          await play.happen(happening);
          for (let left = turns; left > 0; left -= 1) await laterInTheLoop();
          expect(play.violations).toEqual([]);
        }
        await play.end();
        expect(play.violations).toEqual([]);
        expect(play.given.map(({ size }) => size).every((size) => size <= 1)).toBe(true);
        const identities = play.claims.map((claim) => claim.replace(/^\S+ Held /, ''));
        expect(identities.toSorted()).toEqual([...new Set(identities)].toSorted());
        expect(identities.every((identity) => /^StatefulSet\/pay\/api\/[01]$/.test(identity))).toBe(true);
      },
    ),
    { numRuns: 100, seed: 20_261_121 },
  );
}, 60_000);
