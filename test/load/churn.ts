import { setTimeout as sleep } from 'node:timers/promises';
import { isFailureType } from '../../contracts/failures.ts';
import { together } from '../../deploy/dev/together.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetNode } from '../fleet/fleet-node.ts';
import { FleetPod } from '../fleet/fleet-pod.ts';
import type { CniOutcome } from '../fleet/runner-messages.ts';
import { Gate } from './gate.ts';
import type { Observer } from './observer.ts';
import type { SeededRandom } from './seeded-random.ts';

/** How a pod gets its sandbox, with the weights of the kinds. */
export type Beginnings = Readonly<Record<'plain' | 'asked twice' | 'DEL overtakes ADD' | 'caller gives up', number>>;

/** How a pod loses it. */
export type Endings = Readonly<
  Record<
    | 'plain'
    | 'DEL repeated'
    | 'DEL after the namespace'
    | 'sandbox restarts'
    | 'DEL after the next ADD'
    | 'DEL of a stranger',
    number
  >
>;

/** A runtime that calls when it should, once, in order. */
export const wellBehaved: { readonly beginnings: Beginnings; readonly endings: Endings } = {
  beginnings: { plain: 1, 'asked twice': 0, 'DEL overtakes ADD': 0, 'caller gives up': 0 },
  endings: {
    plain: 1,
    'DEL repeated': 0,
    'DEL after the namespace': 0,
    'sandbox restarts': 0,
    'DEL after the next ADD': 0,
    'DEL of a stranger': 0,
  },
};

/** A runtime whose DELs come repeated, early, late and out of order. */
export const badlyBehaved: typeof wellBehaved = {
  beginnings: { plain: 5, 'asked twice': 2, 'DEL overtakes ADD': 2, 'caller gives up': 1 },
  endings: {
    plain: 3,
    'DEL repeated': 2,
    'DEL after the namespace': 2,
    'sandbox restarts': 2,
    'DEL after the next ADD': 1,
    'DEL of a stranger': 1,
  },
};

export interface ChurnOptions {
  readonly fleet: Fleet;
  readonly observer: Observer;
  readonly random: SeededRandom;
  /** Value of the annotation that names their pools. */
  readonly pools: string;
  /** Pods to be begun. */
  readonly pods: number;
  /** Calls that are open at the same time. */
  readonly atOnce: number;
  /** Pods that there are at the same time, at most. */
  readonly mostPods: number;
  readonly manners: typeof wellBehaved;
  /** Whether an ADD may fail with error 11; then it is tried again as kubelet does. */
  readonly retries: boolean;
}

/** Workers are killed every 20 s and start within seconds; a pod that has no address after this has a reason of its own. */
const longestStruggleMs = 180_000;

/** Pods come and go, in waves between none and all of them, each by the manners of its runtime. */
export class Churn {
  readonly #options: ChurnOptions;
  readonly #gate: Gate;
  readonly #standing: FleetPod[] = [];
  /** Pods that are beginning, standing or ending. */
  #present = 0;
  #begun = 0;
  #hasFailed = false;
  readonly #attached = new Map<FleetNode, number>();
  /** So many pods there may be at the moment; the first wave is the highest. */
  #wave: number;
  /** Failure type of each ADD that was repeated. */
  readonly repeated = new Map<string, number>();

  constructor(options: ChurnOptions) {
    this.#options = options;
    this.#wave = options.mostPods;
    this.#gate = new Gate(options.atOnce);
  }

  /** ADDs that succeeded on a node. */
  attachedOn(node: FleetNode): number {
    return this.#attached.get(node) ?? 0;
  }

  get standing(): readonly FleetPod[] {
    return this.#standing;
  }

