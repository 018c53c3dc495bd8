import { ProvisionError } from '../contracts/failures.ts';
import { parseAddress, parsePrefix } from '../network/ip-prefix.ts';
import {
  asIpCommand,
  inverseOf,
  type LinkOperation,
  type PlannedRoute,
  type ReversibleOperation,
} from '../network/link-operation.ts';
import { addAddress, deleteAddress } from './address-message.ts';
import {
  createMacvlan,
  deleteLink,
  getLink,
  readLink,
  setLinkAlias,
  setLinkMtu,
  setLinkUp,
} from './link-message.ts';
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
}

/** Carries a plan out. When the kernel refuses an operation, those done before are taken back and the refusal is thrown. */
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
export function execute({ node, pod, podFd }: Omit<PlanSite, 'netns'>, operation: LinkOperation): void {
  const ifIndex = (): number => readLink(pod.get('RTM_GETLINK', getLink({ ifName: operation.ifName }))).ifIndex;
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

const gatewayRoute = (ifIndex: number, { dst, gateway, protocol }: PlannedRoute): GatewayRoute => ({
  ifIndex,
  dst: parsePrefix(dst),
  gateway: parseAddress(gateway),
  protocol,
});

/** A refusal in the operator's words: the command, the errno, the kernel's sentence. */
export const kernelRefused = (operation: LinkOperation, netns: string, error: NetlinkError): ProvisionError =>
  new ProvisionError(
    {
      type: 'KernelRefused',
      message: `The kernel refused "${asIpCommand(operation, netns)}": ${error.code}${error.extack === undefined ? '' : `, ${error.extack}`}`,
      remedy: remedies[error.code] ?? 'Run that command on the node to see it refused again; dmesg may say more',
    },
    { cause: error },
  );

const remedies: Readonly<Record<string, string>> = {
  EPERM: 'The node worker needs CAP_NET_ADMIN and CAP_SYS_ADMIN: look at its securityContext',
  EBUSY: 'Another driver receives the parent’s frames (ipvlan, bridge, bond, Open vSwitch): see ip -d link show on the node',
  EOPNOTSUPP: 'The node’s kernel lacks this: modprobe macvlan',
  EINVAL: 'In mode passthru a parent carries one interface only; else see ip -d link show on the node and dmesg',
  ENOTSUP: 'The node’s kernel lacks this: modprobe macvlan',
};
