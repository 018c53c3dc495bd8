import type { Failure } from '../contracts/failures.ts';
import type { ClaimedAddress, LinkConf, LinkShape } from '../contracts/pod-network.ts';
import { describeLink } from './describe-link.ts';
import { canonicalPrefix, formatAddress, networkOf, parseAddress, parsePrefix, prefixContains } from './ip-prefix.ts';
import { asIpType, type PlannedRoute, type ReversibleOperation } from './link-operation.ts';
import type { ObservedLink, ObservedNamespace, ObservedParent } from './observed-namespace.ts';
import { aliasOf, isMarked, linkGroup, maxAliasBytes, type OwnershipMark, routeProtocol } from './ownership-mark.ts';
import { pairOperations, unfitPair } from './plan-pair.ts';

/** One interface of one pod, as it is to be. */
export type DesiredAttachment = LinkConf & DesiredAddressing;

/** An interface that is there, with what it is to have. */
export type DesiredAddressing = OwnershipMark & {
  readonly mtuBytes?: number;
  readonly addresses: readonly DesiredAddress[];
  /** While another interface has the pod's default route its own one is left out: coordination gives it a table for that. */
  readonly yieldsDefaultRoute?: boolean;
};

export type DesiredAddress = Pick<ClaimedAddress, 'family' | 'address' | 'routes'>;

/** What was found before anything is changed. */
export interface ObservedSurroundings {
  readonly pod: ObservedNamespace;
  /** Absent when the node has no link of that name. */
  readonly parent?: ObservedParent;
  /** The link of the node that has the name of a veth's other end (`nodeEndOf`), with what it is a port of. */
  readonly nodeEnd?: ObservedParent;
}

export type AttachmentPlan =
  | { readonly outcome: 'plan'; readonly operations: readonly ReversibleOperation[] }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/**
 * Plans what is missing between the observed and the desired state: everything for a new interface, the rest for one of ours
 * that an earlier attempt left half made, nothing for a complete one.
 *
 * Refuses in words what the kernel would refuse with a bare errno, or accept and not do.
 */
export function planAttachment(observed: ObservedSurroundings, desired: DesiredAttachment): AttachmentPlan {
  const failure =
    unfitParent(observed.parent, desired) ??
    unfitRequest(desired) ??
    occupied(observed, desired) ??
    contradictoryRoute(observed.pod, ourLink(observed.pod, desired), desired);
  if (failure !== undefined || observed.parent === undefined) {
    return { outcome: 'refused', failure: failure ?? parentMissing(desired) };
  }
  const existing = ourLink(observed.pod, desired);
  const { link: parent } = observed.parent;
  return {
    outcome: 'plan',
    operations: [
      ...(desired.kind === 'veth'
        ? pairOperations({ ...observed, existing, bridge: parent }, desired)
        : linkOperations(existing, parent, desired)),
      ...addressOperations(existing, observed.pod, desired),
      ...routeOperations(existing, observed.pod, desired),
    ],
  };
}

/** Plans what a link that is in the pod lacks: to be up, addresses and routes. The same refusals. */
export function planAddressing(pod: ObservedNamespace, link: ObservedLink, desired: DesiredAddressing): AttachmentPlan {
  const failure = unfitRequest(desired) ?? contradictoryRoute(pod, link, desired);
  if (failure !== undefined) return { outcome: 'refused', failure };
  const up: ReversibleOperation[] = link.isUp ? [] : [{ op: 'set-up', ifName: desired.ifName }];
  const operations = [...up, ...addressOperations(link, pod, desired), ...routeOperations(link, pod, desired)];
  return { outcome: 'plan', operations };
}

/** A veth hangs on no parent. */
type UponParent<Some extends LinkConf> = Exclude<Some, { kind: 'veth' }>;

/** Without what every kind has. */
function shapeOf(desired: UponParent<LinkConf>): LinkShape {
  switch (desired.kind) {
    case 'macvlan':
      return { kind: desired.kind, mode: desired.mode };
    case 'ipvlan':
      return { kind: desired.kind, mode: desired.mode };
    case 'vlan':
      return { kind: desired.kind, vlanID: desired.vlanID };
    default:
      return desired satisfies never;
  }
}

