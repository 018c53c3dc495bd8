import { setImmediate as laterInTheLoop } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ProvisionError } from '../../contracts/failures.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import type { OpenCall } from './open-calls.ts';
import { type NodeProcess, NodeWorld } from './testing/node-world.ts';
import { runAdd, runDetach } from './testing/run-in-process.ts';

/** What happens to a node, in any order, while what happened before is still going on. */
type Happening =
  | { readonly kind: 'add'; readonly pod: number; readonly provides: 'interface' | 'addresses' }
  | { readonly kind: 'del'; readonly sandbox: number }
  | { readonly kind: 'hang up'; readonly sandbox: number }
  | { readonly kind: 'fail'; readonly at: 'before' | 'after'; readonly calls: number }
  | { readonly kind: 'pod gone'; readonly pod: number }
  | { readonly kind: 'kill'; readonly reconnects: boolean };

const pods = 3;
const some = fc.nat(7);
const happenings: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('add'),
      pod: fc.nat(pods - 1),
      provides: fc.constantFrom('interface', 'addresses'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('del'), sandbox: some }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hang up'), sandbox: some }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('fail'), at: fc.constantFrom('before', 'after'), calls: fc.nat(20) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pod gone'), pod: fc.nat(pods - 1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('kill'), reconnects: fc.boolean() }) },
);

interface Sandbox {
  readonly request: AddRequest;
  call: OpenCall;
  isDetached: boolean;
}

/** A node with its runs: what Temporal would repeat after a worker was killed is repeated, an undo until it succeeds. */
class Play {
  readonly world = new NodeWorld();
  readonly sandboxes: Sandbox[] = [];
  readonly #going: Promise<unknown>[] = [];
  /** The worker that runs now, or that is just starting. */
  #worker: Promise<NodeProcess> = this.world.start();

  async open(pauses: readonly number[]): Promise<void> {
    const { world } = this;
    world.pools.set('v4', {
      metadata: { name: 'v4' },
      spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.24'], default: true },
    });
    world.pools.set('v6', {
      metadata: { name: 'v6' },
      spec: { subnet: 'fd70::/64', ips: ['fd70::10-fd70::1f'], default: true },
    });
    for (let pod = 0; pod < pods; pod += 1) this.#makePod(pod);
    let step = 0;
    world.holdAfter = async () => {
      for (let left = pauses[(step += 1) % pauses.length] ?? 0; left > 0; left -= 1) await laterInTheLoop();
    };
    await this.#worker;
  }

  async happen(happening: Happening): Promise<void> {
    const sandbox =
      'sandbox' in happening ? this.sandboxes[happening.sandbox % Math.max(1, this.sandboxes.length)] : undefined;
    if (happening.kind === 'add') await this.#add(happening.pod, happening.provides);
    else if (happening.kind === 'del' && sandbox !== undefined) this.#del(sandbox);
    else if (happening.kind === 'hang up') sandbox?.call.close();
    else if (happening.kind === 'fail') this.#failLater(happening.at, happening.calls);
    else if (happening.kind === 'pod gone') this.world.pods.delete(`pay/api-${happening.pod}`);
    else if (happening.kind === 'kill') await this.#killAndStart(happening.reconnects);
  }

  /** Every sandbox is taken down and every pod is gone. */
  async end(): Promise<void> {
    this.world.onMoment = undefined;
    for (const sandbox of this.sandboxes) this.#del(sandbox);
    for (let settled = 0; settled < this.#going.length; ) {
      settled = this.#going.length;
      await Promise.all(this.#going);
    }
    this.world.pods.clear();
    for (let pod = 0; pod < pods; pod += 1) await (await this.#worker).claims.freeHeld(uidOf(pod)); // the node's pod watch
  }

  #makePod(pod: number): void {
    this.world.pods.set(`pay/api-${pod}`, { uid: uidOf(pod), annotations: {}, isAlive: true });
  }

  async #add(pod: number, provides: 'interface' | 'addresses'): Promise<void> {
    const { calls } = await this.#worker;
    const index = this.sandboxes.length;
    const base = addRequest('eth0', index.toString(16).padStart(32, '0'), `c${index}`);
    const { link, ...network } = base.network;
    const request: AddRequest = {
      ...base,
      pod: { namespace: 'pay', name: `api-${pod}`, uid: uidOf(pod) },
      netns: `/run/netns/${index}`,
      netnsCookie: `${index}`,
      network: { ...network, provides, ...(provides === 'interface' && link !== undefined ? { link } : {}) },
    };
    this.world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
    const sandbox: Sandbox = {
      request,
      call: calls.open(request.nonce, 'ADD', request.attachment),
      isDetached: false,
    };
    sandbox.call.outcome.catch(() => undefined);
    this.sandboxes.push(sandbox);
    this.#going.push(this.#run(sandbox));
  }

  async #run({ request }: Sandbox): Promise<void> {
    for (;;) {
      const node = await this.#worker;
      await runAdd(node.activities, request).catch(() => undefined);
      if (node === (await this.#worker)) return;
    }
  }

  /** The runtime sends its DEL after it gave its ADD up, and takes the namespace away once it succeeded. */
  #del(sandbox: Sandbox): void {
    const { request } = sandbox;
    sandbox.call.close();
    const detach = async (): Promise<void> => {
      const del = detachRequest(request);
      for (;;) {
        const node = await this.#worker;
        const call = node.calls.open(del.nonce, 'DEL', del.attachment);
        const isDone = await runDetach(node.activities, del).then(
          () => true,
          () => false,
        );
        call.close();
        if (isDone && node === (await this.#worker)) break;
        await laterInTheLoop();
      }
      this.world.namespaces.delete(request.netns);
    };
    this.#going.push(detach());
  }

  #failLater(at: 'before' | 'after', calls: number): void {
    let left = calls;
    this.world.onMoment = (moment) => {
      if (moment.at !== at || (left -= 1) >= 0) return;
      this.world.onMoment = undefined;
      throw new ProvisionError({ type: 'KernelRefused', message: `failed ${at} ${moment.call}` });
    };
  }

  /** Callers come back with their nonce, unless the runtime gave them up meanwhile. */
  async #killAndStart(reconnects: boolean): Promise<void> {
    const old = await this.#worker;
    this.#worker = this.world.start();
    old.kill();
    const { calls } = await this.#worker;
    for (const sandbox of this.sandboxes) {
      const wasWaiting = old.calls.isWaiting(sandbox.request.nonce);
      if (wasWaiting && reconnects) sandbox.call = calls.open(sandbox.request.nonce, 'ADD', sandbox.request.attachment);
      sandbox.call.outcome.catch(() => undefined);
    }
  }
}

const uidOf = (pod: number): string => `uid-${pod}`;

it('leaves nothing of sandboxes that came and went in any order, with failures, lost callers and killed workers between', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(happenings, fc.nat(12)), { minLength: 10, maxLength: 40, size: 'max' }),
      fc.array(fc.nat(2), { minLength: 1, maxLength: 9 }),
      async (story, pauses) => {
        const play = new Play();
        await play.open(pauses);
        for (const [happening, turns] of story) {
          await play.happen(happening);
          for (let left = turns; left > 0; left -= 1) await laterInTheLoop();
        }
        await play.end();
        expect(play.world.violations).toEqual([]);
        expect(play.world.holds).toEqual([]);
      },
    ),
    { numRuns: 400, seed: 20_261_121 },
  );
}, 60_000);
