import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../deploy/dev/eventually.ts';
import { together } from '../../deploy/dev/together.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetPod } from '../fleet/fleet-pod.ts';
import type { Gate } from './gate.ts';
import type { Observer } from './observer.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface FightParts {
  readonly fleet: Fleet;
  readonly observer: Observer;
  readonly random: SeededRandom;
  /** How many calls are open at the same time, of this fight and the next. */
  readonly gate: Gate;
}

/** Pods that were made together, more than there are addresses; each tries until it has one or is deleted, as kubelet does. */
export class Fight {
  readonly #parts: FightParts;
  readonly #pods: readonly FleetPod[];
  readonly #struggles: readonly Promise<void>[];
  readonly #deleted = new Set<string>();
  readonly #running = new Set<FleetPod>();

  private constructor(parts: FightParts, pods: readonly FleetPod[]) {
    this.#parts = parts;
    this.#pods = pods;
    this.#struggles = pods.map((pod) => this.#struggle(pod));
    for (const struggle of this.#struggles) struggle.catch(() => undefined); // `deleteAll` tells
  }

  /** Begins with all pods at once. `pools`: value of the annotation that names them. */
  static async of(count: number, pools: string, parts: FightParts): Promise<Fight> {
    const pods = await parts.fleet.pods(count, undefined, { annotations: { [ippoolAnnotation]: pools } });
    return new Fight(parts, pods);
  }

  /** Waits until so many have their addresses. */
  async untilRunning(count: number): Promise<void> {
    await eventually(`${count} pods run`, 180, async () => {
      // A struggle that failed would otherwise be waited for.
      const pending = sleep(0).then(() => undefined);
      await Promise.race([pending, Promise.all(this.#struggles).then(() => undefined)]);
      return this.#running.size === count ? { value: true } : { state: `${this.#running.size} do` };
    });
  }

  async deleteRunning(): Promise<void> {
    const running = [...this.#running];
    this.#running.clear();
    await this.#delete(running);
    await together(running.map((pod) => this.#detach(pod)));
  }

  /** Deletes all pods, running or not, and waits until nobody struggles any more. */
  async deleteAll(): Promise<void> {
    await this.#delete(this.#pods);
    await this.deleteRunning();
    await together(this.#struggles);
  }

  async #struggle(first: FleetPod): Promise<void> {
    const { observer, random, gate } = this.#parts;
    for (let pod = first; ; pod = await pod.successor()) {
      const { exitCode, body, text } = await gate.pass(() => observer.call('ADD', pod));
      if (exitCode === 0 && !this.#deleted.has(pod.uid)) {
        this.#running.add(pod);
        return;
      }
      const isDeleted = (): boolean => this.#deleted.has(pod.uid);
      await this.#detach(pod);
      if (!isDeleted() && body?.code !== 11) {
        throw new Error(`ADD of ${pod.name}, ${pod.containerID}: exit ${exitCode}, ${JSON.stringify(body) ?? text}`);
      }
      if (isDeleted() || observer.isOver) return;
      await sleep(random.between(200, 1000));
      if (isDeleted()) return;
    }
  }

  async #delete(pods: readonly FleetPod[]): Promise<void> {
    for (const { uid } of pods) this.#deleted.add(uid);
    await this.#parts.fleet.deletePods(pods);
  }

  async #detach(pod: FleetPod): Promise<void> {
    const { observer, gate } = this.#parts;
    const { exitCode, body } = await gate.pass(() => observer.call('DEL', pod));
    await observer.removeNamespace(pod);
    if (exitCode !== 0) throw new Error(`DEL of ${pod.name}: exit ${exitCode}, ${JSON.stringify(body)}`);
  }
}
