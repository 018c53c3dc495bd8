import type { CoordinationSettings } from '../../contracts/coordination.ts';
import type { Failure } from '../../contracts/failures.ts';
import { canonicalPrefix, formatAddress, parseAddress, parsePrefix, prefixContains } from '../ip-prefix.ts';
import { aliasOf, isMarked, linkGroup, maxAliasBytes, type OwnershipMark, routeProtocol } from '../ownership-mark.ts';
import type { CoordinationOperation } from './coordination-operation.ts';
import {
  addressesOf,
  type CoordinationRequest,
  type CoordinationSite,
  everywhere,
  hostPrefix,
  isIPv6,
  type NodePath,
  routeThroughNode,
  sameFamily,
  sourceFor,
  withoutLength,
} from './coordination-site.ts';
import { hostAddresses } from './host-addresses.ts';
import type { ObservedCoordination, ObservedNic } from './observed-coordination.ts';
import { PlanDraft } from './plan-draft.ts';
import {
  mainTable,
  nodeRulePriority,
  policyTable,
  prefixedMac,
  replyRulePriority,
  returnTable,
  vethInPod,
  vethMacs,
  vethOnNode,
} from './pod-layout.ts';
import { replyMark } from './reply-marks.ts';
import { resolveMode } from './resolve-mode.ts';
import { tuneRoutes } from './tune-routes.ts';

export type CoordinationPlan =
  | {
      readonly outcome: 'plan';
      readonly mode: 'underlay' | 'overlay';
      /** Of the interface's own routes. */
      readonly table: number;
      /** The interface's own, with prefix length. */
      readonly addresses: readonly string[];
      readonly operations: readonly CoordinationOperation[];
      /** What was asked and is left out, a sentence each. */
      readonly notes: readonly string[];
    }
  | { readonly outcome: 'disabled' }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/**
 * Plans what is missing between what was found and an interface that is tied to its node: everything for a new one, the rest
 * for one that an earlier attempt left half tied, nothing for a whole one.
 *
 * Order: the interface up, the veth pair, MAC and queue, sysctls, neighbours, the node's addresses, the node's way to the
 * pod, what the pod hands to its node, replies, the pod's routes among its interfaces, the user's routes.
 */
export function planCoordination(observed: ObservedCoordination, request: CoordinationRequest): CoordinationPlan {
  const { settings, ifName } = request;
  const { firstNic } = settings;
  const veth = observed.pod.links.find((link) => link.ifName === vethInPod);
  const resolution = resolveMode({ ...settings, ifName, hasVeth: veth !== undefined && ifName !== firstNic });
  if (resolution.outcome !== 'mode') return resolution;
  const nic = observed.pod.links.find((link) => link.ifName === ifName);
  const failure = nic === undefined ? noSuchNic(ifName) : unfit(observed, request, nic, resolution.mode);
  if (failure !== undefined || nic === undefined) return { outcome: 'refused', failure: failure ?? noSuchNic(ifName) };

  const { mode } = resolution;
  const path = mode === 'underlay' ? vethPath(request.containerID, veth) : overlayPath(observed, firstNic);
  if (path === undefined) return { outcome: 'refused', failure: noOverlayPath(firstNic) };
  const own = new Set(observed.pod.addresses.map(({ address }) => withoutLength(address)));
  const addresses = addressesOf(observed, nic);
  const site: CoordinationSite = {
    request,
    observed,
    draft: new PlanDraft(observed),
    mode,
    nic,
    table: policyTable(mode, nic, firstNic),
    addresses,
    path,
    hosts: hostAddresses(observed.node, path.nodeIfName, addresses).filter((host) => !own.has(host)),
    source: firstIPv4(observed, firstNic),
  };
  if (!nic.isUp) site.draft.change({ op: 'set-up', at: 'pod', ifName });
  if (site.addresses.some(isIPv6)) site.draft.sysctl('net.ipv6.conf.all.disable_ipv6', '0');
  if (mode === 'underlay') tieByVeth(site);
  shapeNic(site);
  filterSources(site);
  introduceNeighbours(site);
  routeToNode(site);
  routeFromNode(site);
  handToNode(site);
  if (mode === 'underlay') replyThroughNode(site);
  haveDefaultRoutes(site);
  const refusal = settings.tunePodRoutes ? tuneRoutes(site) : undefined;
  if (refusal !== undefined) return { outcome: 'refused', failure: refusal };
  routeAsAsked(site);
  const { table, draft } = site;
  return { outcome: 'plan', mode, table, addresses, operations: draft.operations, notes: draft.notes };
}

