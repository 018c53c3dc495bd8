import type { CoordinationOperation, Place, PolicyTableRoute } from './coordination/coordination-operation.ts';
import type { ObservedCoordination, ObservedNic, ObservedPod } from './coordination/observed-coordination.ts';
import { mainTable } from './coordination/pod-layout.ts';
import { networkOf, parsePrefix } from './ip-prefix.ts';
import type { LinkOperation } from './link-operation.ts';
import type { ObservedLink, ObservedNamespace } from './observed-namespace.ts';

/**
 * What a pod and its node will look like after a plan, so that the next one can be made without carrying this one out. As far as
 * plans depend on it: a new link's MAC stays unknown where the kernel draws it.
 *
 * @param at Where the links of operations are that do not say so.
 */
export const foresee = (
  before: ObservedCoordination,
  operations: readonly (LinkOperation | CoordinationOperation)[],
  at: Place = 'pod',
): ObservedCoordination => operations.reduce((state, operation) => after(state, operation, at), before);

/** The pod as its links are planned: the main table only. */
export const asNamespace = ({ links, addresses, routes }: ObservedPod): ObservedNamespace => ({
  links,
  addresses,
  routes: routes
    .filter(({ table }) => table === mainTable)
    .map(({ dst, gateway, ifName, metric, protocol }) => ({
      family: dst.includes(':') ? 6 : 4,
      dst,
      ...(gateway === undefined ? {} : { gateway }),
      ifIndex: indexOf(links, ifName),
      metric,
      protocol,
    })),
});

/** A new interface of another plugin: its addresses, and its default routes where it brings them. */
export function foreseeNic(
  before: ObservedCoordination,
  ifName: string,
  nic: { readonly kind: string; readonly addresses: readonly string[]; readonly gateways: readonly string[] },
): ObservedCoordination {
  const link = { ...newLink(before.pod.links, ifName), kind: nic.kind, isUp: true };
  const defaults = nic.gateways.map(
    (gateway): PolicyTableRoute => ({
      dst: gateway.includes(':') ? '::/0' : '0.0.0.0/0',
      gateway,
      ifName,
      table: mainTable,
      protocol: 3, // RTPROT_BOOT: what CNI's plugins leave
      metric: plainMetric(gateway),
    }),
  );
  return inPod(
    nic.addresses.reduce((state, address) => withAddress(state, ifName, address), withNic(before, link)),
    ({ routes }) => ({ routes: [...routes, ...defaults] }),
  );
}

