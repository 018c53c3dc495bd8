import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { together } from '../../deploy/dev/together.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetNode } from '../fleet/fleet-node.ts';
import type { FleetPod, PodCallOptions } from '../fleet/fleet-pod.ts';
import { monotonicMs } from '../fleet/monotonic-clock.ts';
import type { CniOutcome } from '../fleet/runner-messages.ts';
import { ClaimHistory } from './claim-history.ts';
import { loadSeed } from './seeded-random.ts';
import { StoreClock } from './store-clock.ts';
import { type JudgedPool, timeOfDay, type Violation, Witness } from './witness.ts';

const collection = '/apis/orbweaver.io/v1alpha1/ipclaims';
const longestPauseMs = 100;
/** Looking at 150 namespaces takes 15–20 ms: with less of a pause the observer would need a core for itself. */
const shortestPauseMs = 75;

/**
 * Sees everything that happens to a fleet: each call and its answer, all addresses of all live namespaces after each answer and
 * every 100 ms, every change of a claim. What it saw is judged by `Witness`.
 */
export class Observer {
  readonly witness: Witness;
  readonly #fleet: Fleet;
  readonly #claims: ClaimHistory;
  readonly #clock = new StoreClock();
  readonly #api: ApiClient;
  readonly #stopped = new AbortController();
  /** Resolved, by node, when a call was answered there: the next look is due. */
  readonly #answered = new Map<FleetNode, PromiseWithResolvers<void>>();
  /** Resolved, by node, when the look is over that begins next. */
  readonly #seen = new Map<FleetNode, PromiseWithResolvers<void>>();
  readonly #pods = new Map<string, FleetPod>();
  readonly #work: Promise<void>[] = [];
  /** Looks at all namespaces of a node. */
  dumps = 0;
  /** The work is done or has failed: whoever still tries something may stop. */
  isOver = false;
  #open = 0;
  /** The largest number of calls that were open at the same time. */
  mostAtOnce = 0;

