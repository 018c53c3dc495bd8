import { coordinationDefaults } from '../contracts/coordination.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimedAddress, LinkConf } from '../contracts/pod-network.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';
import { attachmentDifferences } from '../network/attachment-differences.ts';
import { type AttachmentFact, attachmentFacts } from '../network/attachment-facts.ts';
import type { ObservedCoordination } from '../network/coordination/observed-coordination.ts';
import { planCoordination } from '../network/coordination/plan-coordination.ts';
import { asNamespace, foresee } from '../network/foresee.ts';
import { formatAddress, parseAddress, parsePrefix } from '../network/ip-prefix.ts';
import { asIpCommands } from '../network/link-operation.ts';
import { type NodeSysctl, sysctlsToSet } from '../network/node-sysctls.ts';
import { type ObservedNamespace, parentAmong } from '../network/observed-namespace.ts';
import { markOf, type OwnershipMark } from '../network/ownership-mark.ts';
import { type DesiredAttachment, type ObservedSurroundings, planAttachment } from '../network/plan-attachment.ts';
import { isNodeEnd, nodeEndOf } from '../network/plan-pair.ts';
import { planRemoval } from '../network/plan-removal.ts';
import { type ObservedNode, planSharedLinks } from '../network/plan-shared-links.ts';
import { planSharedRemoval } from '../network/plan-shared-removal.ts';
import { sharedLinkDifferences } from '../network/shared-link-differences.ts';
import { deleteAddress, dumpAddresses, readAddress } from './address-message.ts';
import { announceAddresses } from './announce.ts';
import { applyPlan, applyRemoval, type PlanSite } from './apply-plan.ts';
import { createCleanTasks } from './clean-tasks.ts';
import { observeCoordination } from './coordination-observe.ts';
import { type CoordinateSpec, createCoordinationTasks } from './coordination-tasks.ts';
import { createDeviceTasks } from './device-tasks.ts';
import { deleteLink } from './link-message.ts';
import { namespaceMountsInSight } from './namespace-mounts.ts';
import { searchNamespace } from './namespace-search.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import {
  closing,
  invalidNamespace,
  keepIfSame,
  type NetworkNamespace,
  openNamespace,
  openNodeNamespace,
  openPodNamespace,
} from './network-namespace.ts';
import { observeLink, observeLinks, observeNamespace, observeParent } from './observe.ts';
import { oneProcessOfEach } from './process-namespaces.ts';
import { removeNodeEnd, removeUnlessGone } from './remove-unless-gone.ts';
import { readSysctls, writeSysctl } from './sysctl.ts';
import { SystemCallError, systemCalls } from './system-calls.ts';

/** Which interface of which sandbox, and how it is to be. */
export interface PlumbSpec extends OwnershipMark {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly link: LinkConf;
  readonly addresses: readonly ClaimedAddress[];
  /** While another interface has the pod's default route its own one is left to coordination. */
  readonly yieldsDefaultRoute?: boolean;
}

export interface CheckSpec extends PlumbSpec {
  /** That the interface is to have; absent: nobody says. */
  readonly mac?: string;
}

/** One attachment as it is written down: what of it is absent was not asked for. */
export interface LookSpec extends OwnershipMark {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly shared: readonly SharedLinkConf[];
  readonly plumb?: PlumbSpec;
  readonly coordination?: CoordinateSpec;
}

export interface AttachmentLook {
  readonly facts: readonly AttachmentFact[];
  /** What stands in the way of its being as it should, a sentence each. */
  readonly obstacles: readonly string[];
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

export interface RemovedSharedLinks {
  readonly commands: readonly string[];
  /** Links of ours that somebody else has built on, with what. */
  readonly kept: readonly { readonly name: string; readonly why: string }[];
}

export interface RemoveAddressesSpec {
  readonly netns: string;
  readonly netnsCookie?: string;
  /** The interface that they were given for, as an error names it; they are found on any. */
  readonly ifName: string;
  /** With or without prefix length. */
  readonly addresses: readonly string[];
}

export interface TunedNode {
  readonly commands: readonly string[];
  /** What could not be set, each with the reason. */
  readonly refused: readonly { readonly command: string; readonly why: string }[];
}

export interface AnnounceSpec {
  readonly netns: string;
  readonly ifName: string;
  /** Absent: the interface's own. */
  readonly mac?: string;
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
  ...createCoordinationTasks(hostNetns),
  ...createCleanTasks(hostNetns),
  ...createDeviceTasks(hostNetns),

