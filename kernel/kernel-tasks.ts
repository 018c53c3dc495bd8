import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimedAddress, LinkConf } from '../contracts/pod-network.ts';
import { attachmentDifferences } from '../network/attachment-differences.ts';
import { canonicalPrefix, parsePrefix } from '../network/ip-prefix.ts';
import { asIpCommands, type LinkOperation } from '../network/link-operation.ts';
import type { ObservedNamespace } from '../network/observed-namespace.ts';
import { markOf, type OwnershipMark } from '../network/ownership-mark.ts';
import { type DesiredAttachment, type ObservedSurroundings, planAttachment } from '../network/plan-attachment.ts';
import { planRemoval } from '../network/plan-removal.ts';
import { deleteAddress } from './address-message.ts';
import { announceAddresses } from './announce.ts';
import { applyPlan, type PlanSite } from './apply-plan.ts';
import { kernelRefused } from './kernel-refused.ts';
import { deleteLink } from './link-message.ts';
import { namespaceMountsInSight } from './namespace-mounts.ts';
import { oneProcessOfEach, searchNamespace } from './namespace-search.ts';
import { NetlinkError } from './netlink-error.ts';
import {
  invalidNamespace,
  type NetworkNamespace,
  openNamespace,
  openNodeNamespace,
  openPodNamespace,
} from './network-namespace.ts';
import { observeLink, observeLinks, observeNamespace, observeParent } from './observe.ts';
import { systemCalls } from './system-calls.ts';

/** Which interface of which sandbox, and how it is to be. */
export interface PlumbSpec extends OwnershipMark {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly link: LinkConf;
  readonly addresses: readonly ClaimedAddress[];
}

export interface PlumbedLink {
  readonly mac: string;
  readonly mtuBytes: number;
  readonly ifIndex: number;
  /** What was done, as ip(8) commands; empty when nothing was missing. */
  readonly commands: readonly string[];
}

export interface UnplumbSpec extends OwnershipMark {
  readonly netns: string;
  /** Absent when no record and no claim names it: then the path alone decides. */
  readonly netnsCookie?: string;
}

export interface UnplumbedLink {
  /** False when there was nothing of ours. */
  readonly removed: boolean;
  readonly commands: readonly string[];
}

export interface RemoveAddressesSpec {
  readonly netns: string;
  readonly netnsCookie?: string;
  readonly ifName: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
}

export interface AnnounceSpec {
  readonly netns: string;
  readonly ifName: string;
  readonly mac: string;
  /** With or without prefix length. */
  readonly addresses: readonly string[];
}

/** A link that carries our mark. */
export interface MarkedLink extends OwnershipMark {
  /** Its name now. */
  readonly linkName: string;
  readonly mac: string;
}

/**
 * `alive`: the recorded namespace is there, at its path or wherever a process shows it. `gone`: the path opens no namespace.
 * `other`: the path opens a newer one. The last two are proof that the sandbox is gone, if `canSeeNamespaceMounts`.
 */
export type NamespaceState = 'alive' | 'gone' | 'other';

