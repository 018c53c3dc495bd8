import { networkOf, parseAddress, parsePrefix, prefixContains } from '../../ip-prefix.ts';
import type { ObservedAddress } from '../../observed-namespace.ts';
import {
  type CoordinationOperation,
  inverseOf,
  type NeighbourEntry,
  type PolicyRule,
  type PolicyTableRoute,
} from '../coordination-operation.ts';
import type { ObservedCoordination, ObservedNic, ObservedTableRoute } from '../observed-coordination.ts';
import { mainTable } from '../pod-layout.ts';

interface Side {
  links: ObservedNic[];
  addresses: ObservedAddress[];
  routes: ObservedTableRoute[];
  rules: PolicyRule[];
  neighbours: NeighbourEntry[];
}

/**
 * A pod and its node in memory, with the kernel's rules as far as coordination depends on them: links are found by name, a
 * pair goes as a whole and takes what hangs on it along, a route is one of its destination and metric unless it is asked to
 * stand beside others, and its gateway must be in reach.
 */
export class CoordinationModel {
  readonly pod: Side & { sysctls: Record<string, string>; hasReplyMarks: boolean } = {
    ...emptySide(),
    sysctls: {
      'net.ipv6.conf.all.disable_ipv6': '0',
      'net.ipv4.conf.all.rp_filter': '1',
      'net.ipv4.conf.default.rp_filter': '2',
      'net.ipv4.conf.default.src_valid_mark': '0',
    },
    hasReplyMarks: false,
  };
  readonly node: Side = emptySide();

  constructor() {
    this.addLink('node', 'eth1', {});
    this.addAddress('node', 'eth1', '10.70.8.2/22');
    this.addAddress('node', 'eth1', 'fd00:70::2/64');
  }

  addLink(at: 'pod' | 'node', ifName: string, rest: Partial<ObservedNic>): ObservedNic {
    const ifIndex = 1 + Math.max(1, ...[...this.pod.links, ...this.node.links].map((one) => one.ifIndex));
    const link: ObservedNic = {
      ifIndex,
      ifName,
      mac: `02:00:00:00:00:${ifIndex.toString(16).padStart(2, '0')}`,
      mtuBytes: 1500,
      isUp: true,
      isLoopback: false,
      isEthernet: true,
      group: 0,
      alias: '',
      txQueueLen: 1000,
      ...rest,
    };
    this[at].links.push(link);
    if (at === 'pod') {
      for (const setting of ['rp_filter', 'src_valid_mark']) {
        this.pod.sysctls[`net.ipv4.conf.${ifName}.${setting}`] =
          this.pod.sysctls[`net.ipv4.conf.default.${setting}`] ?? '0';
      }
    }
    return link;
  }

  addAddress(at: 'pod' | 'node', ifName: string, address: string): void {
    const { ifIndex } = this.#link(at, ifName);
    const { family, length } = parsePrefix(address);
    this[at].addresses.push({ ifIndex, family, address, isLinkLocal: false });
    if (length === 32 && family === 4) return; // IPv6 has a route to the address alone, too
    const metric = family === 4 ? 0 : 256;
    this[at].routes.push({ dst: networkOf(address), ifName, table: mainTable, protocol: 2, metric });
  }

  /** A network's interface as its plugin leaves it: addresses and, unless cleaned, a default route before those of others. */
  addNic(
    ifName: string,
    nic: { addresses: readonly string[]; gateways: readonly string[]; link?: Partial<ObservedNic> },
  ): void {
    this.addLink('pod', ifName, { kind: 'macvlan', ...nic.link });
    for (const address of nic.addresses) this.addAddress('pod', ifName, address);
    for (const gateway of nic.gateways) {
      const isIPv6 = gateway.includes(':');
      this.pod.routes.unshift({
        dst: isIPv6 ? '::/0' : '0.0.0.0/0',
        gateway,
        ifName,
        table: mainTable,
        protocol: 3,
        metric: isIPv6 ? 1024 : 0,
      });
    }
  }

