import { monotonicMs } from '../fleet/monotonic-clock.ts';
import type { ClaimHistory, ClaimPeriod } from './claim-history.ts';
import { type Episode, Episodes, surelyOverlap } from './episodes.ts';
import type { Window } from './store-clock.ts';

/** What a call of the CNI executable came to, as far as the judgement needs it. */
export interface Answer {
  readonly exitCode: number;
  /** With prefix length; empty for a DEL and for a failure. */
  readonly addresses: readonly string[];
  /** Failure type, for example "PoolExhausted". */
  readonly failure?: string;
  readonly message?: string;
}

/** One call, from the moment at which the executable was started to the moment at which it had ended. */
export interface Call {
  readonly command: 'ADD' | 'DEL';
  readonly containerID: string;
  readonly beganAtMs: number;
  ended?: { readonly atMs: number; readonly answer: Answer };
}

/** A pool that the judged pods may take addresses from, and no other. */
export interface JudgedPool {
  readonly name: string;
  readonly size: number;
}

/** For so long a sandbox had, by the word of its ADD, exactly these addresses. */
interface Tenure {
  readonly containerID: string;
  readonly addresses: readonly string[];
  readonly sinceMs: number;
  /** Begin of the DEL, or of the end of the namespace; Infinity while it lasts. */
  untilMs: number;
  looks: number;
}

/** A broken promise with the sandboxes that it is about, whose calls and log lines explain it. */
export interface Violation {
  readonly sentence: string;
  readonly containerIDs: readonly string[];
  readonly addresses: readonly string[];
}

/**
 * Writes down what was called, answered and seen, and judges it afterwards. Every moment is known as a window only, because
 * looking takes time and a watch is late; a violation is what no choice of moments within the windows can excuse.
 */
export class Witness {
  readonly #claims: ClaimHistory;
  readonly #pools: readonly JudgedPool[];
  readonly #episodes = new Episodes();
  readonly #calls: Call[] = [];
  readonly #tenures: Tenure[] = [];
  /** The tenure that lasts, by sandbox. */
  readonly #standing = new Map<string, Tenure>();
  readonly #seen: Violation[] = [];

  constructor(claims: ClaimHistory, pools: readonly JudgedPool[]) {
    this.#claims = claims;
    this.#pools = pools;
  }

  began(command: 'ADD' | 'DEL', containerID: string, atMs: number): Call {
    const call: Call = { command, containerID, beganAtMs: atMs };
    this.#calls.push(call);
    if (command === 'DEL') this.leaves(containerID, atMs);
    return call;
  }