  private constructor(fleet: Fleet, api: ApiClient, pools: readonly JudgedPool[]) {
    this.#fleet = fleet;
    this.#api = api;
    this.#claims = new ClaimHistory(this.#clock);
    this.witness = new Witness(this.#claims, pools);
  }

  /** Observes while `work` goes on. Throws what was wrong with it all, and only else how the work itself failed. */
  static async during(
    fleet: Fleet,
    pools: readonly JudgedPool[],
    work: (observer: Observer) => Promise<void>,
  ): Promise<void> {
    const observer = await Observer.#start(fleet, pools);
    const [outcome] = await Promise.allSettled([work(observer)]);
    observer.isOver = true;
    const cause: unknown = outcome.status === 'rejected' ? outcome.reason : undefined;
    const violations = await observer.#stop().catch((err: unknown) => [`The observer failed: ${String(err)}`]);
    if (violations.length > 0) {
      throw new Error(`Seed ${loadSeed}, ${violations.length} violations:\n\n${violations.join('\n\n')}`, { cause });
    }
    if (outcome.status === 'rejected') throw outcome.reason;
  }

  static async #start(fleet: Fleet, pools: readonly JudgedPool[]): Promise<Observer> {
    const observer = new Observer(fleet, openApiClient(await endpointOf(fleet.stack.kubeconfigs.admin)), pools);
    const from = await observer.#listClaims();
    const { signal } = observer.#stopped;
    observer.#work.push(
      observer.#followClaims(from),
      observer.#repeat(50, () => observer.#readClock()),
      ...fleet.nodes.map((node) => observer.#lookAround(node, signal)),
    );
    for (const work of observer.#work) work.catch(() => undefined); // `#stop` tells
    return observer;
  }

  /** Makes a call and writes it down. */
  async call(command: 'ADD' | 'DEL', pod: FleetPod, options?: PodCallOptions): Promise<CniOutcome> {
    this.#pods.set(pod.containerID, pod);
    this.#open += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#open);
    const call = this.witness.began(command, pod.containerID, monotonicMs());
    const outcome = await pod.call(command, options);
    const { exitCode, body } = outcome;
    const answer = {
      exitCode: exitCode ?? -1,
      addresses: body?.ips?.map(({ address }) => address) ?? [],
      ...(body?.details === undefined ? {} : { failure: body.details }),
      ...(body?.msg === undefined ? {} : { message: body.msg }),
    };
    this.witness.ended(call, answer, monotonicMs());
    this.#open -= 1;
    this.#answered.get(pod.node)?.resolve();
    return outcome;
  }

  /** Takes a sandbox's namespace away and writes that down. */
  async removeNamespace(pod: FleetPod): Promise<void> {
    this.witness.leaves(pod.containerID, monotonicMs());
    await pod.removeNamespace();
    this.witness.gone(pod.containerID);
  }

  /** Waits for the end of a look at this node that begins after the call. */
  async untilSeen(node: FleetNode): Promise<void> {
    await this.#seen.get(node)?.promise;
  }

  /** Ends observing, once the watch has told of everything, and gives what was wrong: an explanation for each violation. */
  async #stop(): Promise<readonly string[]> {
    try {
      await eventually('The watch has told of all claims', 30, async () => {
        const now = (await this.#fleet.cluster.claims()).map(({ spec }) => spec.address).sort();
        const told = this.#claims.standing().toSorted();
        return now.join() === told.join() ? { value: true } : { state: `there are ${now.join()}, told ${told.join()}` };
      });
      await this.#readClock();
    } finally {
      this.#stopped.abort();
      await together(this.#work);
      await this.#api.close();
    }
    return this.witness
      .violations()
      .map((violation, index) => (index < 5 ? this.#explain(violation) : violation.sentence));
  }

  async #lookAround(node: FleetNode, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const answered = Promise.withResolvers<void>();
      this.#answered.set(node, answered);
      const seen = this.#seen.get(node);
      this.#seen.set(node, Promise.withResolvers());
      for (const { containerID, addresses, ...window } of await node.addresses()) {
        this.witness.looked(containerID, addresses, window);
      }
      this.dumps += 1;
      seen?.resolve();
      await sleep(shortestPauseMs);
      await Promise.race([answered.promise, sleep(longestPauseMs - shortestPauseMs)]);
    }
  }

  /** What is there before anything is watched. */
  async #listClaims(): Promise<number> {
    const arrivedAtMs = monotonicMs();
    const { metadata, items } = await this.#api.request<ClaimList>({
      method: 'GET',
      path: collection,
      timeoutMs: 30_000,
    });
    for (const claim of items) {
      this.#claims.add({ type: 'ADDED', claim, revision: Number(claim.metadata.resourceVersion), arrivedAtMs });
    }
    return Number(metadata.resourceVersion);
  }

  async #followClaims(resourceVersion: number): Promise<void> {
    const { signal } = this.#stopped;
    const query = { resourceVersion, timeoutSeconds: 3600 };
    interface Event {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: IPClaim;
    }
    for await (const { type, object } of this.#api.watch<Event>({ path: collection, query, silenceMs: 0, signal })) {
      const arrivedAtMs = monotonicMs();
      this.#claims.add({ type, claim: object, revision: Number(object.metadata.resourceVersion), arrivedAtMs });
    }
    if (!signal.aborted) throw new Error('The watch of claims ended before its time');
  }

  /** Reads the store's revision, consistently. */
  async #readClock(): Promise<void> {
    const beganAtMs = monotonicMs();
    const { metadata } = await this.#api.request<ClaimList>({
      method: 'GET',
      path: collection,
      query: { limit: 1 },
      timeoutMs: 30_000,
    });
    this.#clock.add({ beganAtMs, endedAtMs: monotonicMs(), revision: Number(metadata.resourceVersion) });
  }

  async #repeat(pauseMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await work();
      await sleep(pauseMs);
    }
  }

  #explain({ sentence, containerIDs, addresses }: Violation): string {
    const calls = containerIDs.flatMap((containerID) => {
      const pod = this.#pods.get(containerID);
      return [
        `sandbox ${containerID} of ${pod?.name} on ${pod?.node.name}`,
        ...this.witness.callsOf(containerID).map(({ command, beganAtMs, ended }) => {
          const { exitCode, addresses: got = [], failure = '' } = ended?.answer ?? {};
          const end = ended === undefined ? 'open' : `${timeOfDay(ended.atMs)} exit ${exitCode}`;
          return `  ${timeOfDay(beganAtMs)} ${command} → ${end} ${got.join()}${failure}`;
        }),
        ...(pod === undefined ? [] : linesAbout(containerID, pod.node.worker.logFile)).map((line) => `  log ${line}`),
      ];
    });
    const claims = this.#claims
      .periods()
      .filter(({ address, containerID }) => addresses.includes(address) || containerIDs.includes(containerID))
      .map(({ address, phase, containerID, since, until }) => {
        const end = until === undefined ? 'now' : timeOfDay(until.latestMs);
        return `claim ${address} ${phase} of ${containerID} from ${timeOfDay(since.earliestMs)} to ${end}`;
      });
    return [sentence, ...[...claims, ...calls].map((line) => `  ${line}`)].join('\n');
  }
}

interface ClaimList {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly IPClaim[];
}

const linesAbout = (containerID: string, logFile: string): readonly string[] =>
  readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes(containerID))
    .map(shortened)
    .slice(-25);

/** What tells one line of a sandbox from the other. */
function shortened(line: string): string {
  try {
    const { time, level, msg, err, ...more } = JSON.parse(line) as LogLine;
    const { address, addresses, claims, disposition, how, command, durationMs, outcome, activityType } = more;
    const facts = { command, activityType, how, outcome, disposition, address, addresses, claims, durationMs };
    return `${time.slice(11, 23)} ${level} ${msg} ${JSON.stringify(facts)} ${err?.message ?? ''}`;
  } catch {
    return line.slice(0, 300);
  }
}

interface LogLine extends Readonly<Partial<Record<string, unknown>>> {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly err?: { readonly message?: string };
}
