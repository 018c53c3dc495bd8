import { ProvisionError } from '../contracts/failures.ts';
import { asCommand } from '../network/coordination/coordination-commands.ts';
import {
  type CoordinationOperation,
  inverseOf,
  type NeighbourEntry,
  type Place,
  type PolicyTableRoute,
} from '../network/coordination/coordination-operation.ts';
import { vethInPod } from '../network/coordination/pod-layout.ts';
import { parseAddress, parsePrefix } from '../network/ip-prefix.ts';
import { addAddress, deleteAddress } from './address-message.ts';
import type { CoordinationNamespaces } from './coordination-observe.ts';
import {
  createVeth,
  deleteLink,
  getLink,
  parseMac,
  readLink,
  setLinkAlias,
  setLinkMac,
  setLinkUp,
  setTxQueueLen,
} from './link-message.ts';
import { deleteNeighbour, type Neighbour, replaceNeighbour } from './neighbour-message.ts';
import { NETLINK_NETFILTER } from './netlink-constants.ts';
import { NetlinkError } from './netlink-error.ts';
import { closing } from './network-namespace.ts';
import { addReplyMarks, deleteReplyMarks } from './nftables-message.ts';
import { addRoute, deleteRoute, type LinkRoute } from './route-message.ts';
import { addRule, deleteRule } from './rule-message.ts';
import { writeSysctl } from './sysctl.ts';
import { SystemCallError } from './system-calls.ts';

/** Where a plan is carried out. */
export interface CoordinationWorkplace extends CoordinationNamespaces {
  /** Path of the pod's namespace, for messages. */
  readonly netns: string;
  /** Indexes of links, each asked for once. */
  readonly indexes: Map<string, number>;
}

/**
 * Carries out a plan. When the kernel refuses an operation, those done before are taken back and the refusal is thrown. What
 * somebody else did meanwhile is as good as done.
 */
export function applyCoordination(
  workplace: CoordinationWorkplace,
  operations: readonly CoordinationOperation[],
): void {
  const done: CoordinationOperation[] = [];
  for (const operation of operations) {
    try {
      execute(workplace, operation);
      done.push(operation);
    } catch (error) {
      if (isRefusal(error) && isDoneAlready(operation, error.code)) continue;
      undoCoordination(workplace, done);
      throw isRefusal(error) ? refused(operation, workplace.netns, error) : error;
    }
  }
}

/** Takes a plan back, as far as it is still there; gives what was taken back, in that order. */
export function undoCoordination(
  workplace: CoordinationWorkplace,
  operations: readonly CoordinationOperation[],
): CoordinationOperation[] {
  return removeWhatIsThere(
    workplace,
    operations.toReversed().flatMap((operation) => inverseOf(operation) ?? []),
  );
}

/** Carries out removals as far as there is something to remove; gives those. */
export function removeWhatIsThere(
  workplace: CoordinationWorkplace,
  removals: readonly CoordinationOperation[],
): CoordinationOperation[] {
  return removals.filter((operation) => {
    try {
      execute(workplace, operation);
      return true;
    } catch (error) {
      // What is gone needs no undoing; what is left carries our mark or goes with the namespace.
      if (isRefusal(error)) return false;
      throw error;
    }
  });
}

const isRefusal = (error: unknown): error is NetlinkError | SystemCallError =>
  error instanceof NetlinkError || error instanceof SystemCallError;

/** Only for what two pods share or the kernel does by itself: an object of this pod alone that exists was not planned. */
const isDoneAlready = ({ op }: CoordinationOperation, code: string): boolean =>
  (op === 'ensure-rule' && code === 'EEXIST') ||
  (op === 'delete-neighbour' && code === 'ENOENT') ||
  (op === 'delete-route' && code === 'ESRCH');