function firstIPv4(observed: ObservedCoordination, firstNic: string): string | undefined {
  const link = observed.pod.links.find(({ ifName }) => ifName === firstNic);
  const address = link && addressesOf(observed, link).find((text) => !isIPv6(text));
  return address === undefined ? undefined : withoutLength(address);
}

const vethMark = (containerID: string): OwnershipMark => ({ containerID, ifName: vethInPod });

function vethPath(containerID: string, veth: ObservedNic | undefined): NodePath {
  const macs = vethMacs(containerID);
  return {
    podIfName: vethInPod,
    podMac: veth?.mac ?? macs.pod,
    nodeIfName: vethOnNode(containerID),
    nodeMac: macs.node,
  };
}

/** The overlay's own pair: the first interface, and its peer on the node, whatever that is called there. */
function overlayPath({ pod, node }: ObservedCoordination, firstNic: string): NodePath | undefined {
  const first = pod.links.find(({ ifName }) => ifName === firstNic);
  // The other end may be in a third namespace, where its index says nothing here: so it must name this one as its own other end.
  const peer = node.links.find(({ ifIndex, kind }) => kind === 'veth' && ifIndex === first?.parentIndex);
  if (first?.kind !== 'veth' || peer?.parentIndex !== first.ifIndex) return undefined;
  return { podIfName: firstNic, podMac: first.mac, nodeIfName: peer.ifName, nodeMac: peer.mac };
}

function tieByVeth({ draft, observed, request, path, addresses }: CoordinationSite): void {
  const { containerID, settings } = request;
  const ends = [
    { at: 'pod', ifName: vethInPod, found: observed.pod.links.find(({ ifName }) => ifName === vethInPod) },
    {
      at: 'node',
      ifName: path.nodeIfName,
      found: observed.node.links.find(({ ifName }) => ifName === path.nodeIfName),
    },
  ] as const;
  if (ends[0].found === undefined) {
    const nodeEnd = { ifName: path.nodeIfName, mac: path.nodeMac };
    const mtuBytes = settings.vethMtuBytes;
    draft.change({ op: 'create-veth', ifName: vethInPod, mac: path.podMac, nodeEnd, mtuBytes, group: linkGroup });
  }
  const alias = aliasOf(vethMark(containerID));
  for (const { at, ifName, found = { alias: '', isUp: false } } of ends) {
    if (found.alias !== alias) draft.change({ op: 'set-alias', at, ifName, alias, was: found.alias });
    if (!found.isUp) draft.change({ op: 'set-up', at, ifName });
  }
  const linkAddress = settings.vethLinkAddress;
  if (linkAddress === undefined || addresses.every(isIPv6)) return;
  draft.address(vethInPod, hostPrefix(linkAddress));
}

function shapeNic({ draft, request, nic, addresses }: CoordinationSite): void {
  const { podMACPrefix, txQueueLen } = request.settings;
  const { ifName } = nic;
  const [first] = addresses;
  if (podMACPrefix !== undefined && first !== undefined) {
    const mac = prefixedMac(podMACPrefix, parsePrefix(first).bytes);
    if (!nic.isEthernet) draft.note(`podMACPrefix: ${ifName} has no MAC, it is no Ethernet`);
    else if (nic.mac !== mac) draft.change({ op: 'set-mac', ifName, mac, was: nic.mac });
  }
  if (txQueueLen > 0 && nic.txQueueLen !== txQueueLen) {
    draft.change({ op: 'set-tx-queue', ifName, packets: txQueueLen, was: nic.txQueueLen });
  }
}

