import type { ObservedAddress, ObservedLink } from '../observed-namespace.ts';
import type { NeighbourEntry, PolicyRule, PolicyTableRoute } from './coordination-operation.ts';

/** A pod and its node as they were found, as far as coordination depends on them. */
export interface ObservedCoordination {
  readonly pod: ObservedPod;
  readonly node: ObservedNode;
}

export interface ObservedPod {
  readonly links: readonly ObservedNic[];
  readonly addresses: readonly ObservedAddress[];
  /** Of every table but `local`, in the kernel's order. */
  readonly routes: readonly ObservedTableRoute[];
  readonly rules: readonly PolicyRule[];
  readonly neighbours: readonly NeighbourEntry[];
  /** By key, "net.ipv4.conf.all.rp_filter"; a key that the kernel has not is absent. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly hasReplyMarks: boolean;
}

export interface ObservedNode {
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
  /** Of the table that holds the routes to pods. */
  readonly podRoutes: readonly PolicyTableRoute[];
  readonly rules: readonly PolicyRule[];
  /** Of the pod's addresses, on any link. */
  readonly neighbours: readonly NeighbourEntry[];
  /** The address that the node would use itself toward each address of the pod, without prefix length. */
  readonly sourcesToPod: readonly string[];
}

export interface ObservedNic extends ObservedLink {
  /** Packets: IFLA_TXQLEN. */
  readonly txQueueLen: number;
}

export interface ObservedTableRoute extends PolicyTableRoute {
  /** One of several hops of an IPv4 route: the kernel takes the route away with all of them or not at all. */
  readonly isHop?: boolean;
}