function execute(workplace: CoordinationWorkplace, operation: CoordinationOperation): void {
  const { podNamespace, pod, node } = workplace;
  const socket = (at: Place) => (at === 'pod' ? pod : node);
  const index = (at: Place, ifName: string): number => linkIndex(workplace, at, ifName);
  switch (operation.op) {
    case 'create-veth': {
      const { ifName, mac, nodeEnd, mtuBytes, group } = operation;
      const peer = { ifName, group, mac: parseMac(mac), mtuBytes, netnsFd: podNamespace.fd };
      return node.change(
        'RTM_NEWLINK',
        createVeth({ ifName: nodeEnd.ifName, group, mac: parseMac(nodeEnd.mac), mtuBytes, peer }),
      );
    }
    case 'delete-veth':
      pod.change('RTM_DELLINK', deleteLink(index('pod', operation.ifName)));
      return workplace.indexes.clear(); // a name that comes back has another index
    case 'set-alias':
      return socket(operation.at).change(
        'RTM_NEWLINK',
        setLinkAlias(index(operation.at, operation.ifName), operation.alias),
      );
    case 'set-up':
    case 'set-down':
      return socket(operation.at).change(
        'RTM_NEWLINK',
        setLinkUp(index(operation.at, operation.ifName), operation.op === 'set-up'),
      );
    case 'set-mac':
      return pod.change('RTM_NEWLINK', setLinkMac(index('pod', operation.ifName), parseMac(operation.mac)));
    case 'set-tx-queue':
      return pod.change('RTM_NEWLINK', setTxQueueLen(index('pod', operation.ifName), operation.packets));
    case 'add-address':
      return pod.change('RTM_NEWADDR', addAddress(index('pod', operation.ifName), parsePrefix(operation.address)));
    case 'delete-address':
      return pod.change('RTM_DELADDR', deleteAddress(index('pod', operation.ifName), parsePrefix(operation.address)));
    case 'set-sysctl':
      return writeSysctl(podNamespace, operation.key, operation.value);
    case 'add-route':
      return socket(operation.at).change(
        'RTM_NEWROUTE',
        addRoute(asLinkRoute(operation.route, index(operation.at, operation.route.ifName)), operation.rank ?? 'only'),
      );
    case 'delete-route':
      return socket(operation.at).change(
        'RTM_DELROUTE',
        deleteRoute(asLinkRoute(operation.route, index(operation.at, operation.route.ifName))),
      );
    case 'add-rule':
      return pod.change('RTM_NEWRULE', addRule(operation.rule));
    case 'delete-rule':
      return pod.change('RTM_DELRULE', deleteRule(operation.rule));
    case 'ensure-rule':
      return node.change('RTM_NEWRULE', addRule(operation.rule));
    case 'add-neighbour':
      return socket(operation.at).change(
        'RTM_NEWNEIGH',
        replaceNeighbour(asNeighbour(operation, index(operation.at, operation.ifName))),
      );
    case 'delete-neighbour':
      return socket(operation.at).change(
        'RTM_DELNEIGH',
        deleteNeighbour(asNeighbour(operation, index(operation.at, operation.ifName))),
      );
    case 'add-reply-marks':
      return inNetfilter(workplace, (netfilter) => netfilter.transact('NFT_MSG_NEWTABLE', addReplyMarks(vethInPod)));
    case 'delete-reply-marks':
      return inNetfilter(workplace, (netfilter) => netfilter.transact('NFT_MSG_DELTABLE', deleteReplyMarks()));
    default:
      return operation satisfies never;
  }
}

function linkIndex({ pod, node, indexes }: CoordinationWorkplace, at: Place, ifName: string): number {
  const key = `${at} ${ifName}`;
  const ifIndex =
    indexes.get(key) ?? readLink((at === 'pod' ? pod : node).get('RTM_GETLINK', getLink({ ifName }))).ifIndex;
  indexes.set(key, ifIndex);
  return ifIndex;
}

const inNetfilter = (
  { podNamespace }: CoordinationWorkplace,
  work: Parameters<typeof closing<ReturnType<typeof podNamespace.netlink>, void>>[1],
): void => closing(podNamespace.netlink(NETLINK_NETFILTER), work);

/** IPv6 gives 1024 where none is named; naming it is the same. */
export const asLinkRoute = (route: PolicyTableRoute, ifIndex: number): LinkRoute => ({
  ifIndex,
  dst: parsePrefix(route.dst),
  protocol: route.protocol,
  table: route.table,
  ...(route.gateway === undefined ? {} : { gateway: parseAddress(route.gateway) }),
  ...(route.source === undefined ? {} : { source: parseAddress(route.source) }),
  ...(route.metric === 0 ? {} : { metric: route.metric }),
  ...(route.mtuBytes === undefined ? {} : { mtuBytes: route.mtuBytes }),
  ...(route.isOnlink === undefined ? {} : { isOnlink: route.isOnlink }),
});

export const asNeighbour = ({ address, mac, state, protocol }: NeighbourEntry, ifIndex: number): Neighbour => ({
  ifIndex,
  address: parseAddress(address),
  mac: parseMac(mac),
  state,
  protocol,
});

/** A refused operation in the operator's words. */
function refused(
  operation: CoordinationOperation,
  netns: string,
  error: NetlinkError | SystemCallError,
): ProvisionError {
  const said = error instanceof NetlinkError && error.extack !== undefined ? `, ${error.extack}` : '';
  const remedy =
    operation.op === 'add-reply-marks'
      ? 'The node’s kernel needs nf_tables with connection tracking: modprobe nf_tables nft_ct nf_conntrack'
      : operation.op === 'set-sysctl'
        ? 'The node worker needs a writable /proc/sys: look at its securityContext (privileged)'
        : 'ip -d link, ip rule and ip route show table all in the pod’s namespace and on the node may say more, and dmesg';
  return new ProvisionError(
    {
      type: 'KernelRefused',
      message: `The kernel refused "${asCommand(operation, netns)[0] ?? operation.op}": ${error.code}${said}`,
      remedy,
    },
    { cause: error },
  );
}