const ourLink = (pod: ObservedNamespace, mark: OwnershipMark): ObservedLink | undefined =>
  pod.links.find((link) => link.ifName === mark.ifName && isMarked(link, mark));

function linkOperations(
  existing: ObservedLink | undefined,
  parent: ObservedLink,
  desired: UponParent<DesiredAttachment>,
): ReversibleOperation[] {
  const { ifName, master } = desired;
  // A new link takes its parent's MTU and starts down and unnamed.
  const link = existing ?? { mtuBytes: parent.mtuBytes, alias: '', isUp: false };
  const alias = aliasOf(desired);
  const mtuBytes = desired.mtuBytes ?? link.mtuBytes;
  const operations: ReversibleOperation[] = [];
  if (existing === undefined) {
    operations.push({ op: 'create-link', ifName, master, link: shapeOf(desired), group: linkGroup });
  }
  if (link.alias !== alias) operations.push({ op: 'set-alias', ifName, alias, was: link.alias });
  if (link.mtuBytes !== mtuBytes) operations.push({ op: 'set-mtu', ifName, mtuBytes, was: link.mtuBytes });
  if (!link.isUp) operations.push({ op: 'set-up', ifName });
  return operations;
}

function addressOperations(
  existing: ObservedLink | undefined,
  pod: ObservedNamespace,
  desired: DesiredAddressing,
): ReversibleOperation[] {
  const present = new Set(
    pod.addresses.filter(({ ifIndex }) => ifIndex === existing?.ifIndex).map(({ address }) => address),
  );
  return desired.addresses
    .map(({ address }) => canonicalPrefix(address))
    .filter((address) => !present.has(address))
    .map((address) => ({ op: 'add-address', ifName: desired.ifName, address }));
}

function routeOperations(
  existing: ObservedLink | undefined,
  pod: ObservedNamespace,
  desired: DesiredAddressing,
): ReversibleOperation[] {
  const present = new Set(
    pod.routes.filter(({ ifIndex }) => ifIndex === existing?.ifIndex).map(({ dst, gateway }) => `${dst} ${gateway}`),
  );
  return plannedRoutes(desired)
    .filter((route) => !present.has(`${route.dst} ${route.gateway}`))
    .filter((route) => !mayYield(desired, route) || rivalOf(route, pod, existing) === undefined)
    .map(routeAddition);
}

const routeAddition = (route: PlannedRoute): ReversibleOperation => ({ op: 'add-route', ...route });

/** Each route once: two addresses of one family may bring the same. */
function plannedRoutes({ ifName, addresses }: DesiredAddressing): PlannedRoute[] {
  const routes = addresses.flatMap(({ routes }) =>
    routes.map(({ dst, gw }) => ({
      ifName,
      dst: canonicalPrefix(dst),
      gateway: formatAddress(parseAddress(gw)),
      protocol: routeProtocol,
    })),
  );
  return [...new Map(routes.map((route) => [`${route.dst} ${route.gateway}`, route])).values()];
}

function occupied(observed: ObservedSurroundings, desired: DesiredAttachment): Failure | undefined {
  const { ifName, master, kind } = desired;
  const there = observed.pod.links.find((link) => link.ifName === ifName);
  if (there !== undefined && !isMarked(there, desired)) {
    return {
      type: 'InterfaceExists',
      message: `Cannot make interface "${ifName}": the pod already has one of that name (${describeLink(there)}), which is not ours. Nothing was changed`,
      remedy: `Give one of the two networks another interface name, or remove the stranger in the pod's namespace: ip link del ${ifName}`,
    };
  }
  const wanted = kind === 'veth' ? kind : asIpType(shapeOf(desired));
  const isOnParent = kind === 'veth' || there?.parentIndex === observed.parent?.link.ifIndex;
  if (there !== undefined && (typeOf(there) !== wanted || !isOnParent)) {
    return {
      type: 'InterfaceExists',
      message: `Cannot complete interface "${ifName}": an earlier attempt made it as ${describeLink(there)}, now ${wanted} on "${master}" is asked. Nothing was changed`,
      remedy: 'Recreate the pod: its new sandbox gets the interface as the network configuration now says',
    };
  }
  return kind === 'veth' ? unfitPair(there, observed.nodeEnd?.link, desired) : undefined;
}

