import type { CoordinationSettings } from '../../contracts/coordination.ts';
import type { OwnershipMark } from '../ownership-mark.ts';
import type { ObservedCoordination, ObservedNic } from './observed-coordination.ts';
import type { PlanDraft } from './plan-draft.ts';

/** One interface of one pod that is to be tied to its node. */
export interface CoordinationRequest extends OwnershipMark {
  readonly settings: CoordinationSettings;
  /** Interfaces that the pod's networks still bring, so that a default route's interface may be one of them. */
  readonly awaitedNics: readonly string[];
  /** Of an interface that we make ourselves: it has them in the main table or, while another one has that, in its own. */
  readonly defaultRoutes: readonly { readonly dst: string; readonly gateway: string }[];
}

/** What the parts of a plan work with. */
export interface CoordinationSite {
  readonly request: CoordinationRequest;
  readonly observed: ObservedCoordination;
  readonly draft: PlanDraft;
  readonly mode: 'underlay' | 'overlay';
  /** The interface to be tied. */
  readonly nic: ObservedNic;
  readonly table: number;
  /** The pod's addresses on that interface, with prefix length, IPv4 first. */
  readonly addresses: readonly string[];
  /** How the pod reaches its node, and the node its pod. */
  readonly path: NodePath;
  readonly hosts: readonly string[];
  /** Preferred source of the pod's IPv4 routes: the first interface's. IPv6 has none (kernel bug 107071). */
  readonly source: string | undefined;
}

export interface NodePath {
  readonly podIfName: string;
  readonly podMac: string;
  readonly nodeIfName: string;
  readonly nodeMac: string;
}

export const isIPv6 = (address: string): boolean => address.includes(':');
export const sameFamily = (one: string, other: string): boolean => isIPv6(one) === isIPv6(other);
export const withoutLength = (prefix: string): string => prefix.replace(/\/.*/, '');
/** The address alone, as a network. */
export const hostPrefix = (address: string): string => `${address}/${isIPv6(address) ? 128 : 32}`;
export const everywhere = (address: string): string => (isIPv6(address) ? '::/0' : '0.0.0.0/0');

/** Without those that the kernel gives to every link. */
export const addressesOf = ({ pod }: ObservedCoordination, { ifIndex }: { readonly ifIndex: number }): string[] =>
  pod.addresses
    .filter((one) => one.ifIndex === ifIndex && !one.isLinkLocal)
    .toSorted((one, other) => one.family - other.family)
    .map(({ address }) => address);

/** Undefined when the node has no address of that family. */
export function routeThroughNode(
  { path, hosts, source }: CoordinationSite,
  dst: string,
): { dst: string; ifName: string; gateway: string; source?: string } | undefined {
  const gateway = hosts.find((host) => sameFamily(host, dst));
  return gateway === undefined ? undefined : { dst, ifName: path.podIfName, gateway, ...sourceFor(dst, source) };
}

export const sourceFor = (dst: string, source: string | undefined): { source?: string } =>
  source === undefined || isIPv6(dst) ? {} : { source };