  /** Begins all pods, and goes on until `isOver` says so as well. Leaves the pods that stand. */
  async run(isOver: () => boolean = () => true): Promise<void> {
    // Half as many lanes again as calls: pods and namespaces are made and removed meanwhile.
    const lanes = Array.from({ length: Math.ceil(this.#options.atOnce * 1.5) }, () => this.#lane(isOver));
    await together(lanes);
  }

  /** Ends every pod that stands. */
  async end(): Promise<void> {
    const rest = this.#standing.splice(0);
    await together(rest.map((pod) => this.#end(pod)));
  }

  /** One thing after the other, until all is done or another lane has failed. */
  async #lane(isOver: () => boolean): Promise<void> {
    try {
      while (!this.#hasFailed && (this.#begun < this.#options.pods || !isOver())) await this.#goOn();
    } catch (failure) {
      this.#hasFailed = true;
      throw failure;
    }
  }

  async #goOn(): Promise<void> {
    const { mostPods, random } = this.#options;
    if (this.#present < Math.max(1, this.#wave)) {
      this.#begun += 1;
      this.#present += 1;
      if (this.#begun % 100 === 0) this.#wave = random.between(0.1, 1) * mostPods;
      this.#standing.push(await this.#begin());
    } else if (this.#standing.length > 0) {
      const [pod] = this.#standing.splice(random.index(this.#standing.length), 1);
      if (pod !== undefined) await this.#end(pod);
    } else {
      await sleep(5);
    }
  }

  async #begin(): Promise<FleetPod> {
    const { fleet, random, manners, pools } = this.#options;
    const node = fleet.node(random.index(fleet.nodes.length));
    const pod = await fleet.pod(node, { annotations: { [ippoolAnnotation]: pools } });
    switch (random.weighted(manners.beginnings)) {
      case 'plain':
        return await this.#attach(pod);
      case 'asked twice': {
        const attached = await this.#attach(pod);
        await this.#add(attached); // the witness compares: the same answer, or a failure that changes nothing
        return attached;
      }
      case 'DEL overtakes ADD': {
        const adding = this.#add(pod);
        await sleep(random.between(0, 80));
        await Promise.all([adding, this.#del(pod)]);
        return await this.#attach(await this.#next(pod));
      }
      case 'caller gives up':
        await this.#add(pod, random.between(1, 80));
        return await this.#attach(await this.#next(pod));
    }
  }

  async #end(pod: FleetPod): Promise<void> {
    const { fleet, observer, random, manners } = this.#options;
    switch (random.weighted(manners.endings)) {
      case 'plain':
        await this.#remove(pod);
        break;
      case 'DEL repeated':
        await fleet.deletePods([pod]);
        await Promise.all([this.#del(pod), this.#del(pod)]);
        await this.#del(pod);
        await this.#remove(pod);
        await this.#del(pod);
        break;
      case 'DEL after the namespace':
        await fleet.deletePods([pod]);
        await observer.removeNamespace(pod);
        await sleep(random.between(0, 400));
        await this.#del(pod);
        break;
      case 'sandbox restarts': {
        await this.#del(pod);
        const next = await this.#attach(await pod.successor());
        await this.#del(pod);
        await observer.removeNamespace(pod);
        await this.#remove(next);
        break;
      }
      case 'DEL after the next ADD': {
        const next = await this.#attach(await pod.successor());
        await this.#del(pod);
        await observer.removeNamespace(pod);
        await this.#remove(next);
        break;
      }
      case 'DEL of a stranger':
        await this.#del(new FleetPod(pod.node, pod.name, pod.uid));
        await this.#remove(pod);
        break;
    }
    this.#present -= 1;
  }

  /** The pod's end as kubelet does it. */
  async #remove(pod: FleetPod): Promise<void> {
    await this.#options.fleet.deletePods([pod]);
    await this.#del(pod);
    await this.#options.observer.removeNamespace(pod);
  }

  /** The end of a sandbox whose pod lives on, and the next sandbox. */
  async #next(pod: FleetPod): Promise<FleetPod> {
    await this.#del(pod);
    await this.#options.observer.removeNamespace(pod);
    return await pod.successor();
  }

  /** Adds until it succeeds: after error 11 again for the same sandbox, or for a new one, as kubelet does. */
  async #attach(first: FleetPod): Promise<FleetPod> {
    const { observer, retries, random } = this.#options;
    let pod = first;
    const deadlineMs = Date.now() + longestStruggleMs;
    for (;;) {
      const { exitCode, body, text } = await this.#add(pod);
      if (exitCode === 0) {
        this.#attached.set(pod.node, this.attachedOn(pod.node) + 1);
        await observer.untilSeen(pod.node);
        return pod;
      }
      const told = `ADD of ${pod.name}, sandbox ${pod.containerID}: exit ${exitCode}, ${JSON.stringify(body) ?? text}`;
      if (!retries || body?.code !== 11 || Date.now() > deadlineMs) throw new Error(told);
      const failure = isFailureType(body.details) ? body.details : 'no answer';
      this.repeated.set(failure, (this.repeated.get(failure) ?? 0) + 1);
      await sleep(random.between(200, 1000));
      if (random.next() < 0.5) pod = await this.#next(pod);
    }
  }

  #add(pod: FleetPod, killAfterMs?: number): Promise<CniOutcome> {
    const options = killAfterMs === undefined ? {} : { killAfterMs };
    return this.#gate.pass(() => this.#options.observer.call('ADD', pod, options));
  }

  async #del(pod: FleetPod): Promise<void> {
    const { exitCode, body, text } = await this.#gate.pass(() => this.#options.observer.call('DEL', pod));
    if (exitCode === 0) return;
    throw new Error(
      `DEL of ${pod.name}, sandbox ${pod.containerID}: exit ${exitCode}, ${JSON.stringify(body) ?? text}`,
    );
  }
}

/**
 * Kills one node's worker after the other's, each of which starts again at once, until stopped. One that has attached nothing
 * since its last start is given more time: on a machine that is too busy nothing would ever come of it.
 */
export function killInTurn(
  nodes: readonly FleetNode[],
  everySeconds: number,
  attachedOn: (node: FleetNode) => number,
): { readonly count: () => number; readonly stop: () => Promise<void> } {
  const stopped = new AbortController();
  const { signal } = stopped;
  const attachedBefore = new Map<FleetNode, number>();
  let count = 0;
  const work = (async () => {
    for (;;) {
      await sleep(everySeconds * 1000, undefined, { signal }).catch(() => undefined);
      const node = nodes[count % nodes.length];
      if (signal.aborted || node === undefined) return;
      while (!signal.aborted && attachedOn(node) === attachedBefore.get(node)) await sleep(200);
      await node.restartWorker('SIGKILL');
      attachedBefore.set(node, attachedOn(node));
      count += 1;
    }
  })();
  return {
    count: () => count,
    stop: async () => {
      stopped.abort();
      await work;
    },
  };
}