  identifyNamespace: (path: string): { cookie: string; inode: string } =>
    closing(openPodNamespace(systemCalls, path), ({ cookie, inode }) => {
      const own = closing(openNodeNamespace(systemCalls, hostNetns), (node) => node.cookie);
      if (cookie === own) throw invalidNamespace(path, "it is the node's own");
      return { cookie, inode };
    }),

  plumb: (spec: PlumbSpec): PlumbedLink =>
    atSite(hostNetns, spec, (site) => {
      const plan = planAttachment(surroundings(site, spec), desired(spec));
      if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
      applyPlan(site, plan.operations);
      const link = observeLink(site.links, spec.ifName);
      if (link === undefined) throw new NetlinkError(`RTM_GETLINK ${spec.ifName} just made`, ENODEV);
      const { mac, mtuBytes, ifIndex } = link;
      return { mac, mtuBytes, ifIndex, commands: asIpCommands(plan.operations, spec.netns) };
    }),

  unplumb(spec: UnplumbSpec): UnplumbedLink {
    const removed = inSandbox(spec, (pod) => {
      const links = observeLinks(pod);
      return planRemoval(links, spec).filter((operation) => {
        const ifIndex = links.find(({ ifName }) => ifName === operation.ifName)?.ifIndex ?? 0;
        return removeUnlessGone(operation, spec.netns, () => pod.change('RTM_DELLINK', deleteLink(ifIndex)));
      });
    });
    // Looked for in any case: a pod that may change links can have put our mark on another one.
    const commands = [
      ...asIpCommands(removed ?? [], spec.netns),
      ...removeNodeEnd(hostNetns, nodeEndOf(spec), (link) => isNodeEnd(link, spec)),
    ];
    return { removed: commands.length > 0, commands };
  },

  prepareShared: (wanted: readonly SharedLinkConf[]): readonly string[] =>
    onNode(hostNetns, (site) => {
      const plan = planSharedLinks(observeNode(site.node), wanted);
      if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
      applyPlan(site, plan.operations);
      return asIpCommands(plan.operations, undefined);
    }),

  removeShared: (names: readonly string[]): RemovedSharedLinks =>
    onNode(hostNetns, (site) => {
      const commands: string[] = [];
      const kept: { name: string; why: string }[] = [];
      for (const name of names) {
        const removal = planSharedRemoval(observeNode(site.node), name); // anew: the one above it has just gone
        if (removal.outcome === 'kept') kept.push({ name, why: removal.why });
        if (removal.outcome !== 'remove') continue;
        applyRemoval(site, removal.operations);
        commands.push(...asIpCommands(removal.operations, undefined));
      }
      return { commands, kept };
    }),

  checkShared: (wanted: readonly SharedLinkConf[]): string[] =>
    onNode(hostNetns, ({ node }) => sharedLinkDifferences(observeNode(node), wanted)),

  tuneNode: (wanted: readonly NodeSysctl[]): TunedNode =>
    closing(openNodeNamespace(systemCalls, hostNetns), (node) => {
      const commands: string[] = [];
      const refused: { command: string; why: string }[] = [];
      const found = readSysctls(
        node,
        wanted.map(({ key }) => key),
      );
      for (const { key, value } of sysctlsToSet(wanted, found)) {
        const command = `sysctl -w ${key}=${value}`;
        try {
          writeSysctl(node, key, value);
          commands.push(command);
        } catch (error) {
          if (!(error instanceof SystemCallError)) throw error;
          refused.push({ command, why: error.message });
        }
      }
      return { commands, refused };
    }),