function after(
  state: ObservedCoordination,
  operation: LinkOperation | CoordinationOperation,
  elsewhere: Place,
): ObservedCoordination {
  const { at = elsewhere } = 'at' in operation ? operation : {};
  const change = (ifName: string, changes: Partial<ObservedNic>): ObservedCoordination =>
    withLinks(state, at, (link) => (link.ifName === ifName ? { ...link, ...changes } : link));
  switch (operation.op) {
    case 'create-link': {
      const { ifName, master, link: shape, group } = operation;
      const parent = state.node.links.find((link) => link.ifName === master);
      const link: ObservedNic = {
        ...newLink(state[at].links, ifName),
        kind: shape.kind,
        shape,
        group,
        mac: shape.kind === 'macvlan' ? '' : (parent?.mac ?? ''),
        ...(parent === undefined ? {} : { mtuBytes: parent.mtuBytes, parentIndex: parent.ifIndex }),
      };
      return at === 'pod' ? withNic(state, link) : withNodeLink(state, link);
    }
    case 'create-pair': {
      const { ifName, mtuBytes, nodeEnd, master, group } = operation;
      const there = { ...newLink(state.node.links, nodeEnd.ifName), ...nodeEnd, kind: 'veth', group };
      const here = { ...newLink(state.pod.links, ifName), kind: 'veth', mtuBytes, group, parentIndex: there.ifIndex };
      const port = { ...there, parentIndex: here.ifIndex, controllerIndex: indexOf(state.node.links, master) };
      return withNic(withNodeLink(state, port), here);
    }
    case 'create-bond': {
      const { ifName, mode, options, group } = operation;
      return withNodeLink(state, {
        ...newLink(state.node.links, ifName),
        kind: 'bond',
        group,
        bond: { mode, options },
      });
    }
    case 'create-veth': {
      const { ifName, mac, nodeEnd, mtuBytes, group } = operation;
      const end = { kind: 'veth', mtuBytes, group };
      const there = { ...newLink(state.node.links, nodeEnd.ifName), ...end, mac: nodeEnd.mac };
      const here = { ...newLink(state.pod.links, ifName), ...end, mac, parentIndex: there.ifIndex };
      return withNic(withNodeLink(state, { ...there, parentIndex: here.ifIndex }), here);
    }
    case 'delete-link':
    case 'delete-veth':
      return withoutLink(state, at, operation.ifName);
    case 'set-alias':
      return change(operation.ifName, { alias: operation.alias });
    case 'set-mtu':
      return change(operation.ifName, { mtuBytes: operation.mtuBytes });
    case 'set-up':
    case 'set-down':
      return change(operation.ifName, { isUp: operation.op === 'set-up' });
    case 'set-mac':
      return change(operation.ifName, { mac: operation.mac });
    case 'set-tx-queue':
      return change(operation.ifName, { txQueueLen: operation.packets });
    case 'add-port':
      return change(operation.ifName, {
        controllerIndex: indexOf(state.node.links, operation.controller),
        isUp: true,
      });
    case 'remove-port':
      return withLinks(state, at, (link) => {
        if (link.ifName !== operation.ifName) return link;
        const { controllerIndex: _, ...free } = link;
        return free as typeof link; // an optional key less
      });
    case 'set-active-port':
      return state;
    case 'add-address':
      return withAddress(state, operation.ifName, operation.address);
    case 'delete-address': {
      const ifIndex = indexOf(state.pod.links, operation.ifName);
      return inPod(state, ({ addresses }) => ({
        addresses: addresses.filter((one) => one.ifIndex !== ifIndex || one.address !== operation.address),
      }));
    }
    case 'add-route': {
      if (!('route' in operation)) {
        const { ifName, dst, gateway, protocol } = operation;
        const route = { ifName, dst, gateway, protocol, table: mainTable, metric: plainMetric(dst) };
        return withRoutes(state, at, (routes) => [...routes, route]);
      }
      const { route, rank } = operation;
      return withRoutes(state, at, (routes) => (rank === 'first' ? [route, ...routes] : [...routes, route]));
    }
    case 'delete-route': {
      const gone = 'route' in operation ? operation.route : { ...operation, table: mainTable };
      const isGone = (one: PolicyTableRoute): boolean =>
        one.dst === gone.dst &&
        one.ifName === gone.ifName &&
        one.gateway === gone.gateway &&
        one.table === gone.table &&
        one.protocol === gone.protocol;
      return withRoutes(state, at, (routes) => routes.filter((one) => !isGone(one)));
    }
    case 'add-rule':
      return inPod(state, ({ rules }) => ({ rules: [...rules, operation.rule] }));
    case 'delete-rule':
      return inPod(state, ({ rules }) => ({ rules: rules.filter((one) => !isSame(one, operation.rule)) }));
    case 'ensure-rule':
      return { ...state, node: { ...state.node, rules: [...state.node.rules, operation.rule] } };
    case 'add-neighbour': {
      const { op: _, at: __, ...entry } = operation;
      return withNeighbours(state, at, (neighbours) => [...neighbours, entry]);
    }
    case 'delete-neighbour':
      return withNeighbours(state, at, (neighbours) =>
        neighbours.filter(({ ifName, address }) => ifName !== operation.ifName || address !== operation.address),
      );
    case 'set-sysctl':
      return inPod(state, ({ sysctls }) => ({ sysctls: { ...sysctls, [operation.key]: operation.value } }));
    case 'add-reply-marks':
    case 'delete-reply-marks':
      return inPod(state, () => ({ hasReplyMarks: operation.op === 'add-reply-marks' }));
    default:
      return operation satisfies never;
  }
}

/** As the kernel gives it where nothing is said. */
const newLink = (beside: readonly ObservedLink[], ifName: string): ObservedNic => ({
  ifIndex: 1 + Math.max(1, ...beside.map(({ ifIndex }) => ifIndex)),
  ifName,
  mac: '',
  mtuBytes: 1500,
  isUp: false,
  isLoopback: false,
  isEthernet: true,
  group: 0,
  alias: '',
  txQueueLen: 1000,
});

