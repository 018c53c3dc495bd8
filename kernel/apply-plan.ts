import { parseAddress, parsePrefix } from '../network/ip-prefix.ts';
import {
  type CreateBond,
  type CreatePair,
  inversesOf,
  type LinkOperation,
  type PlannedRoute,
  type ReversibleOperation,
} from '../network/link-operation.ts';
import { addAddress, deleteAddress } from './address-message.ts';
import { kernelRefused } from './kernel-refused.ts';
import {
  createBond,
  createLink,
  createVeth,
  deleteLink,
  getLink,
  parseMac,
  readLink,
  setActivePort,
  setLinkAlias,
  setLinkController,
  setLinkMtu,
  setLinkUp,
} from './link-message.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { addRoute, deleteRoute, type GatewayRoute } from './route-message.ts';

/** Where a plan is carried out: a socket where the parents are, and one where the plan's links are. */
export interface PlanSite {
  readonly node: NetlinkSocket;
  /** In the pod's namespace; the same as `node` for links of the node. */
  readonly links: NetlinkSocket;
  /** The pod's namespace to hand over, and its path for messages; absent for links of the node. */
  readonly pod?: { readonly fd: number; readonly netns: string };
  /** Indexes of the links where the plan's links are, each asked for once. */
  readonly indexes: Map<string, number>;
}

/**
 * Carries out a plan. When the kernel refuses an operation, those done before are taken back and the
 * refusal is thrown.
 */
export function applyPlan(site: PlanSite, operations: readonly ReversibleOperation[]): void {
  const done: ReversibleOperation[] = [];
  for (const operation of operations) {
    try {
      execute(site, operation);
      done.push(operation);
    } catch (error) {
      takeBack(site, done);
      throw error instanceof NetlinkError ? kernelRefused(operation, site.pod?.netns, error) : error;
    }
  }
}

/** Carries out what cannot be taken back; throws the kernel's refusal, and the rest waits for the next attempt. */
export function applyRemoval(site: PlanSite, operations: readonly LinkOperation[]): void {
  for (const operation of operations) {
    try {
      execute(site, operation);
    } catch (error) {
      throw error instanceof NetlinkError ? kernelRefused(operation, site.pod?.netns, error) : error;
    }
  }
}

function takeBack(site: PlanSite, done: readonly ReversibleOperation[]): void {
  for (const operation of inversesOf(done)) {
    try {
      execute(site, operation);
    } catch (error) {
      // What could not be taken back carries our mark: the undo of this attachment finds it.
      if (!(error instanceof NetlinkError)) throw error;
    }
  }
}

/** One operation, one request. */
function execute(site: PlanSite, operation: LinkOperation): void {
  const { node, pod } = site;
  const isAtNode = 'at' in operation;
  const links = isAtNode ? node : site.links;
  const ifIndex = (): number => (isAtNode ? nodeIndex(site, operation.ifName) : linkIndex(site, operation.ifName));
  switch (operation.op) {
    case 'create-link': {
      const { ifName, master, link, group } = operation;
      const spec = { ifName, parentIndex: nodeIndex(site, master), shape: link, group, netnsFd: pod?.fd };
      return node.change('RTM_NEWLINK', createLink(spec));
    }
    case 'create-pair':
      return node.change('RTM_NEWLINK', createVeth(pairSpec(site, operation)));
    case 'create-bond':
      return node.change('RTM_NEWLINK', createBond({ ...operation, portIndexes: namedPorts(site, operation) }));
    case 'set-alias':
      return links.change('RTM_NEWLINK', setLinkAlias(ifIndex(), operation.alias));
    case 'set-mtu':
      return links.change('RTM_NEWLINK', setLinkMtu(ifIndex(), operation.mtuBytes));
    case 'set-up':
    case 'set-down':
      return links.change('RTM_NEWLINK', setLinkUp(ifIndex(), operation.op === 'set-up'));
    case 'add-port':
      return links.change('RTM_NEWLINK', setLinkController(ifIndex(), nodeIndex(site, operation.controller)));
    case 'remove-port':
      return links.change('RTM_NEWLINK', setLinkController(ifIndex(), 0));
    case 'set-active-port':
      return links.change('RTM_NEWLINK', setActivePort(ifIndex(), linkIndex(site, operation.port)));
    case 'add-address':
      return links.change('RTM_NEWADDR', addAddress(ifIndex(), parsePrefix(operation.address)));
    case 'delete-address':
      return links.change('RTM_DELADDR', deleteAddress(ifIndex(), parsePrefix(operation.address)));
    case 'add-route':
      return links.change('RTM_NEWROUTE', addRoute(gatewayRoute(ifIndex(), operation)));
    case 'delete-route':
      return links.change('RTM_DELROUTE', deleteRoute(gatewayRoute(ifIndex(), operation)));
    case 'delete-link':
      links.change('RTM_DELLINK', deleteLink(ifIndex()));
      site.indexes.delete(operation.ifName);
      return;
  }
}

function linkIndex({ links, indexes }: PlanSite, ifName: string): number {
  const ifIndex = indexes.get(ifName) ?? readLink(links.get('RTM_GETLINK', getLink({ ifName }))).ifIndex;
  indexes.set(ifName, ifIndex);
  return ifIndex;
}

/** Of bonds, bridges and parents, and of ends on the node: all where the parents are. */
const nodeIndex = ({ node }: PlanSite, ifName: string): number =>
  readLink(node.get('RTM_GETLINK', getLink({ ifName }))).ifIndex;

function pairSpec(site: PlanSite, { ifName, mtuBytes, nodeEnd, master, group }: CreatePair) {
  if (site.pod === undefined) throw new Error(`A pair for "${ifName}" without a pod`);
  const peer = { ifName, group, mtuBytes, netnsFd: site.pod.fd };
  return { ...nodeEnd, mac: parseMac(nodeEnd.mac), group, controllerIndex: nodeIndex(site, master), peer };
}

const namedPorts = (site: PlanSite, { options }: CreateBond): ReadonlyMap<string, number> =>
  new Map(options.primary === undefined ? [] : [[options.primary, linkIndex(site, options.primary)]]);

const gatewayRoute = (ifIndex: number, { dst, gateway, protocol }: PlannedRoute): GatewayRoute => ({
  ifIndex,
  dst: parsePrefix(dst),
  gateway: parseAddress(gateway),
  protocol,
});