  removeAddresses(spec: RemoveAddressesSpec): void {
    const { netns, ifName } = spec;
    const unwanted = new Set(spec.addresses.map((text) => formatAddress(parseAddress(text.replace(/\/.*/, '')))));
    inSandbox(spec, (pod) => {
      for (const { ifIndex, address } of pod.dump('RTM_GETADDR', dumpAddresses()).map(readAddress)) {
        const prefix = parsePrefix(address);
        if (!unwanted.has(formatAddress(prefix.bytes))) continue;
        removeUnlessGone({ op: 'delete-address', ifName, address }, netns, () =>
          pod.change('RTM_DELADDR', deleteAddress(ifIndex, prefix)),
        );
      }
    });
  },

  check: (spec: CheckSpec): string[] =>
    atSite(hostNetns, spec, (site) => attachmentDifferences(surroundings(site, spec), desired(spec), spec.mac)),

  lookAt: (spec: LookSpec): AttachmentLook =>
    closing(openPodNamespace(systemCalls, spec.netns, spec.netnsCookie), (podNamespace) =>
      closing(podNamespace.netlink(), (pod) =>
        lookInto(hostNetns, undefined, (node) => {
          const { ifName, coordination } = spec;
          const hostRuleTable = coordination?.settings.hostRuleTable ?? coordinationDefaults.hostRuleTable;
          const found = observeCoordination({ podNamespace, pod, node }, { ifName, hostRuleTable });
          const { wanted, obstacles } = wantedOf(found, spec);
          const ends = spec.plumb?.link.kind === 'veth' ? [nodeEndOf(spec)] : [];
          const onNode = [...spec.shared.map(({ name }) => name), ...ends];
          const scope = { ifName, isTied: coordination !== undefined, onNode };
          return { facts: attachmentFacts(found, wanted, scope), obstacles };
        }),
      ),
    ),

  inspect: (netns: string | undefined): ObservedNamespace => lookInto(hostNetns, netns, observeNamespace),

  findMarked: (netns: string | undefined): MarkedLink[] =>
    lookInto(hostNetns, netns, observeLinks).flatMap(({ alias, ifName, mac }) => {
      const mark = markOf(alias);
      return mark === undefined ? [] : [{ ...mark, linkName: ifName, mac }];
    }),

  namespaceState({ netns, netnsCookie }: { netns: string; netnsCookie: string }): NamespaceState {
    const opening = openNamespace(systemCalls, netns);
    const found = opening.outcome === 'opened' ? closing(opening.namespace, ({ cookie }) => cookie) : undefined;
    if (found === netnsCookie) return 'alive';
    const elsewhere = searchNamespace(systemCalls, netns, netnsCookie);
    elsewhere?.close();
    if (elsewhere !== undefined) return 'alive';
    return found === undefined ? 'gone' : 'other';
  },

  hasProcesses: (netns: string): boolean =>
    closing(openPodNamespace(systemCalls, netns), ({ inode }) => oneProcessOfEach('net').has(`net:[${inode}]`)),

  canSeeNamespaceMounts: namespaceMountsInSight,

  announce: ({ netns, ifName, mac, addresses }: AnnounceSpec): void =>
    closing(openPodNamespace(systemCalls, netns), (namespace) => {
      const link = closing(namespace.netlink(), (pod) => observeLink(pod, ifName));
      if (link === undefined) throw new NetlinkError(`RTM_GETLINK ${ifName} in ${netns}`, ENODEV);
      if (!link.isEthernet) return; // ARP and NDP frames of other links look otherwise
      announceAddresses(systemCalls, namespace, { ifIndex: link.ifIndex, mac: mac ?? link.mac, addresses });
    }),
});

export type KernelTasks = ReturnType<typeof createKernelTasks>;

const ENODEV = 19;

