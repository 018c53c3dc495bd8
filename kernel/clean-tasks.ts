import { readFileSync } from 'node:fs';
import { asCleanCommand, type CleanOperation } from '../network/clean-operation.ts';
import type { FoundSandbox, MarkedPlace } from '../network/plan-clean.ts';
import { readAttributes, u32Attribute } from './attribute.ts';
import { asLinkRoute, asNeighbour } from './coordination-apply.ts';
import {
  families,
  hasReplyMarks,
  observeAddresses,
  observeNeighbours,
  observeRoutes,
  observeRules,
} from './coordination-observe.ts';
import {
  deleteLink,
  dumpLinks,
  getLink,
  readLink,
  readLinkNamespace,
  setLinkController,
  setLinkUp,
} from './link-message.ts';
import { namespaceMountPoints } from './namespace-mounts.ts';
import { findSandbox } from './namespace-search.ts';
import { deleteNeighbour } from './neighbour-message.ts';
import { NETLINK_NETFILTER, RT_TABLE_LOCAL, RTM_GETNSID } from './netlink-constants.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { closing, type NetworkNamespace, openNamespace, openNodeNamespace } from './network-namespace.ts';
import { deleteReplyMarks } from './nftables-message.ts';
import { oneProcessOfEach } from './process-namespaces.ts';
import { deleteRoute } from './route-message.ts';
import { deleteRule } from './rule-message.ts';
import { systemCalls } from './system-calls.ts';

/** A namespace by its path and cookie, as a record has it. */
export interface NamedNamespace {
  readonly netns: string;
  readonly netnsCookie: string;
}

export interface NodeSurvey {
  readonly node: MarkedPlace;
  /** Those that are written down and still there, and those that are mounted and hang on a link of this node. */
  readonly sandboxes: readonly FoundSandbox[];
}

/** What is to be taken away in one namespace; without one, on the node. */
export interface CleanWork extends Partial<NamedNamespace> {
  readonly operations: readonly CleanOperation[];
}

/** Of one operation, in their order. */
export type CleanOutcome =
  | { readonly outcome: 'removed' | 'gone'; readonly command: string }
  | { readonly outcome: 'refused'; readonly command: string; readonly why: string };

export const createCleanTasks = (hostNetns: string | undefined) => ({
  surveyNode: (recorded: readonly NamedNamespace[]): NodeSurvey =>
    closing(openNodeNamespace(systemCalls, hostNetns), (node) => {
      const inhabited = oneProcessOfEach('net');
      const sandboxes = new Map<string, FoundSandbox>();
      const visit = (netns: string, namespace: NetworkNamespace, isWritten: boolean): void => {
        const { cookie, inode } = namespace;
        if (cookie === node.cookie || sandboxes.has(cookie)) return;
        const parents = parentsIn(namespace, node);
        if (parents.length === 0 && !isWritten) return; // another node's, or nothing of ours to do with
        const isInhabited = inhabited.has(`net:[${inode}]`);
        sandboxes.set(cookie, { ...observePlace(namespace), netns, netnsCookie: cookie, isInhabited, parents });
      };
      for (const { netns, netnsCookie } of recorded) {
        const found = findSandbox(systemCalls, netns, netnsCookie);
        if (found !== undefined) closing(found, (namespace) => visit(netns, namespace, true));
      }
      for (const netns of namespaceMountPoints(readFileSync('/proc/self/mountinfo', 'utf8'))) {
        const opening = openNamespace(systemCalls, netns);
        if (opening.outcome === 'opened') closing(opening.namespace, (namespace) => visit(netns, namespace, false));
      }
      return { node: observePlace(node), sandboxes: [...sandboxes.values()] };
    }),

  /** Goes on after a refusal: the rest is worth removing all the same. */
  clean({ netns, netnsCookie, operations }: CleanWork): readonly CleanOutcome[] {
    const namespace =
      netns === undefined
        ? openNodeNamespace(systemCalls, hostNetns)
        : findSandbox(systemCalls, netns, netnsCookie ?? '');
    if (namespace === undefined) {
      return operations.map((operation) => ({ outcome: 'gone', command: asCleanCommand(operation, netns) }));
    }
    return closing(namespace, () =>
      closing(namespace.netlink(), (socket) =>
        operations.map((operation) => {
          const command = asCleanCommand(operation, netns);
          try {
            execute(namespace, socket, operation);
            return { outcome: 'removed', command };
          } catch (error) {
            if (!(error instanceof NetlinkError)) throw error;
            if (gone.includes(error.code)) return { outcome: 'gone', command };
            const why = error.extack === undefined ? error.code : `${error.code}, ${error.extack}`;
            return { outcome: 'refused', command, why };
          }
        }),
      ),
    );
  },
});