const typeOf = ({ shape, kind }: ObservedLink): string | undefined => (shape === undefined ? kind : asIpType(shape));

const parentMissing = ({ master, kind }: LinkConf): Failure => ({
  type: 'ParentLinkMissing',
  message: `Cannot make an interface on "${master}": the node has no such link`,
  remedy:
    kind === 'veth'
      ? `Correct \`master\` in the network configuration, or make that bridge on the node: ip link add ${master} up type bridge`
      : 'Correct `master` in the network configuration, or make that link on the node: ip link show',
});

function unfitParent(parent: ObservedParent | undefined, desired: DesiredAttachment): Failure | undefined {
  if (parent === undefined) return parentMissing(desired);
  const { kind, master, mtuBytes } = desired;
  const { link, controller } = parent;
  if (kind === 'veth' && link.kind !== 'bridge') {
    return unfit(
      `it is no Linux bridge (${describeLink(link)})`,
      `Name a bridge of the node as \`master\`: ip link show type bridge. With kind macvlan an interface hangs on "${master}" itself`,
    );
  }
  if (link.isLoopback || !link.isEthernet) {
    return unfit(`"${master}" carries no Ethernet`, 'Name an Ethernet link as `master`');
  }
  // The kernel would quietly use the real link underneath: macvlan_common_newlink(), ipvlan_link_new()
  if (
    kind !== 'vlan' &&
    kind !== 'veth' &&
    (link.kind === kind || link.kind === `${kind.slice(0, -'lan'.length)}tap`)
  ) {
    return unfit(`"${master}" is itself one (${link.kind})`, 'Name the link underneath as `master`');
  }
  if (controller !== undefined && kind !== 'veth' && isTakenBy(controller, kind)) {
    return unfit(
      `"${master}" is a port of ${controller.kind ?? 'link'} "${controller.ifName}", which receives its frames`,
      `Name "${controller.ifName}" as \`master\`, or take "${master}" out of it`,
    );
  }
  if (!link.isUp) {
    return {
      type: 'ParentLinkMissing',
      message: `Cannot make an interface on "${master}": that link is down, so the pod would have no network`,
      remedy: `Bring it up on the node: ip link set dev ${master} up`,
    };
  }
  if (mtuBytes !== undefined && mtuBytes > link.mtuBytes) {
    return unfit(
      `"${master}" carries ${link.mtuBytes} bytes and an MTU of ${mtuBytes} is asked`,
      `Set \`mtu\` to at most ${link.mtuBytes}, or raise it on the node: ip link set dev ${master} mtu ${mtuBytes}`,
    );
  }
  return undefined;

  function unfit(found: string, remedy: string): Failure {
    const what = kind === 'ipvlan' ? 'an ipvlan' : `a ${kind}`;
    return { type: 'InvalidConfig', message: `Cannot make ${what} on "${master}": ${found}`, remedy };
  }
}

/**
 * One receiver per link: netdev_rx_handler_register(), net/core/dev.c. A VRF's port has none. A VLAN is sorted out before the
 * receiver, but what the port of a bond sends does not go where the bond's frames go.
 */
const isTakenBy = (controller: Pick<ObservedLink, 'kind'>, kind: LinkConf['kind']): boolean =>
  kind === 'vlan' ? ['bond', 'team'].includes(controller.kind ?? '') : controller.kind !== 'vrf';

/** RFC 8200 §5. On a smaller link the kernel switches IPv6 off. */
const minIPv6MtuBytes = 1280;
/** ETH_MIN_MTU, include/uapi/linux/if_ether.h */
const minMtuBytes = 68;

