import type { NeighbourEntry, PolicyRule } from '../network/coordination/coordination-operation.ts';
import type {
  ObservedCoordination,
  ObservedNic,
  ObservedNode,
  ObservedPod,
  ObservedTableRoute,
} from '../network/coordination/observed-coordination.ts';
import { formatAddress, parsePrefix } from '../network/ip-prefix.ts';
import type { ObservedAddress, ObservedLink } from '../network/observed-namespace.ts';
import { dumpAddresses, readAddress } from './address-message.ts';
import { dumpLinks, readLink, readTxQueueLen } from './link-message.ts';
import { dumpNeighbours, readNeighbour } from './neighbour-message.ts';
import { NETLINK_NETFILTER, RT_TABLE_LOCAL } from './netlink-constants.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { closing, type NetworkNamespace } from './network-namespace.ts';
import { getReplyMarks } from './nftables-message.ts';
import { observeLinks } from './observe.ts';
import { dumpRoutes, getRoute, readHops, readRouteSource } from './route-message.ts';
import { dumpRules, readRule } from './rule-message.ts';
import { readSysctls } from './sysctl.ts';

/** The two namespaces that coordination changes, each with a socket in it. */
export interface CoordinationNamespaces {
  readonly podNamespace: NetworkNamespace;
  readonly pod: NetlinkSocket;
  readonly node: NetlinkSocket;
}

/** Everything that a plan for this interface depends on; routes of the node of every table unless one is named. */
export function observeCoordination(
  { podNamespace, pod, node }: CoordinationNamespaces,
  { ifName, hostRuleTable }: { readonly ifName: string; readonly hostRuleTable?: number },
): ObservedCoordination {
  const observed = observePod(podNamespace, pod, ifName);
  const own = new Set(observed.links.filter((link) => link.ifName === ifName).map(({ ifIndex }) => ifIndex));
  const addresses = observed.addresses
    .filter(({ ifIndex, isLinkLocal }) => own.has(ifIndex) && !isLinkLocal)
    .map(({ address }) => parsePrefix(address).bytes);
  return { pod: observed, node: observeNode(node, addresses, hostRuleTable) };
}

function observePod(namespace: NetworkNamespace, pod: NetlinkSocket, ifName: string): ObservedPod {
  const links: ObservedNic[] = pod
    .dump('RTM_GETLINK', dumpLinks())
    .map((message) => ({ ...readLink(message), txQueueLen: readTxQueueLen(message) }));
  return {
    links,
    addresses: observeAddresses(pod),
    routes: families
      .flatMap((family) => observeRoutes(pod, family, links))
      .filter(({ table }) => table !== RT_TABLE_LOCAL),
    rules: observeRules(pod),
    neighbours: observeNeighbours(pod, links),
    sysctls: observeSysctls(namespace, [ifName, ...links.map((link) => link.ifName)]),
    hasReplyMarks: closing(namespace.netlink(NETLINK_NETFILTER), hasReplyMarks),
  };
}

/** The node, and what it has of these addresses; `table`: where its routes to pods are, or every one. */
export function observeNode(
  node: NetlinkSocket,
  podAddresses: readonly Uint8Array[],
  table: number | undefined,
): ObservedNode {
  const links = observeLinks(node);
  const own = new Set(podAddresses.map(formatAddress));
  return {
    links,
    addresses: observeAddresses(node),
    podRoutes: families.flatMap((family) => observeRoutes(node, family, links, table)),
    rules: observeRules(node),
    neighbours: observeNeighbours(node, links).filter(({ address }) => own.has(address)),
    sourcesToPod: podAddresses.flatMap((address) => sourceToward(node, address) ?? []),
  };
}

export const families = [4, 6] as const;

export const observeAddresses = (socket: NetlinkSocket): ObservedAddress[] =>
  socket.dump('RTM_GETADDR', dumpAddresses()).map(readAddress);

const nameIn = (links: readonly ObservedLink[], index: number): string | undefined =>
  links.find(({ ifIndex }) => ifIndex === index)?.ifName;

export function observeRoutes(
  socket: NetlinkSocket,
  family: 4 | 6,
  links: readonly ObservedLink[],
  table?: number,
): ObservedTableRoute[] {
  try {
    return socket
      .dump('RTM_GETROUTE', dumpRoutes(family, table))
      .flatMap(readHops)
      .filter((hop) => hop.family === family && (table === undefined || hop.table === table))
      .flatMap((hop) => {
        const { family: _, ifIndex, isHop, ...route } = hop;
        const ifName = nameIn(links, ifIndex);
        // IPv6 takes each way of a route away on its own, so there each is a route.
        return ifName === undefined ? [] : [{ ...route, ifName, ...(isHop === true && family === 4 ? { isHop } : {}) }];
      });
  } catch (error) {
    // "FIB table does not exist": a table is there from its first route on.
    if (error instanceof NetlinkError && error.code === 'ENOENT') return [];
    throw error;
  }
}

export const observeRules = (socket: NetlinkSocket): PolicyRule[] =>
  families.flatMap((family) => {
    try {
      return socket.dump('RTM_GETRULE', dumpRules(family)).flatMap((message) => readRule(message) ?? []);
    } catch (error) {
      // A kernel booted with ipv6.disable=1 has no rules of that family.
      if (error instanceof NetlinkError && (error.code === 'EAFNOSUPPORT' || error.code === 'ENOTSUP')) return [];
      throw error;
    }
  });

export const observeNeighbours = (socket: NetlinkSocket, links: readonly ObservedLink[]): NeighbourEntry[] =>
  families
    .flatMap((family) => socket.dump('RTM_GETNEIGH', dumpNeighbours(family)))
    .flatMap((message) => {
      const neighbour = readNeighbour(message);
      const ifName = neighbour === undefined ? undefined : nameIn(links, neighbour.ifIndex);
      if (neighbour === undefined || ifName === undefined) return [];
      const { ifIndex: _, ...entry } = neighbour;
      return [{ ...entry, ifName }];
    });

function observeSysctls(namespace: NetworkNamespace, links: readonly string[]): Record<string, string> {
  const keys = [
    'net.ipv6.conf.all.disable_ipv6',
    ...[...new Set(['all', 'default', ...links])].flatMap((name) =>
      ['rp_filter', 'src_valid_mark'].map((setting) => `net.ipv4.conf.${name}.${setting}`),
    ),
  ];
  return readSysctls(namespace, keys);
}

export function hasReplyMarks(netfilter: NetlinkSocket): boolean {
  try {
    netfilter.get('NFT_MSG_GETTABLE', getReplyMarks());
    return true;
  } catch (error) {
    // EINVAL, EOPNOTSUPP: the kernel has no nf_tables. To make the marks is then refused, with these words.
    if (error instanceof NetlinkError && ['ENOENT', 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP'].includes(error.code))
      return false;
    throw error;
  }
}

/** The address that the node itself would use; undefined when it has no way there. */
function sourceToward(node: NetlinkSocket, address: Uint8Array): string | undefined {
  try {
    return readRouteSource(node.get('RTM_GETROUTE', getRoute(address)));
  } catch (error) {
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}
