import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';

/**
 * A node's namespace with an uplink to an outside one, and pods' namespaces beside them; no link to the host. For live tests:
 * needs root and ip(8). Everything in it ends with `close`.
 */
export class TestNetwork {
  readonly #id = `ow-${randomUUID().slice(0, 8)}`;
  readonly #made: string[] = [];
  /** Paths of the two namespaces. The uplink is eth1 on the node, `wire` outside. */
  readonly node: string;
  readonly outside: string;

  constructor() {
    this.node = this.pod('node');
    this.outside = this.pod('outside');
    this.ip(this.node, `link add eth1 type veth peer name wire netns ${nameOf(this.outside)}`);
    this.ip(this.node, 'link set dev eth1 up');
    this.ip(this.outside, 'link set dev wire up');
    this.ip(this.outside, 'addr add 10.70.8.1/22 dev wire');
    this.ip(this.outside, 'addr add fd00:70::1/64 dev wire nodad');
  }

  /** Makes one more namespace and gives its path. */
  pod(role = `pod${this.#made.length}`): string {
    const name = `${this.#id}-${role}`;
    execFileSync('ip', ['netns', 'add', name]);
    this.#made.push(name);
    return `/run/netns/${name}`;
  }

  /** Makes a bridge on the node that has its carrier whoever comes and goes: what it shows then changes with its ports only. */
  bridge(name: string): void {
    this.ip(this.node, `link add ${name} address 02:00:00:00:00:b0 type bridge`);
    this.ip(this.node, 'link add plug type veth peer name socket');
    for (const link of [name, 'plug', 'socket']) this.ip(this.node, `link set dev ${link} addrgenmode none up`);
    this.ip(this.node, `link set dev plug master ${name}`);
  }

  /** Runs ip(8) in a namespace, arguments separated by blanks, and gives what it prints. */
  ip(netns: string, args: string): string {
    return execFileSync('ip', ['-n', nameOf(netns), ...args.split(' ')], { encoding: 'utf8' });
  }

  json(netns: string, args: string): Record<string, unknown>[] {
    return JSON.parse(this.ip(netns, `-j ${args}`)) as Record<string, unknown>[];
  }

  /** Everything that ip(8) shows of a namespace, less what changes by itself. */
  dump(netns: string): unknown {
    const lists = ['-d link show', 'addr show', '-4 route show table all', '-6 route show table all', '-4 rule show'];
    return JSON.parse(JSON.stringify(lists.map((list) => this.json(netns, list))), (key, value: unknown) =>
      volatile.has(key) || key.endsWith('_timer') ? undefined : value,
    ) as unknown;
  }

  remove(netns: string): void {
    execFileSync('ip', ['netns', 'del', nameOf(netns)]);
  }

  close(): void {
    for (const name of this.#made) spawnSync('ip', ['netns', 'del', name]);
  }
}

export const nameOf = (netns: string): string => netns.slice('/run/netns/'.length);

/** Lifetimes and the parent's counter of listeners; beside them what a bridge counts down. */
const volatile = new Set(['valid_life_time', 'preferred_life_time', 'promiscuity', 'allmulti']);
