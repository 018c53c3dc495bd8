import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { ApiError } from '../../kube/api-error.ts';
import { MemoryClaims } from '../../kube/testing/memory-claims.ts';
import { parseConf, parseNetworkConf } from '../../workers/node/network-conf.ts';
import { kernelDump } from '../datapath/kernel-dump.ts';
import { ip } from '../datapath/two-nodes.ts';
import type { SeededRandom } from '../load/seeded-random.ts';
import type { Call, FromWorker, Outcome, Site, ToWorker } from './worker-to-kill.ts';

/** One effect of one call, from 1 on, after which the worker dies. */
export interface Death {
  readonly callIndex: number;
  readonly count: number;
  readonly sequel: Sequel;
  readonly title: string;
}

/** What becomes of an ADD whose worker died; a DEL is always repeated. */
const sequels = ['its caller waits', 'its caller is gone', 'its run is lost'] as const;
type Sequel = (typeof sequels)[number];

export interface Scene {
  /** Paths of namespaces, with names for ip(8): the node's, and the one that each pod will have. */
  readonly node: string;
  readonly pod: string;
  /** Absent: the worker's own namespace is the node's. */
  readonly hostNetns?: string;
  /** A folder of ours, on tmpfs as records are. */
  readonly directory: string;
  readonly pools: Site['pools'];
  /** Network configurations of the pod's interfaces, by name. */
  readonly interfaces: Readonly<Record<string, { readonly name: string }>>;
  /** What else an attachment may leave. */
  readonly alsoSeen?: () => Promise<readonly string[]>;
}

/**
 * A pod gets all its interfaces and loses them again, first undisturbed, then with a worker that dies after an effect of one call. How
 * everything was after each call undisturbed is what it must come to be every time.
 */
export class WorkerDeaths {
  readonly #scene: Scene;
  readonly #site: Site;
  readonly #api = new MemoryClaims();
  readonly #calls: readonly Call[];
  /** Before the calls, and after each. */
  #states: readonly (readonly string[])[] = [];
  #effects: readonly (readonly string[])[] = [];
  #worker: WorkerProcess;

  constructor(scene: Scene) {
    const { directory, pools, hostNetns, pod, interfaces } = scene;
    this.#scene = scene;
    this.#site = { runDirectory: join(directory, 'run'), pools, ...(hostNetns === undefined ? {} : { hostNetns }) };
    const added = Object.entries(interfaces).map(
      ([ifName, conf]): Call => ({ command: 'ADD', request: requestOf(ifName, pod, conf), hasCaller: true }),
    );
    this.#calls = [...added, ...added.toReversed().map((call): Call => ({ ...call, command: 'DEL' }))];
    mkdirSync(directory, { recursive: true });
    this.#worker = this.#startWorker();
  }

  async close(): Promise<void> {
    await this.#worker.end();
  }

