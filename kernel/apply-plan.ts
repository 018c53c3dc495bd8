import { parseAddress, parsePrefix } from '../network/ip-prefix.ts';
import {
  inverseOf,
  type LinkOperation,
  type PlannedRoute,
  type ReversibleOperation,
} from '../network/link-operation.ts';
import { addAddress, deleteAddress } from './address-message.ts';
import { kernelRefused } from './kernel-refused.ts';
import { createMacvlan, deleteLink, getLink, readLink, setLinkAlias, setLinkMtu, setLinkUp } from './link-message.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { addRoute, deleteRoute, type GatewayRoute } from './route-message.ts';

/** Where a plan is carried out: a socket in each namespace, and the pod's namespace to hand over. */
export interface PlanSite {
  readonly node: NetlinkSocket;
  readonly pod: NetlinkSocket;
  readonly podFd: number;
  /** Path of the pod's namespace, for messages. */
  readonly netns: string;
  /** Indexes of the pod's links, each asked for once. */
  readonly indexes: Map<string, number>;
}

/**
 * Carries out a plan for one interface. When the kernel refuses an operation, those done before are taken back and the
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
      throw error instanceof NetlinkError ? kernelRefused(operation, site.netns, error) : error;
    }
  }
}

function takeBack(site: PlanSite, done: readonly ReversibleOperation[]): void {
  for (const operation of done.toReversed().map(inverseOf)) {
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
  const { node, pod, podFd } = site;
  const ifIndex = (): number => linkIndex(site, operation.ifName);
  switch (operation.op) {
    case 'create-macvlan': {
      const { ifName, master, mode, group } = operation;
      const parentIndex = readLink(node.get('RTM_GETLINK', getLink({ ifName: master }))).ifIndex;
      return node.change('RTM_NEWLINK', createMacvlan({ ifName, parentIndex, mode, group, netnsFd: podFd }));
    }
    case 'set-alias':
      return pod.change('RTM_NEWLINK', setLinkAlias(ifIndex(), operation.alias));
    case 'set-mtu':
      return pod.change('RTM_NEWLINK', setLinkMtu(ifIndex(), operation.mtuBytes));
    case 'set-up':
    case 'set-down':
      return pod.change('RTM_NEWLINK', setLinkUp(ifIndex(), operation.op === 'set-up'));
    case 'add-address':
      return pod.change('RTM_NEWADDR', addAddress(ifIndex(), parsePrefix(operation.address)));
    case 'delete-address':
      return pod.change('RTM_DELADDR', deleteAddress(ifIndex(), parsePrefix(operation.address)));
    case 'add-route':
      return pod.change('RTM_NEWROUTE', addRoute(gatewayRoute(ifIndex(), operation)));
    case 'delete-route':
      return pod.change('RTM_DELROUTE', deleteRoute(gatewayRoute(ifIndex(), operation)));
    case 'delete-link':
      return pod.change('RTM_DELLINK', deleteLink(ifIndex()));
  }
}

function linkIndex({ pod, indexes }: PlanSite, ifName: string): number {
  const ifIndex = indexes.get(ifName) ?? readLink(pod.get('RTM_GETLINK', getLink({ ifName }))).ifIndex;
  indexes.set(ifName, ifIndex);
  return ifIndex;
}

const gatewayRoute = (ifIndex: number, { dst, gateway, protocol }: PlannedRoute): GatewayRoute => ({
  ifIndex,
  dst: parsePrefix(dst),
  gateway: parseAddress(gateway),
  protocol,
});