/** Works on a sandbox that must be there, with a socket in its namespace and one in the node's. */
const atSite = <Result>(hostNetns: string | undefined, spec: PlumbSpec, work: (site: PlanSite) => Result): Result =>
  closing(openPodNamespace(systemCalls, spec.netns, spec.netnsCookie), (namespace) =>
    closing(namespace.netlink(), (pod) =>
      lookInto(hostNetns, undefined, (node) =>
        work({ node, links: pod, pod: { fd: namespace.fd, netns: spec.netns }, indexes: new Map() }),
      ),
    ),
  );

/** Works on links of the node itself. */
const onNode = <Result>(hostNetns: string | undefined, work: (site: PlanSite) => Result): Result =>
  lookInto(hostNetns, undefined, (node) => work({ node, links: node, indexes: new Map() }));

const observeNode = (node: NetlinkSocket): ObservedNode => ({
  links: observeLinks(node),
  addresses: node.dump('RTM_GETADDR', dumpAddresses()).map(readAddress),
});

/** Works on a sandbox wherever its namespace still is; undefined when that is gone, and its links with it. */
function inSandbox<Result>(
  { netns, netnsCookie }: { readonly netns: string; readonly netnsCookie?: string },
  work: (pod: NetlinkSocket) => Result,
): Result | undefined {
  const found = findNamespace(netns, netnsCookie);
  return found === undefined ? undefined : closing(found, (namespace) => closing(namespace.netlink(), work));
}

function findNamespace(netns: string, cookie: string | undefined): NetworkNamespace | undefined {
  const opening = openNamespace(systemCalls, netns);
  const named = opening.outcome === 'opened' ? opening.namespace : undefined;
  if (cookie === undefined) return named;
  return (named && keepIfSame(named, cookie)) ?? searchNamespace(systemCalls, netns, cookie);
}

/** Asks in a pod's namespace, or without a path in the node's. */
const lookInto = <Result>(
  hostNetns: string | undefined,
  netns: string | undefined,
  work: (socket: NetlinkSocket) => Result,
): Result =>
  closing(
    netns === undefined ? openNodeNamespace(systemCalls, hostNetns) : openPodNamespace(systemCalls, netns),
    (namespace) => closing(namespace.netlink(), work),
  );

function surroundings({ node, links }: PlanSite, spec: PlumbSpec): ObservedSurroundings {
  const parent = observeParent(node, spec.link.master);
  const nodeEnd = spec.link.kind === 'veth' ? observeParent(node, nodeEndOf(spec)) : undefined;
  return {
    pod: observeNamespace(links),
    ...(parent === undefined ? {} : { parent }),
    ...(nodeEnd === undefined ? {} : { nodeEnd }),
  };
}

const desired = ({
  containerID,
  ifName,
  link,
  addresses,
  yieldsDefaultRoute = false,
}: PlumbSpec): DesiredAttachment => ({
  ...link,
  containerID,
  ifName,
  addresses,
  yieldsDefaultRoute,
});

/** What would be there if everything that is missing were made again. */
function wantedOf(found: ObservedCoordination, { shared, plumb, coordination }: LookSpec) {
  const obstacles: string[] = [];
  let wanted = found;
  const links = planSharedLinks(found.node, shared);
  if (links.outcome === 'refused') obstacles.push(links.failure.message);
  else wanted = foresee(wanted, links.operations, 'node');
  if (plumb !== undefined) {
    const [parent, nodeEnd] = [plumb.link.master, nodeEndOf(plumb)].map((name) => parentAmong(wanted.node.links, name));
    const observed = {
      pod: asNamespace(wanted.pod),
      ...(parent === undefined ? {} : { parent }),
      ...(nodeEnd === undefined ? {} : { nodeEnd }),
    };
    const plan = planAttachment(observed, desired(plumb));
    if (plan.outcome === 'refused') obstacles.push(plan.failure.message);
    else wanted = foresee(wanted, plan.operations);
  }
  if (coordination !== undefined) {
    const plan = planCoordination(wanted, coordination);
    if (plan.outcome === 'refused') obstacles.push(plan.failure.message);
    else if (plan.outcome === 'plan') wanted = foresee(wanted, plan.operations);
  }
  return { wanted, obstacles };
}