/** Links, routes, rules and tables that are not there. */
const gone = ['ENODEV', 'ESRCH', 'ENOENT', 'EADDRNOTAVAIL'];

function observePlace(namespace: NetworkNamespace): MarkedPlace {
  return closing(namespace.netlink(), (socket) => {
    const links = socket.dump('RTM_GETLINK', dumpLinks()).map(readLink);
    return {
      links,
      addresses: observeAddresses(socket),
      routes: families
        .flatMap((family) => observeRoutes(socket, family, links))
        .filter(({ table }) => table !== RT_TABLE_LOCAL),
      rules: observeRules(socket),
      neighbours: observeNeighbours(socket, links),
      hasReplyMarks: closing(namespace.netlink(NETLINK_NETFILTER), hasReplyMarks),
    };
  });
}

/** Indexes of the node's links that links of this namespace hang on, or whose other end they are. */
const parentsIn = (namespace: NetworkNamespace, node: NetworkNamespace): number[] =>
  closing(namespace.netlink(), (socket) => {
    // The list makes the kernel number the namespaces that it mentions, so it comes first.
    const links = socket.dump('RTM_GETLINK', dumpLinks());
    const id = namespaceID(socket, node);
    return links
      .filter((message) => id >= 0 && readLinkNamespace(message) === id)
      .flatMap((message) => readLink(message).parentIndex ?? []);
  });

/** How a namespace calls another one; -1 when it has no name for it. include/uapi/linux/net_namespace.h */
function namespaceID(socket: NetlinkSocket, other: NetworkNamespace): number {
  const body = Buffer.concat([Buffer.alloc(4), u32Attribute(NETNSA_FD, other.fd)]); // struct rtgenmsg, aligned
  const answer = socket.get('RTM_GETNSID', { type: RTM_GETNSID, flags: 0, body });
  return readAttributes(answer.body, 4).bytes(NETNSA_NSID)?.readInt32LE() ?? -1;
}

const NETNSA_NSID = 1;
const NETNSA_FD = 3;

function execute(namespace: NetworkNamespace, socket: NetlinkSocket, operation: CleanOperation): void {
  const index = (ifName: string): number => readLink(socket.get('RTM_GETLINK', getLink({ ifName }))).ifIndex;
  switch (operation.op) {
    case 'delete-link':
      return socket.change('RTM_DELLINK', deleteLink(index(operation.ifName)));
    case 'set-up':
      return socket.change('RTM_NEWLINK', setLinkUp(index(operation.ifName), true));
    case 'remove-port':
      return socket.change('RTM_NEWLINK', setLinkController(index(operation.ifName), 0));
    case 'delete-route': {
      const { route } = operation;
      return socket.change('RTM_DELROUTE', deleteRoute(asLinkRoute(route, index(route.ifName))));
    }
    case 'delete-rule':
      return socket.change('RTM_DELRULE', deleteRule(operation.rule));
    case 'delete-neighbour': {
      const { neighbour } = operation;
      return socket.change('RTM_DELNEIGH', deleteNeighbour(asNeighbour(neighbour, index(neighbour.ifName))));
    }
    case 'delete-reply-marks':
      return closing(namespace.netlink(NETLINK_NETFILTER), (netfilter) =>
        netfilter.transact('NFT_MSG_DELTABLE', deleteReplyMarks()),
      );
    default:
      return operation satisfies never;
  }
}
