import type { Failure } from '../contracts/failures.ts';
import { describeLink } from './describe-link.ts';
import type { ReversibleOperation } from './link-operation.ts';
import { fnv1a, localMac } from './local-mac.ts';
import type { ObservedLink, ObservedParent } from './observed-namespace.ts';
import { aliasOf, isMarked, linkGroup, type OwnershipMark } from './ownership-mark.ts';

/** A pod's interface whose other end is a port of a bridge of the node. */
export type DesiredPair = OwnershipMark & {
  /** Name of the bridge. */
  readonly master: string;
  /** Of the pod's end; absent: the bridge's. */
  readonly mtuBytes?: number;
};

/**
 * Name of the node's end, 15 bytes: what is told to leave `veth*` alone (NetworkManager, Calico) leaves it alone. No container ID
 * begins with "-" (CNI spec 1.1.0, "Parameters"), so it is never the name of what ties a pod to its node (`vethOnNode`).
 */
export const nodeEndOf = ({ containerID, ifName }: OwnershipMark): string =>
  `veth-${fnv1a(`${containerID}/${ifName}`).toString(16).padStart(16, '0').slice(0, 10)}`;

/**
 * A bridge that was given no MAC takes the lowest of its ports (br_stp_recalculate_bridge_id(), net/bridge/br_stp_if.c): this one is
 * above every vendor's, so the bridge keeps that of its uplink while pods come and go.
 */
export const nodeEndMac = ({ containerID, ifName }: OwnershipMark): string =>
  `fe${localMac(`${containerID}/${ifName}/port`).slice(2)}`;

/** Whether a link of the node is the other end of this attachment's interface: named by its alias, or just being made. */
export const isNodeEnd = (link: ObservedLink, mark: OwnershipMark): boolean =>
  isMarked({ ...link, ifName: link.ifName === nodeEndOf(mark) ? mark.ifName : link.ifName }, mark);

/** Why an end that is there does not go with the other one. `ours`: the interface of this attachment in the pod. */
export function unfitPair(
  ours: ObservedLink | undefined,
  nodeEnd: ObservedLink | undefined,
  desired: DesiredPair,
): Failure | undefined {
  const { ifName } = desired;
  const name = nodeEndOf(desired);
  if (nodeEnd !== undefined && !isNodeEnd(nodeEnd, desired)) {
    return {
      type: 'InterfaceExists',
      message: `Cannot make interface "${ifName}": the node already has a link "${name}" (${describeLink(nodeEnd)}), which is not ours. Nothing was changed`,
      remedy: `Remove it on the node, if nobody needs it: ip link del ${name}`,
    };
  }
  if (ours === undefined && nodeEnd === undefined) return undefined;
  if (ours !== undefined && nodeEnd !== undefined && arePeers(ours, nodeEnd)) return undefined;
  const found =
    nodeEnd === undefined
      ? `its end on the node is not called "${name}" any more`
      : `"${name}" on the node is the other end of another link than the pod’s "${ifName}"`;
  return {
    type: 'InterfaceExists',
    message: `Cannot complete interface "${ifName}": ${found}. Nothing was changed`,
    remedy: 'Recreate the pod: its new sandbox gets a new pair',
  };
}

/** The kernel gives for each end the index of the other one, in the namespace where that is. */
const arePeers = (one: ObservedLink, other: ObservedLink): boolean =>
  one.parentIndex === other.ifIndex && other.parentIndex === one.ifIndex;

/**
 * What is missing of a pair, the node's end first: a frame of the pod's then finds its way from the first one on. That end has the
 * bridge's MTU also where the pod's is smaller: a bridge whose MTU nobody set takes the smallest of its ports.
 */
export function pairOperations(
  found: {
    readonly existing: ObservedLink | undefined;
    readonly nodeEnd?: ObservedParent;
    readonly bridge: ObservedLink;
  },
  desired: DesiredPair,
): ReversibleOperation[] {
  const { existing, nodeEnd, bridge } = found;
  const { ifName, master } = desired;
  const name = nodeEndOf(desired);
  const alias = aliasOf(desired);
  const operations: ReversibleOperation[] = [];
  const isNew = existing === undefined || nodeEnd === undefined;
  const fresh = { alias: '', isUp: false };
  const mtuBytes = desired.mtuBytes ?? existing?.mtuBytes ?? bridge.mtuBytes;
  const here = isNew ? { ...fresh, mtuBytes } : existing;
  const there = isNew ? { ...fresh, mtuBytes: bridge.mtuBytes, controllerIndex: bridge.ifIndex } : nodeEnd.link;
  if (isNew) {
    const end = { ifName: name, mac: nodeEndMac(desired), mtuBytes: bridge.mtuBytes };
    operations.push({ op: 'create-pair', ifName, mtuBytes, nodeEnd: end, master, group: linkGroup });
  }
  const at = 'node';
  if (there.alias !== alias) operations.push({ op: 'set-alias', at, ifName: name, alias, was: there.alias });
  if (there.mtuBytes < mtuBytes) {
    const needed = Math.max(mtuBytes, bridge.mtuBytes);
    operations.push({ op: 'set-mtu', at, ifName: name, mtuBytes: needed, was: there.mtuBytes });
  }
  if (there.controllerIndex !== bridge.ifIndex) {
    const other = nodeEnd?.controller?.ifName;
    if (other !== undefined) operations.push({ op: 'remove-port', at, ifName: name, controller: other });
    operations.push({ op: 'add-port', at, ifName: name, controller: master });
  }
  if (!there.isUp) operations.push({ op: 'set-up', at, ifName: name });
  if (here.alias !== alias) operations.push({ op: 'set-alias', ifName, alias, was: here.alias });
  if (here.mtuBytes !== mtuBytes) operations.push({ op: 'set-mtu', ifName, mtuBytes, was: here.mtuBytes });
  if (!here.isUp) operations.push({ op: 'set-up', ifName });
  return operations;
}