  /** What the kernel of the node would be asked for this interface. */
  observe(ifName: string, hostRuleTable = 500): ObservedCoordination {
    const nic = this.pod.links.find((link) => link.ifName === ifName);
    const own = this.pod.addresses.filter(({ ifIndex }) => ifIndex === nic?.ifIndex);
    const ownTexts = new Set(own.map(({ address }) => address.replace(/\/.*/, '')));
    const families = new Set(own.map(({ family }) => family));
    return structuredClone({
      pod: this.pod,
      node: {
        links: this.node.links,
        addresses: this.node.addresses,
        podRoutes: this.node.routes.filter(({ table }) => table === hostRuleTable),
        rules: this.node.rules,
        neighbours: this.node.neighbours.filter(({ address }) => ownTexts.has(address)),
        sourcesToPod: [...families].map((family) => (family === 4 ? '10.70.8.2' : 'fd00:70::2')),
      },
    });
  }

  apply(operations: readonly CoordinationOperation[]): void {
    for (const operation of operations) this.#apply(operation);
  }

  undo(operations: readonly CoordinationOperation[]): void {
    this.apply(operations.toReversed().flatMap((operation) => inverseOf(operation) ?? []));
  }

  /** Everything, in no order but that of routes of one destination. */
  state(): unknown {
    const sorted = (list: readonly unknown[]): string[] => list.map((one) => JSON.stringify(one)).toSorted();
    const ranked = (routes: readonly ObservedTableRoute[]): unknown =>
      Object.fromEntries(
        [...new Set(routes.map(({ table, dst }) => `${table} ${dst}`))]
          .toSorted()
          .map((key) => [key, routes.filter(({ table, dst }) => `${table} ${dst}` === key)]),
      );
    const side = ({ links, addresses, routes, rules, neighbours }: Side) => ({
      links: sorted(links),
      addresses: sorted(addresses),
      routes: ranked(routes),
      rules: sorted(rules),
      neighbours: sorted(neighbours),
    });
    const { sysctls, hasReplyMarks } = this.pod;
    return structuredClone({ pod: { ...side(this.pod), sysctls, hasReplyMarks }, node: side(this.node) });
  }