/** The stricter of `all` and the interface's own counts (ip-sysctl.rst), so both are set. */
function filterSources({ draft, request, nic, mode }: CoordinationSite): void {
  const { podRPFilter } = request.settings;
  if (podRPFilter === undefined) return;
  const value = `${podRPFilter}`;
  const links = [nic.ifName, ...(mode === 'underlay' ? [vethInPod] : [])];
  for (const name of ['all', ...links]) draft.sysctl(`net.ipv4.conf.${name}.rp_filter`, value);
  // A marked packet's way back is the one that its mark gives it, not the default route.
  if (podRPFilter === 1 && mode === 'underlay') draft.sysctl(`net.ipv4.conf.${vethInPod}.src_valid_mark`, '1');
}

/** Neither side asks who has the other's address: the pod's interface would not hear it, and a stale answer would mislead. */
function introduceNeighbours({ draft, path, addresses, hosts }: CoordinationSite): void {
  for (const address of addresses.map(withoutLength)) {
    draft.neighbour('node', { ifName: path.nodeIfName, address, mac: path.podMac });
  }
  for (const host of hosts.filter((one) => addresses.some((address) => sameFamily(address, one)))) {
    draft.neighbour('pod', { ifName: path.podIfName, address: host, mac: path.nodeMac });
  }
}

function routeToNode({ draft, path, table, hosts, addresses, source, nic, request, mode }: CoordinationSite): void {
  const isFirst = nic.ifName === request.settings.firstNic;
  for (const host of hosts.filter((one) => addresses.some((address) => sameFamily(address, one)))) {
    const route = { dst: hostPrefix(host), ifName: path.podIfName, ...sourceFor(host, source) };
    if (isFirst || mode === 'overlay') draft.route({ ...route, table: mainTable });
    draft.route({ ...route, table });
  }
}

function routeFromNode({ draft, path, addresses, request }: CoordinationSite): void {
  const table = request.settings.hostRuleTable;
  for (const address of addresses.map(withoutLength)) {
    draft.ensureNodeRule({
      family: isIPv6(address) ? 6 : 4,
      priority: nodeRulePriority,
      table,
      protocol: routeProtocol,
    });
    draft.podRoute({ dst: hostPrefix(address), ifName: path.nodeIfName, table });
  }
}

/** Pod CIDRs, service CIDRs and the rest go through the node: into the main table once, and into every underlay interface's own. */
function handToNode(site: CoordinationSite): void {
  const { draft, request, mode, nic, table, addresses } = site;
  const isFirst = nic.ifName === request.settings.firstNic;
  for (const dst of request.settings.hijackCIDRs.filter((one) =>
    addresses.some((address) => sameFamily(address, one)),
  )) {
    const route = routeThroughNode(site, dst);
    if (route === undefined) {
      draft.note(
        `${dst} is not handed to the node: the node has no IPv${isIPv6(dst) ? 6 : 4} address that the pod could send it to`,
      );
      continue;
    }
    if (isFirst || mode === 'overlay') draft.route({ ...route, table: mainTable });
    if (!isFirst && mode === 'underlay') draft.route({ ...route, table });
  }
}

function replyThroughNode(site: CoordinationSite): void {
  const { draft, addresses } = site;
  draft.replyMarks();
  for (const dst of new Set(addresses.map(everywhere))) {
    const route = routeThroughNode(site, dst);
    if (route === undefined) continue;
    const family = isIPv6(dst) ? 6 : 4;
    draft.rule({ family, priority: replyRulePriority, table: returnTable, protocol: routeProtocol, mark: replyMark });
    draft.route({ ...route, table: returnTable });
  }
}

/** The default route of an interface that came while another one had the main table's stands in its own from the beginning. */
function haveDefaultRoutes({ draft, request, nic, table }: CoordinationSite): void {
  for (const { dst, gateway } of request.defaultRoutes) {
    const route = {
      dst: canonicalPrefix(dst),
      gateway: formatAddress(parseAddress(gateway)),
      ifName: nic.ifName,
      table,
    };
    const isThere = draft.routes.some(
      (one) =>
        one.dst === route.dst &&
        one.gateway === route.gateway &&
        one.ifName === nic.ifName &&
        (one.table === mainTable || one.table === table),
    );
    if (!isThere) draft.route(route);
  }
}

