import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { insistOnGuest } from './guest-machine.ts';

/**
 * Two nodes and a host outside, each a network namespace; no link leads out.
 *
 *     a: eth1 ────────── eth1 :b       two cables from node to node: bonds
 *     a: eth2 ────────── eth2 :b
 *     a: eth0 ──┐    ┌── eth0 :b       uplinks to the switch `lan` of the host outside,
 *               outside                10.70.8.1/22 and fd00:70::1/64
 *
 * Links are up, and the nodes have no address. Everything ends with `close`, pods too.
 */
export class TwoNodes implements Disposable {
  readonly #id = randomUUID().slice(0, 8);
  readonly #made: string[] = [];
  /** Paths of the three namespaces, for example for `openKernel({ hostNetns })`. */
  readonly a: string;
  readonly b: string;
  readonly outside: string;

  constructor() {
    insistOnGuest();
    this.a = this.namespace('a');
    this.b = this.namespace('b');
    this.outside = this.namespace('outside');
    const [a, b] = [nameOf(this.a), nameOf(this.b)];
    ip(this.outside, 'link add lan type bridge mcast_snooping 0', 'link set lan up');
    ip(this.outside, 'addr add 10.70.8.1/22 dev lan', 'addr add fd00:70::1/64 dev lan nodad');
    for (const cable of ['eth1', 'eth2']) ip(this.a, `link add ${cable} type veth peer name ${cable} netns ${b}`);
    for (const name of [a, b]) {
      ip(this.outside, `link add to-${name.at(-1)} type veth peer name eth0 netns ${name}`);
      ip(this.outside, `link set to-${name.at(-1)} up master lan`);
      ip(`/run/netns/${name}`, ...['eth0', 'eth1', 'eth2'].map((link) => `link set ${link} up`));
    }
  }

  /** Makes a pod's namespace and gives its path. */
  pod(): string {
    return this.namespace(`pod${this.#made.length}`);
  }

  /** Makes one more namespace, with `lo` up as runtimes do, and gives its path. */
  namespace(role: string): string {
    const name = `${this.#id}-${role}`;
    execFileSync('ip', ['netns', 'add', name]);
    this.#made.push(name);
    ip(`/run/netns/${name}`, 'link set lo up');
    return `/run/netns/${name}`;
  }

  [Symbol.dispose](): void {
    for (const name of this.#made) spawnSync('ip', ['netns', 'del', name]);
  }
}

/** Runs ip(8) commands in a namespace, one process for all: a process takes 70 ms here. Throws at the first that fails. */
export function ip(netns: string, ...commands: readonly string[]): string {
  return runIp(['-n', nameOf(netns), '-batch', '-'], commands);
}

/** Runs an ip(8) command in the guest's own namespace, where the PFs are. */
export const inHost = (...commands: readonly string[]): string => runIp(['-batch', '-'], commands);

/** What ip(8) shows of a namespace as JSON with details, a list for each command. */
export const ipJson = (netns: string, ...commands: readonly string[]): Record<string, unknown>[][] =>
  listsOf(['-n', nameOf(netns)], commands);

/** The same of one family: commands of a batch cannot say `-6`. */
export const familyJson = (netns: string, family: 4 | 6, ...commands: readonly string[]): Record<string, unknown>[][] =>
  listsOf([`-${family}`, '-n', nameOf(netns)], commands);

function listsOf(args: readonly string[], commands: readonly string[]): Record<string, unknown>[][] {
  const shown = runIp(['-j', '-d', ...args, '-batch', '-'], commands);
  const lists = shown.split('\n').filter((line) => line.trim() !== '');
  return lists.map((list) => JSON.parse(list) as Record<string, unknown>[]);
}

function runIp(args: readonly string[], commands: readonly string[]): string {
  const input = commands.map((command) => `${command}\n`).join('');
  const { status, stdout, stderr } = spawnSync('ip', args, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')} refused one of:\n${input}${stderr}`);
  return stdout;
}

/** Name for ip(8) of a namespace under /run/netns. */
export const nameOf = (netns: string): string => netns.slice('/run/netns/'.length);