function unfitRequest(desired: DesiredAddressing): Failure | undefined {
  const { ifName, mtuBytes, addresses } = desired;
  const smallest = addresses.some(({ family }) => family === 6) ? minIPv6MtuBytes : minMtuBytes;
  if (mtuBytes !== undefined && mtuBytes < smallest) {
    return {
      type: 'InvalidConfig',
      message: `Cannot give "${ifName}" an MTU of ${mtuBytes}: its addresses need at least ${smallest}`,
      remedy: 'Raise `mtu` in the network configuration, or leave it out to take the parent’s',
    };
  }
  const aliasBytes = new TextEncoder().encode(aliasOf(desired)).length;
  if (aliasBytes > maxAliasBytes) {
    return {
      type: 'InvalidEnvironment',
      message: `Cannot mark "${ifName}" as ours: with its container ID the mark has ${aliasBytes} bytes, the kernel keeps ${maxAliasBytes}`,
      remedy: 'Use a container runtime with shorter container IDs',
    };
  }
  return unreachableGateway(desired);
}

function unreachableGateway({ ifName, addresses }: DesiredAddressing): Failure | undefined {
  const prefixes = addresses.map(({ address }) => parsePrefix(address));
  const own = new Set(prefixes.map(({ bytes }) => formatAddress(bytes)));
  for (const { dst, gw } of addresses.flatMap(({ routes }) => routes)) {
    const gateway = parseAddress(gw);
    const problem = own.has(formatAddress(gateway))
      ? 'that is the interface’s own address'
      : !prefixes.some((prefix) => prefixContains(prefix, gateway))
        ? `no address of the interface is in its subnet (${addresses.map(({ address }) => address).join(', ')})`
        : networkOf(dst) !== canonicalPrefix(dst)
          ? `"${dst}" has host bits, the network is ${networkOf(dst)}`
          : undefined;
    if (problem !== undefined) {
      return {
        type: 'InvalidConfig',
        message: `Cannot route ${dst} through gateway ${gw} on "${ifName}": ${problem}`,
        remedy: 'Correct spec.gateway or spec.routes of the pool',
      };
    }
  }
  return undefined;
}

/** Metric of an IPv6 route that names none: IP6_RT_PRIO_USER, include/uapi/linux/ipv6_route.h. IPv4's is 0. */
const plainMetric = { 4: 0, 6: 1024 } as const;

const mayYield = ({ yieldsDefaultRoute = false }: DesiredAddressing, { dst }: PlannedRoute): boolean =>
  yieldsDefaultRoute && dst.endsWith('/0');

/** What already stands where a route of ours would. */
const rivalOf = (
  { dst, gateway }: PlannedRoute,
  pod: ObservedNamespace,
  ours: ObservedLink | undefined,
): ObservedNamespace['routes'][number] | undefined =>
  pod.routes.find(
    (route) =>
      route.dst === dst &&
      route.metric === plainMetric[route.family] &&
      !(route.ifIndex === ours?.ifIndex && route.gateway === gateway),
  );

function contradictoryRoute(
  pod: ObservedNamespace,
  ours: ObservedLink | undefined,
  desired: DesiredAddressing,
): Failure | undefined {
  for (const planned of plannedRoutes(desired)) {
    const { dst, gateway } = planned;
    const rival = rivalOf(planned, pod, ours);
    if (rival === undefined || mayYield(desired, planned)) continue;
    const holder = pod.links.find(({ ifIndex }) => ifIndex === rival.ifIndex)?.ifName ?? 'no single interface';
    return {
      type: 'InvalidConfig',
      message: `Cannot route ${dst} through gateway ${gateway} on "${desired.ifName}": the pod already routes it ${rival.gateway === undefined ? '' : `via ${rival.gateway} `}on ${holder}`,
      remedy: dst.endsWith('/0')
        ? 'One interface of a pod carries the default route: set "clean_gateway": true on the others'
        : 'Take the route out of one of the two pools',
    };
  }
  return undefined;
}