  ended(call: Call, answer: Answer, atMs: number): void {
    call.ended = { atMs, answer };
    const { containerID, command } = call;
    if (command === 'DEL' || answer.exitCode !== 0) {
      this.#episodes.saidEmpty(containerID);
      return;
    }
    const overtaken = this.callsOf(containerID).some(
      (other) => other.command === 'DEL' && (other.ended?.atMs ?? Infinity) >= call.beganAtMs,
    );
    if (overtaken) return; // what is there now, nobody has promised
    const addresses = answer.addresses.toSorted();
    const before = this.#standing.get(containerID);
    if (before !== undefined) {
      if (before.addresses.join() === addresses.join()) return;
      this.#seen.push({
        sentence: `a second ADD answered ${addresses.join()} instead of ${before.addresses.join()}`,
        containerIDs: [containerID],
        addresses: [...before.addresses, ...addresses],
      });
      this.leaves(containerID, atMs);
    }
    const tenure = { containerID, addresses, sinceMs: atMs, untilMs: Infinity, looks: 0 };
    this.#tenures.push(tenure);
    this.#standing.set(containerID, tenure);
    this.#atMoment(tenure, atMs);
  }

  /** From now on the sandbox may lose its addresses: a DEL begins, or its namespace is taken away. */
  leaves(containerID: string, atMs: number): void {
    const tenure = this.#standing.get(containerID);
    if (tenure === undefined) return;
    tenure.untilMs = atMs;
    this.#atMoment(tenure, atMs);
    this.#standing.delete(containerID);
  }

  /** The namespace is gone, and with it what was there. */
  gone(containerID: string): void {
    this.#episodes.saidEmpty(containerID);
  }

  /** A look into a sandbox: its addresses, without link-local ones, at some moment of the window. */
  looked(containerID: string, addresses: readonly string[], window: Window): void {
    this.#episodes.looked(containerID, addresses, window);
    const tenure = this.#standing.get(containerID);
    if (tenure === undefined || window.earliestMs < tenure.sinceMs) return;
    tenure.looks += 1;
    if (addresses.toSorted().join() === tenure.addresses.join()) return;
    this.#seen.push({
      sentence: `ADD answered ${tenure.addresses.join()}, and in the sandbox is ${addresses.join() || 'nothing'}`,
      containerIDs: [containerID],
      addresses: [...tenure.addresses, ...addresses],
    });
  }

  callsOf(containerID: string): readonly Call[] {
    return this.#calls.filter((call) => call.containerID === containerID);
  }

  get calls(): readonly Call[] {
    return this.#calls;
  }

  /** How many answered ADDs were followed by a look before anything else happened to their sandbox. */
  get proven(): { readonly answered: number; readonly looked: number } {
    return { answered: this.#tenures.length, looked: this.#tenures.filter(({ looks }) => looks > 0).length };
  }

  violations(): readonly Violation[] {
    const periods = this.#claims.periods();
    const byAddress = Map.groupBy(periods, ({ address }) => address);
    return [
      ...this.#seen,
      ...this.#duplicates(),
      ...this.#unclaimed(byAddress),
      ...this.#lostClaims(byAddress),
      ...this.#overfull(),
      ...this.#falselyExhausted(),
    ];
  }

  #duplicates(): readonly Violation[] {
    const episodes = Map.groupBy(this.#episodes.all(), ({ address }) => address);
    return [...episodes].flatMap(([address, here]) =>
      here.flatMap((one, index) =>
        here
          .slice(index + 1)
          .filter((other) => other.containerID !== one.containerID && surelyOverlap(one, other))
          .map((other) => ({
            sentence: `${address} was in two sandboxes at once: ${describe(one)} and ${describe(other)}`,
            containerIDs: [one.containerID, other.containerID],
            addresses: [address],
          })),
      ),
    );
  }

  /** While an address is in a sandbox, its claim is Bound to that sandbox, also during its ADD and DEL. */
  #unclaimed(claims: ReadonlyMap<string, readonly ClaimPeriod[]>): readonly Violation[] {
    return this.#episodes
      .all()
      .filter((episode) => !isBound(claims, episode, episode.first.latestMs, episode.last.earliestMs))
      .map((episode) => ({
        sentence: `${episode.address} was in a sandbox without its claim: ${describe(episode)}`,
        containerIDs: [episode.containerID],
        addresses: [episode.address],
      }));
  }

  /** From the answer of an ADD to its DEL the claims of all its addresses are Bound to it. */
  #lostClaims(claims: ReadonlyMap<string, readonly ClaimPeriod[]>): readonly Violation[] {
    return this.#tenures.flatMap(({ containerID, addresses, sinceMs, untilMs }) =>
      addresses
        .filter((address) => !isBound(claims, { address, containerID }, sinceMs, untilMs))
        .map((address) => ({
          sentence: `${address} was answered to ${containerID} and not claimed for it from ${timeOfDay(sinceMs)} to ${timeOfDay(untilMs)}`,
          containerIDs: [containerID],
          addresses: [address],
        })),
    );
  }

  #overfull(): readonly Violation[] {
    return this.#pools.flatMap(({ name, size }) =>
      this.#claims
        .crowds(name)
        .filter(({ claims }) => claims > size)
        .map(({ claims, since }) => ({
          sentence: `pool ${name} has ${size} addresses and had ${claims} claims at ${timeOfDay(since.latestMs)}`,
          containerIDs: [],
          addresses: [],
        })),
    );
  }

  /** "Exhausted" is only said when there was a moment during the ADD at which every address was claimed. */
  #falselyExhausted(): readonly Violation[] {
    const full = new Map(
      this.#pools.map(({ name, size }) => [name, this.#claims.crowds(name).filter(({ claims }) => claims === size)]),
    );
    return this.#calls.flatMap(({ containerID, beganAtMs, ended }) => {
      if (ended?.answer.failure !== 'PoolExhausted') return [];
      const pool = /pool "([^"]*)"/.exec(ended.answer.message ?? '')?.[1] ?? '';
      const wasFull = full
        .get(pool)
        ?.some(({ since, until }) => since.earliestMs <= ended.atMs && (until?.latestMs ?? Infinity) >= beganAtMs);
      if (wasFull === true) return [];
      const sentence = `an ADD from ${timeOfDay(beganAtMs)} to ${timeOfDay(ended.atMs)} said "${ended.answer.message}", and an address of pool "${pool}" was free all the time`;
      return [{ sentence, containerIDs: [containerID], addresses: [] }];
    });
  }

  #atMoment({ containerID, addresses }: Tenure, atMs: number): void {
    for (const address of addresses) {
      this.#episodes.present(containerID, address, { earliestMs: atMs, latestMs: atMs });
    }
  }
}

/** Whether the claim may have been Bound to the sandbox from the one moment to the other. */
function isBound(
  claims: ReadonlyMap<string, readonly ClaimPeriod[]>,
  { address, containerID }: Pick<Episode, 'address' | 'containerID'>,
  sinceMs: number,
  untilMs: number,
): boolean {
  const periods = claims.get(address) ?? [];
  return periods.some(
    (period) =>
      period.phase === 'Bound' &&
      period.containerID === containerID &&
      period.since.earliestMs <= sinceMs &&
      (period.until?.latestMs ?? Infinity) >= untilMs,
  );
}

const describe = ({ containerID, first, last }: Episode): string =>
  `${containerID} from ${timeOfDay(first.latestMs)} to ${timeOfDay(last.earliestMs)}`;

const startedAtMs = Date.now() - monotonicMs();

/** A monotonic moment as logs print it, UTC. */
export function timeOfDay(atMs: number): string {
  return Number.isFinite(atMs) ? new Date(startedAtMs + atMs).toISOString().slice(11, 23) : '…';
}