/** The user's routes stand where the interface's own traffic is looked up: beside its default route, or in its table. */
function routeAsAsked({ draft, request, nic, table, mode }: CoordinationSite): void {
  const { policyRoutes, firstNic } = request.settings;
  const isInMain = (dst: string): boolean =>
    (mode === 'underlay' && nic.ifName === firstNic) || !draft.isLookedUp(isIPv6(dst) ? 6 : 4, table);
  for (const { dst, gw } of policyRoutes) {
    draft.route({ dst, gateway: gw, ifName: nic.ifName, table: isInMain(dst) ? mainTable : table });
  }
}

const noSuchNic = (ifName: string): Failure => ({
  type: 'InvalidConfig',
  message: `Cannot tie "${ifName}" to the node: the pod has no such interface`,
  remedy: 'Put the coordinator after the plugin that makes the interface',
});

const noOverlayPath = (firstNic: string): Failure => ({
  type: 'InvalidConfig',
  message: `Cannot reach the node in overlay mode: the pod's first interface "${firstNic}" is no veth whose other end is on this node`,
  remedy: 'Name the pod’s first interface in podDefaultCniNic, or set mode to underlay for the network that makes it',
});

function unfit(
  { pod, node }: ObservedCoordination,
  { settings, containerID }: CoordinationRequest,
  nic: ObservedNic,
  mode: 'underlay' | 'overlay',
): Failure | undefined {
  const addresses = addressesOf({ pod, node }, nic);
  if (addresses.length === 0) {
    return invalid(
      `Cannot tie "${nic.ifName}" to the node: it has no address`,
      'Put the coordinator after the plugin that gives it one',
    );
  }
  // All interfaces on one ipvlan parent share its MAC: ipvlan_link_new(), drivers/net/ipvlan/ipvlan_main.c
  if (settings.podMACPrefix !== undefined && (nic.kind === 'ipvlan' || nic.kind === 'ipvtap')) {
    return invalid(
      `Cannot give "${nic.ifName}" a MAC of its own: an ${nic.kind} has that of its parent`,
      'Remove podMACPrefix from this network',
    );
  }
  if (mode === 'underlay') {
    const nodeEnd = vethOnNode(containerID);
    const stranger = [
      { place: 'pod', link: pod.links.find(({ ifName }) => ifName === vethInPod), name: vethInPod },
      { place: 'node', link: node.links.find(({ ifName }) => ifName === nodeEnd), name: nodeEnd },
    ].find(({ link, name }) => link !== undefined && !isOurs(link, containerID, name));
    if (stranger !== undefined) {
      return {
        type: 'InterfaceExists',
        message: `Cannot tie the pod to its node by "${vethInPod}": the ${stranger.place} already has a link "${stranger.name}" that is not ours. Nothing was changed`,
        remedy: `Remove it or give it another name: ip link show dev ${stranger.name}`,
      };
    }
    if (new TextEncoder().encode(aliasOf(vethMark(containerID))).length > maxAliasBytes) {
      return {
        type: 'InvalidEnvironment',
        message: `Cannot mark "${vethInPod}" as ours: the container ID is too long for the kernel's ${maxAliasBytes} bytes`,
        remedy: 'Use a container runtime with shorter container IDs',
      };
    }
  }
  return unreachableGateway(settings, nic.ifName, addresses);
}

const isOurs = (link: { alias: string; group: number; ifName: string }, containerID: string, name: string): boolean =>
  isMarked({ ...link, ifName: link.ifName === name ? vethInPod : link.ifName }, vethMark(containerID));

function unreachableGateway(
  { policyRoutes }: CoordinationSettings,
  ifName: string,
  addresses: readonly string[],
): Failure | undefined {
  const prefixes = addresses.map(parsePrefix);
  for (const { dst, gw } of policyRoutes) {
    const gateway = parseAddress(gw);
    if (prefixes.some(({ bytes }) => formatAddress(bytes) === gw)) {
      return invalid(
        `Cannot route ${dst} through gateway ${gw} on "${ifName}": that is the interface’s own address`,
        'Correct policyRoutes',
      );
    }
    if (!prefixes.some((prefix) => prefixContains(prefix, gateway))) {
      return invalid(
        `Cannot route ${dst} through gateway ${gw} on "${ifName}": no address of the interface is in its subnet (${addresses.join(', ')})`,
        'Correct policyRoutes',
      );
    }
  }
  return undefined;
}

const invalid = (message: string, remedy: string): Failure => ({ type: 'InvalidConfig', message, remedy });