  /** Plays all calls undisturbed, on a node without pods so far and on one that has had some. Throws when they leave anything. */
  async rehearse(): Promise<void> {
    await this.#inPod(async () => {
      this.#states = [await this.#look()];
      await this.#play(this.#calls);
      await this.#becomes(this.#states[0]);
    });
    await this.#inPod(async () => {
      this.#states = [await this.#look()];
      for (const call of this.#calls) {
        writeFileSync(this.#file('moments'), '');
        await this.#worker.does(call);
        this.#effects = [...this.#effects, readFileSync(this.#file('moments'), 'utf8').trim().split('\n')];
        this.#states = [...this.#states, await this.#look()];
      }
      await this.#becomes(this.#states[0]);
    });
  }

  /** So many of the deaths that can be died, or after each effect one (`all`). Throws `RangeError` when that would be none. */
  choose(asked: string, random: SeededRandom): readonly Death[] {
    const all = this.#effects.flatMap((names, callIndex) =>
      names.map((name, index): Death => {
        const { command, request } = this.#call(callIndex);
        const sequel = sequels[random.index(sequels.length)] ?? 'its caller waits';
        const effect = `${command} ${request.attachment.ifName}, effect ${index + 1} of ${names.length} (${name})`;
        return { callIndex, count: index + 1, sequel, title: command === 'DEL' ? effect : `${effect}, ${sequel}` };
      }),
    );
    const count = asked === 'all' ? all.length : Number(asked);
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`"${asked}" is no number of deaths`);
    if (count >= all.length) return all;
    const left = [...all];
    return Array.from({ length: count }, () => left.splice(random.index(left.length), 1)).flat();
  }

  /** Throws unless the attachments come to be whole, or nothing is left of them, and in the end nothing at all. */
  async judge({ callIndex, count, sequel, title }: Death): Promise<void> {
    try {
      await this.#inPod(() => this.#die(callIndex, count, sequel));
    } catch (cause) {
      throw new Error(`${title}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }

  async #die(callIndex: number, count: number, sequel: Sequel): Promise<void> {
    await this.#play(this.#calls.slice(0, callIndex));
    const call = this.#call(callIndex);
    writeFileSync(this.#file('moments'), '');
    writeFileSync(this.#file('kill-at'), String(count));
    assert.equal((await this.#worker.perform(call)).outcome, 'killed');
    rmSync(this.#file('kill-at'));
    this.#worker = this.#startWorker();
    const [before, whole] = this.#states.slice(callIndex);
    if (call.command === 'DEL' || sequel === 'its caller waits') {
      await this.#worker.does(call);
      await this.#becomes(whole);
      await this.#play(this.#calls.slice(callIndex + 1));
    } else {
      if (sequel === 'its caller is gone') {
        await this.#worker.perform({ ...call, hasCaller: false });
        await this.#becomes(before, whole);
      }
      await this.#play(this.#calls.filter(({ command }) => command === 'DEL'));
    }
    await this.#becomes(this.#states[0]);
  }

  async #play(calls: readonly Call[]): Promise<void> {
    for (const call of calls) await this.#worker.does(call);
  }

  /** A new pod. No run directory is there, as after a boot: whether its folders have to be made is the same each time. */
  async #inPod(work: () => Promise<void>): Promise<void> {
    const { pod } = this.#scene;
    rmSync(this.#site.runDirectory, { recursive: true, force: true });
    execFileSync('ip', ['netns', 'add', basename(pod)]);
    try {
      ip(pod, 'link set lo up');
      await work();
    } finally {
      execFileSync('ip', ['netns', 'del', basename(pod)]);
    }
  }

  /** All that an attachment may leave: a line each, less what each interface gets by its turn. */
  async #look(): Promise<readonly string[]> {
    const { node, pod, alsoSeen } = this.#scene;
    const claims = this.#api.all().map(({ metadata, spec }) => `claim ${metadata.name} ${spec.phase}`);
    const { runDirectory } = this.#site;
    const files = existsSync(runDirectory) ? readdirSync(runDirectory, { recursive: true }).map(String) : [];
    const records = files.filter((name) => name.includes('/')).map((name) => `record ${name}`); // not the folders themselves
    const namespaces = Object.entries({ node, pod }).flatMap(([role, netns]) => {
      const { lists, nftables } = kernelDump(netns) as { readonly lists: unknown[][][]; readonly nftables: unknown };
      const facts = [...lists.flat(2), nftables].map((fact) => JSON.stringify(fact, lasting));
      return [...facts, ...settingsOf(netns)].map((fact) => `${role} ${fact}`);
    });
    return [...claims, ...records, ...namespaces, ...((await alsoSeen?.()) ?? [])];
  }

  /** One of these; carriers and namespaces that come and go take the kernel a moment. Throws what the first of them has less or more. */
  async #becomes(...expected: readonly (readonly string[] | undefined)[]): Promise<void> {
    await eventually('Everything is as it should be', 60, async () => {
      const now = await this.#look();
      const differences = expected.map((state = []) =>
        difference(state, now).filter((fact) => state !== this.#states[0] || !mayStay.test(fact)),
      );
      if (differences.some(({ length }) => length === 0)) return { value: undefined };
      return { state: ['', ...(differences[0] ?? [])].join('\n') };
    });
  }

  #call(index: number): Call {
    return this.#calls[index] ?? assert.fail('no such call');
  }

  #file(name: string): string {
    return join(this.#scene.directory, name);
  }

  #startWorker(): WorkerProcess {
    return new WorkerProcess(this.#site, this.#scene.directory, this.#api);
  }
}

/** What serves all pods of the node, and what is the pod's own and carries no mark. */
const mayStay =
  /^\+ node \{"priority":1000,"src":"all","table":"500","protocol":"79"\}$|^[-+] pod \/proc\/sys\/net\/ipv[46]\/conf\/(all|default|lo)\//;

/** What is missing and what is new, in no order, each as often as it is. */
function difference(before: readonly string[], now: readonly string[]): readonly string[] {
  const added = [...now];
  const missing = before.filter((fact) => {
    const index = added.indexOf(fact);
    if (index !== -1) added.splice(index, 1);
    return index === -1;
  });
  return [...missing.map((fact) => `- ${fact}`), ...added.map((fact) => `+ ${fact}`)];
}

/** Of all interfaces of a namespace, `/proc/sys/net/ipv4/conf/eth0/rp_filter:0`. One may go while they are read. */
function settingsOf(netns: string): readonly string[] {
  const script = 'grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf || true';
  const shown = execFileSync('ip', ['netns', 'exec', basename(netns), 'sh', '-c', script], { encoding: 'utf8' });
  return shown.trim().split('\n');
}

/** Leaves out what a new interface gets by its turn, and the order of lists. */
function lasting(key: string, value: unknown): unknown {
  if (byTurn.has(key)) return undefined;
  if (typeof value === 'string') return /^if\d+$/.test(value) ? 'of another namespace' : value;
  return Array.isArray(value) ? value.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value;
}

const byTurn = new Set(['ifindex', 'link_index', 'link_netnsid', 'link_failure_count', 'mii_status', 'active_slave']);

function requestOf(ifName: string, netns: string, json: { readonly name: string }): AddRequest {
  const conf = { cniVersion: '1.1.0', type: 'orbweaver', ...json };
  return {
    attachment: { containerID: '5bc0ffee', network: json.name, ifName, kind: 'attach' },
    pod: { namespace: 'pay', name: 'api-0', uid: '9c1f0000-0000-4000-8000-000000000001' },
    node: 'r7-n1',
    netns,
    netnsCookie: '',
    nonce: ifName,
    arrivedAtMs: Date.now(),
    network: parseNetworkConf('orbweaver', parseConf(Buffer.from(JSON.stringify(conf)))),
  };
}

/** A process of worker-to-kill.ts, with its parent as API server. */
class WorkerProcess {
  readonly #api: MemoryClaims;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #open: PromiseWithResolvers<Outcome | { readonly outcome: 'killed' }> | undefined;

  constructor(site: Site, directory: string, api: MemoryClaims) {
    this.#api = api;
    const program = join(import.meta.dirname, 'worker-to-kill.ts');
    const preload = join(import.meta.dirname, 'moments.ts');
    this.#child = fork(program, [JSON.stringify(site)], {
      execArgv: ['--import', preload],
      env: { ...process.env, MOMENTS_DIRECTORY: directory, NODE_COMPILE_CACHE: join(directory, 'compiled') },
    });
    this.#child.on('message', (message: FromWorker) => {
      if ('ended' in message) this.#open?.resolve(message.ended);
      else void this.#answer(message);
    });
    const exited = Promise.withResolvers<void>();
    this.#exited = exited.promise;
    this.#child.once('exit', (code, signal) => {
      exited.resolve();
      if (signal === 'SIGKILL') this.#open?.resolve({ outcome: 'killed' });
      else this.#open?.reject(new Error(`The worker ended with ${code ?? signal}`));
    });
  }

  async perform(call: Call): Promise<Outcome | { readonly outcome: 'killed' }> {
    this.#open = Promise.withResolvers();
    this.#send({ call });
    return await this.#open.promise;
  }

  async does(call: Call): Promise<void> {
    const ended = await this.perform(call);
    assert.equal(ended.outcome, 'done', `${call.command} ${call.request.attachment.ifName}: ${JSON.stringify(ended)}`);
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #answer({ ask, request }: Extract<FromWorker, { ask: number }>): Promise<void> {
    const answer = await this.#api.request(request).catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      return error;
    });
    const { status, reason } = answer instanceof ApiError ? answer : { status: 0, reason: '' };
    this.#send({ answerTo: ask, ...(status === 0 ? { answer } : { refusal: { status, reason } }) });
  }

  #send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message);
  }
}