/** Work that threads do, one at a time each: synchronous from the first system call to the last. */
export const createKernelTasks = (hostNetns: string | undefined) => ({
  identifyNamespace(path: string): { cookie: string; inode: string } {
    using namespace = openPodNamespace(systemCalls, path);
    using node = openNodeNamespace(systemCalls, hostNetns);
    if (namespace.cookie === node.cookie) throw invalidNamespace(path, "it is the node's own");
    return { cookie: namespace.cookie, inode: namespace.inode };
  },

  plumb(spec: PlumbSpec): PlumbedLink {
    return withSite(hostNetns, spec, (site) => {
      const plan = planAttachment(surroundings(site, spec.link.master), desired(spec));
      if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
      applyPlan(site, plan.operations);
      const link = observeLink(site.pod, spec.ifName);
      if (link === undefined) throw new NetlinkError(`RTM_GETLINK ${spec.ifName} just made`, ENODEV);
      const { mac, mtuBytes, ifIndex } = link;
      return { mac, mtuBytes, ifIndex, commands: asIpCommands(plan.operations, spec.netns) };
    });
  },

  unplumb(spec: UnplumbSpec): UnplumbedLink {
    using namespace = findNamespace(spec.netns, spec.netnsCookie);
    if (namespace === undefined) return { removed: false, commands: [] };
    using pod = namespace.netlink();
    const links = observeLinks(pod);
    const removed = planRemoval(links, spec).filter((operation) => {
      const ifIndex = links.find(({ ifName }) => ifName === operation.ifName)?.ifIndex ?? 0;
      return removeUnlessGone(operation, spec.netns, () => pod.change('RTM_DELLINK', deleteLink(ifIndex)));
    });
    return { removed: removed.length > 0, commands: asIpCommands(removed, spec.netns) };
  },

  removeAddresses({ netns, netnsCookie, ifName, addresses }: RemoveAddressesSpec): void {
    using namespace = findNamespace(netns, netnsCookie);
    if (namespace === undefined) return;
    using pod = namespace.netlink();
    const link = observeLink(pod, ifName);
    if (link === undefined) return;
    for (const address of addresses.map(canonicalPrefix)) {
      removeUnlessGone({ op: 'delete-address', ifName, address }, netns, () =>
        pod.change('RTM_DELADDR', deleteAddress(link.ifIndex, parsePrefix(address))),
      );
    }
  },

  check: (spec: PlumbSpec): string[] =>
    withSite(hostNetns, spec, (site) =>
      attachmentDifferences(surroundings(site, spec.link.master), desired(spec)),
    ),

  inspect(netns: string | undefined): ObservedNamespace {
    using namespace = openEither(hostNetns, netns);
    using socket = namespace.netlink();
    return observeNamespace(socket);
  },

  findMarked(netns: string | undefined): MarkedLink[] {
    using namespace = openEither(hostNetns, netns);
    using socket = namespace.netlink();
    return observeLinks(socket).flatMap(({ alias, ifName, mac }) => {
      const mark = markOf(alias);
      return mark === undefined ? [] : [{ ...mark, linkName: ifName, mac }];
    });
  },

  namespaceState({ netns, netnsCookie }: { netns: string; netnsCookie: string }): NamespaceState {
    const opening = openNamespace(systemCalls, netns);
    const cookie = opening.outcome === 'opened' ? cookieAndClose(opening.namespace) : undefined;
    if (cookie === netnsCookie) return 'alive';
    using elsewhere = searchNamespace(systemCalls, netns, netnsCookie);
    if (elsewhere !== undefined) return 'alive';
    return cookie === undefined ? 'gone' : 'other';
  },

  hasProcesses(netns: string): boolean {
    using namespace = openPodNamespace(systemCalls, netns);
    return oneProcessOfEach('net').has(`net:[${namespace.inode}]`);
  },

  canSeeNamespaceMounts: namespaceMountsInSight,

  announce({ netns, ifName, mac, addresses }: AnnounceSpec): void {
    using namespace = openPodNamespace(systemCalls, netns);
    using pod = namespace.netlink();
    const link = observeLink(pod, ifName);
    if (link === undefined) throw new NetlinkError(`RTM_GETLINK ${ifName} in ${netns}`, ENODEV);
    announceAddresses(systemCalls, namespace, { ifIndex: link.ifIndex, mac, addresses });
  },
});

export type KernelTasks = ReturnType<typeof createKernelTasks>;

const ENODEV = 19;

function withSite<Result>(hostNetns: string | undefined, spec: PlumbSpec, work: (site: PlanSite) => Result): Result {
  using namespace = openPodNamespace(systemCalls, spec.netns, spec.netnsCookie);
  using nodeNamespace = openNodeNamespace(systemCalls, hostNetns);
  using node = nodeNamespace.netlink();
  using pod = namespace.netlink();
  return work({ node, pod, podFd: namespace.fd, netns: spec.netns, indexes: new Map() });
}

function surroundings({ node, pod }: PlanSite, master: string): ObservedSurroundings {
  const parent = observeParent(node, master);
  return { pod: observeNamespace(pod), ...(parent === undefined ? {} : { parent }) };
}

const desired = ({ containerID, ifName, link, addresses }: PlumbSpec): DesiredAttachment => ({
  ...link,
  containerID,
  ifName,
  addresses,
});

const openEither = (hostNetns: string | undefined, netns: string | undefined): NetworkNamespace =>
  netns === undefined ? openNodeNamespace(systemCalls, hostNetns) : openPodNamespace(systemCalls, netns);

/** The sandbox's namespace wherever it still is; undefined when it is gone, and its links with it. */
function findNamespace(netns: string, cookie: string | undefined): NetworkNamespace | undefined {
  const opening = openNamespace(systemCalls, netns);
  if (opening.outcome === 'opened') {
    if (cookie === undefined || opening.namespace.cookie === cookie) return opening.namespace;
    opening.namespace[Symbol.dispose]();
  }
  return cookie === undefined ? undefined : searchNamespace(systemCalls, netns, cookie);
}

function cookieAndClose(namespace: NetworkNamespace): string {
  using closing = namespace;
  return closing.cookie;
}

/** Removing what is gone already is success, and is not counted. */
function removeUnlessGone(operation: LinkOperation, netns: string, remove: () => void): boolean {
  try {
    remove();
    return true;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (error.code === 'ENODEV' || error.code === 'EADDRNOTAVAIL') return false;
    throw kernelRefused(operation, netns, error);
  }
}