  #apply(operation: CoordinationOperation): void {
    switch (operation.op) {
      case 'create-veth': {
        const { ifName, mac, nodeEnd, mtuBytes, group } = operation;
        this.#refuse('EEXIST', this.#has('pod', ifName) || this.#has('node', nodeEnd.ifName));
        const end = { kind: 'veth', mtuBytes, group, isUp: false };
        const there = this.addLink('node', nodeEnd.ifName, { ...end, mac: nodeEnd.mac });
        const here = this.addLink('pod', ifName, { ...end, mac, parentIndex: there.ifIndex });
        return this.#change('node', nodeEnd.ifName, { parentIndex: here.ifIndex });
      }
      case 'delete-veth': {
        const { parentIndex } = this.#link('pod', operation.ifName);
        const other = this.node.links.find(({ ifIndex }) => ifIndex === parentIndex)?.ifName;
        this.#drop('pod', operation.ifName);
        if (other !== undefined) this.#drop('node', other);
        return;
      }
      case 'set-alias':
        return this.#change(operation.at, operation.ifName, { alias: operation.alias });
      case 'set-up':
      case 'set-down':
        return this.#change(operation.at, operation.ifName, { isUp: operation.op === 'set-up' });
      case 'set-mac':
        return this.#change('pod', operation.ifName, { mac: operation.mac });
      case 'set-tx-queue':
        return this.#change('pod', operation.ifName, { txQueueLen: operation.packets });
      case 'add-address':
        return this.addAddress('pod', operation.ifName, operation.address);
      case 'delete-address': {
        const { ifIndex } = this.#link('pod', operation.ifName);
        return this.#take(this.pod.addresses, (one) => one.ifIndex === ifIndex && one.address === operation.address);
      }
      case 'set-sysctl':
        this.pod.sysctls[operation.key] = operation.value;
        return;
      case 'add-route':
        return this.#addRoute(operation.at, operation.route, operation.rank);
      case 'delete-route':
        return this.#take(this[operation.at].routes, (one) => isSame(one, operation.route));
      case 'add-rule':
        this.#refuse(
          'EEXIST',
          this.pod.rules.some((one) => isSame(one, operation.rule)),
        );
        this.pod.rules.push(operation.rule);
        return;
      case 'delete-rule':
        return this.#take(this.pod.rules, (one) => isSame(one, operation.rule));
      case 'ensure-rule':
        this.node.rules.push(operation.rule);
        return;
      case 'add-neighbour': {
        const { op: _, at, ...entry } = operation;
        this.#link(at, entry.ifName);
        this[at].neighbours.push(entry);
        return;
      }
      case 'delete-neighbour':
        return this.#take(
          this[operation.at].neighbours,
          (one) => one.ifName === operation.ifName && one.address === operation.address,
        );
      case 'add-reply-marks':
      case 'delete-reply-marks':
        this.pod.hasReplyMarks = operation.op === 'add-reply-marks';
    }
  }

  #addRoute(at: 'pod' | 'node', route: PolicyTableRoute, rank: 'first' | 'last' | undefined): void {
    const { routes } = this[at];
    const gateway = route.gateway;
    this.#refuse('ENETDOWN', !this.#link(at, route.ifName).isUp);
    const isInReach = (one: PolicyTableRoute): boolean =>
      gateway !== undefined &&
      one.gateway === undefined &&
      one.ifName === route.ifName &&
      prefixContains(parsePrefix(one.dst), parseAddress(gateway));
    this.#refuse('ENETUNREACH', gateway !== undefined && !gateway.startsWith('fe80') && !routes.some(isInReach));
    this.#refuse(
      'EEXIST',
      rank === undefined &&
        routes.some((one) => one.table === route.table && one.dst === route.dst && one.metric === route.metric),
    );
    if (rank === 'first') routes.unshift(route);
    else routes.push(route);
  }

  #drop(at: 'pod' | 'node', ifName: string): void {
    const { ifIndex } = this.#link(at, ifName);
    const side = this[at];
    const isElsewhere = (one: { ifName: string }): boolean => one.ifName !== ifName;
    side.links = side.links.filter(isElsewhere);
    side.routes = side.routes.filter(isElsewhere);
    side.neighbours = side.neighbours.filter(isElsewhere);
    side.addresses = side.addresses.filter((one) => one.ifIndex !== ifIndex);
    if (at === 'pod') {
      for (const key of Object.keys(this.pod.sysctls)) {
        if (key.includes(`.conf.${ifName}.`)) delete this.pod.sysctls[key];
      }
    }
  }

  #take<One>(list: One[], isIt: (one: One) => boolean): void {
    const at = list.findIndex(isIt);
    this.#refuse('ESRCH', at < 0);
    list.splice(at, 1);
  }

  #has = (at: 'pod' | 'node', ifName: string): boolean => this[at].links.some((link) => link.ifName === ifName);

  #link(at: 'pod' | 'node', name: string): ObservedNic {
    const link = this[at].links.find(({ ifName }) => ifName === name);
    if (link === undefined) throw new Error(`ENODEV ${at} ${name}`);
    return link;
  }

  #change(at: 'pod' | 'node', name: string, changes: Partial<ObservedNic>): void {
    const changed = { ...this.#link(at, name), ...changes };
    this[at].links = this[at].links.map((link) => (link.ifName === name ? changed : link));
  }

  #refuse(code: string, isRefused: boolean): void {
    if (isRefused) throw new Error(code);
  }
}

function emptySide(): Side {
  return { links: [], addresses: [], routes: [], rules: [], neighbours: [] };
}

const isSame = (one: object, other: object): boolean => key(one) === key(other);
const key = (one: object): string => JSON.stringify(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)));
