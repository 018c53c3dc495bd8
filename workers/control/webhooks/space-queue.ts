import { setTimeout as wait } from 'node:timers/promises';
import type { SpiderIPPool } from '../../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../../contracts/crds/spidersubnet.ts';
import {
  type AddressSpace,
  reserve,
  type SeenObjects,
  type SpaceEntry,
  settle,
} from '../../../ipam/admission/address-space.ts';
import type { Denied, Verdict } from '../../../ipam/admission/verdict.ts';
import type { ReadSpace } from '../../../kube/address-space-store.ts';
import type { Deadline } from '../../../kube/persist.ts';

/** Pools and Subnets as a list found them. */
export interface Listed {
  readonly pools: readonly SpiderIPPool[];
  readonly subnets: readonly SpiderSubnet[];
}

/** The space of one family, as all replicas share it. */
export interface SpacePort {
  read(timeoutMs: number): Promise<ReadSpace>;
  replace(space: ReadSpace, timeoutMs: number): Promise<'written' | 'overtaken'>;
}

/** What a request wants of the space. */
export interface SpaceRequest {
  /** The addresses that it takes. Absent for a deletion, which takes none and ends what waits for this object. */
  readonly entry?: SpaceEntry;
  readonly deleted?: SeenObjects;
  /** Writes nothing, and is judged all the same. */
  readonly isDryRun: boolean;
  readonly deadline: Deadline;
  /** By what exists; what was admitted and may not exist yet is compared here. */
  judge(listed: Listed): Verdict;
}

export interface SpaceQueueOptions {
  readonly space: SpacePort;
  /** A list that begins after the call. */
  readonly list: () => Promise<Listed>;
  /** Unix time. */
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<unknown>;
}

interface Waiting extends SpaceRequest {
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Decides about requests for the addresses of one family, all that wait in one round, with one write in flight.
 *
 * A round reads the space, lists what exists, judges one request after another, and writes what it let pass on the condition
 * that the space is still what it read. So whatever another replica let pass since then makes the write fail, and the round is
 * repeated; and whatever had left the space before had been seen to exist, so the list, which began later, has it.
 */
export class SpaceQueue {
  readonly #space: SpacePort;
  readonly #list: () => Promise<Listed>;
  readonly #now: () => number;
  readonly #sleep: (ms: number) => Promise<unknown>;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor({ space, list, now = Date.now, sleep = wait }: SpaceQueueOptions) {
    this.#space = space;
    this.#list = list;
    this.#now = now;
    this.#sleep = sleep;
  }

  /** The verdict, once it holds against everybody who asks later. Throws when the API server cannot be asked. */
  decide(request: SpaceRequest): Promise<Verdict> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...request, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const round = this.#waiting;
      this.#waiting = [];
      const open = round.filter((one) => one.deadline.remainingMs() > 0);
      for (const one of round) if (!open.includes(one)) one.resolve(tooMany);
      if (open.length === 0) continue;
      try {
        this.#waiting.unshift(...(await this.#round(open)));
      } catch (error) {
        for (const { reject } of open) reject(error);
      }
    }
    this.#isRunning = false;
  }

  /** @returns Those who have to be asked again. */
  async #round(open: readonly Waiting[]): Promise<readonly Waiting[]> {
    const before = await this.#space.read(roundMs);
    const listed = await this.#list();
    const seen = seenIn(listed);
    let space = before.space;
    const judged: { readonly one: Waiting; readonly verdict: Verdict }[] = [];
    const later: Waiting[] = [];
    for (const one of open) {
      try {
        const decision = this.#decide(one, space, listed, seen);
        if (sizeOf(decision.space) > Math.max(largestBytes, sizeOf(space))) {
          later.push(one); // until objects are seen, and their entries go
          continue;
        }
        ({ space } = decision);
        judged.push({ one, verdict: decision.verdict });
      } catch (error) {
        one.reject(error); // one object that nobody can read must not stop the others
      }
    }
    if (space !== before.space) {
      const outcome = await this.#space.replace({ ...before, space }, roundMs);
      if (outcome === 'overtaken') {
        await this.#sleep(Math.random() * mostPauseMs); // or two replicas would overtake each other again
        return open;
      }
    }
    for (const { one, verdict } of judged) one.resolve(verdict);
    if (later.length > 0) await this.#sleep(fullPauseMs);
    return later;
  }

  #decide(
    { entry, deleted, isDryRun, ...waiting }: Waiting,
    space: AddressSpace,
    listed: Listed,
    seen: SeenObjects,
  ): { readonly verdict: Verdict; readonly space: AddressSpace } {
    const verdict = waiting.judge(listed);
    if (verdict.outcome === 'denied') return { verdict, space };
    if (entry === undefined) return { verdict, space: isDryRun || !deleted ? space : settle(space, deleted) };
    const reservation = reserve(space, entry, seen, this.#now());
    if (reservation.outcome === 'denied') return { verdict: reservation, space };
    return { verdict, space: isDryRun ? space : reservation.space };
  }
}

const roundMs = 4000;
const mostPauseMs = 20;
const fullPauseMs = 200;
/** etcd takes 1.5 MB. */
const largestBytes = 900_000;

const sizeOf = ({ entries }: AddressSpace): number =>
  entries.reduce((bytes, { name, ranges }) => bytes + entryBytes + name.length + ranges.join('","').length, 0);
/** Of everything else that an entry says. */
const entryBytes = 250;

const seenIn = ({ pools, subnets }: Listed): SeenObjects =>
  new Map([...pools, ...subnets].map(({ metadata }) => [metadata.uid ?? '', metadata.generation ?? 0]));

const tooMany: Denied = {
  outcome: 'denied',
  status: 409,
  message: 'Cannot look at this in time: too many creations and edits of pools wait. Try again in some seconds',
};