const indexOf = (links: readonly ObservedLink[], name: string): number =>
  links.find(({ ifName }) => ifName === name)?.ifIndex ?? -1;

/** IP6_RT_PRIO_USER, include/uapi/linux/ipv6_route.h */
const plainMetric = (dst: string): number => (dst.includes(':') ? 1024 : 0);

const inPod = (
  state: ObservedCoordination,
  changes: (pod: ObservedPod) => Partial<ObservedPod>,
): ObservedCoordination => ({ ...state, pod: { ...state.pod, ...changes(state.pod) } });

/** Settings of a link begin as the namespace's default. */
const withNic = (state: ObservedCoordination, link: ObservedNic): ObservedCoordination =>
  inPod(state, ({ links, sysctls }) => ({
    links: [...links, link],
    sysctls: {
      ...sysctls,
      ...Object.fromEntries(
        Object.entries(sysctls).flatMap(([key, value]) => {
          const own = key.replace('.conf.default.', `.conf.${link.ifName}.`);
          return own === key ? [] : [[own, value]];
        }),
      ),
    },
  }));

const withNodeLink = (state: ObservedCoordination, link: ObservedLink): ObservedCoordination => ({
  ...state,
  node: { ...state.node, links: [...state.node.links, link] },
});

/** With the route to its network, which the kernel makes, but for a single IPv4 address. */
function withAddress(state: ObservedCoordination, ifName: string, address: string): ObservedCoordination {
  const { family, length } = parsePrefix(address);
  const route = { dst: networkOf(address), ifName, table: mainTable, protocol: 2, metric: family === 4 ? 0 : 256 };
  return inPod(state, ({ links, addresses, routes }) => ({
    addresses: [...addresses, { ifIndex: indexOf(links, ifName), family, address, isLinkLocal: false }],
    routes: family === 4 && length === 32 ? routes : [...routes, route],
  }));
}

function withoutLink(state: ObservedCoordination, at: Place, ifName: string): ObservedCoordination {
  const ifIndex = indexOf(state[at].links, ifName);
  const isElsewhere = (one: { readonly ifName: string }): boolean => one.ifName !== ifName;
  const side = {
    addresses: state[at].addresses.filter((one) => one.ifIndex !== ifIndex),
    neighbours: state[at].neighbours.filter(isElsewhere),
  };
  if (at === 'node') {
    const { links, podRoutes } = state.node;
    const node = { ...side, links: links.filter(isElsewhere), podRoutes: podRoutes.filter(isElsewhere) };
    return { ...state, node: { ...state.node, ...node } };
  }
  return inPod(state, ({ links, routes }) => ({
    ...side,
    links: links.filter(isElsewhere),
    routes: routes.filter(isElsewhere),
  }));
}

const withLinks = (
  { pod, node }: ObservedCoordination,
  at: Place,
  change: <Link extends ObservedLink>(link: Link) => Link,
): ObservedCoordination =>
  at === 'pod'
    ? { pod: { ...pod, links: pod.links.map(change) }, node }
    : { pod, node: { ...node, links: node.links.map(change) } };

const withRoutes = (
  { pod, node }: ObservedCoordination,
  at: Place,
  change: (routes: readonly PolicyTableRoute[]) => readonly PolicyTableRoute[],
): ObservedCoordination =>
  at === 'pod'
    ? { pod: { ...pod, routes: change(pod.routes) }, node }
    : { pod, node: { ...node, podRoutes: change(node.podRoutes) } };

const withNeighbours = (
  { pod, node }: ObservedCoordination,
  at: Place,
  change: (neighbours: ObservedPod['neighbours']) => ObservedPod['neighbours'],
): ObservedCoordination =>
  at === 'pod'
    ? { pod: { ...pod, neighbours: change(pod.neighbours) }, node }
    : { pod, node: { ...node, neighbours: change(node.neighbours) } };

const isSame = (one: object, other: object): boolean => textOf(one) === textOf(other);
const textOf = (one: object): string => JSON.stringify(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)));
