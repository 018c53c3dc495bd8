/** Where a change is made: in the pod's network namespace or in the node's. */
export type Place = 'pod' | 'node';

/**
 * One change that ties a pod to its node, as data: it can be printed, compared, applied and undone. Links go by name, each
 * in its own namespace.
 */
export type CoordinationOperation = ReversibleCoordination | EnsureRule | DeleteVeth;

export type ReversibleCoordination =
  | CreateVeth
  | {
      readonly op: 'set-alias';
      readonly at: Place;
      readonly ifName: string;
      readonly alias: string;
      readonly was: string;
    }
  | { readonly op: 'set-up' | 'set-down'; readonly at: Place; readonly ifName: string }
  | { readonly op: 'set-mac'; readonly ifName: string; readonly mac: string; readonly was: string }
  | { readonly op: 'set-tx-queue'; readonly ifName: string; readonly packets: number; readonly was: number }
  | { readonly op: 'add-address' | 'delete-address'; readonly ifName: string; readonly address: string }
  | { readonly op: 'set-sysctl'; readonly key: string; readonly value: string; readonly was: string }
  | {
      readonly op: 'add-route' | 'delete-route';
      readonly at: Place;
      readonly route: PolicyTableRoute;
      readonly rank?: RouteRank;
    }
  | { readonly op: 'add-rule' | 'delete-rule'; readonly rule: PolicyRule }
  | ({ readonly op: 'add-neighbour' | 'delete-neighbour'; readonly at: Place } & NeighbourEntry)
  | { readonly op: 'add-reply-marks' | 'delete-reply-marks' };

/** A pair of links, one in the pod and one on the node, with both MACs given: nobody then takes them for random and changes them. */
export interface CreateVeth {
  readonly op: 'create-veth';
  /** The pod's end. */
  readonly ifName: string;
  readonly mac: string;
  readonly nodeEnd: { readonly ifName: string; readonly mac: string };
  readonly mtuBytes: number;
  readonly group: number;
}

/** The kernel takes the other end, its addresses, routes and neighbours away with it, so there is no way back from here. */
export interface DeleteVeth {
  readonly op: 'delete-veth';
  readonly ifName: string;
}

/** The node's rule serves all its pods, so whoever needs it first makes it and nobody takes it back but `orb node clean`. */
export interface EnsureRule {
  readonly op: 'ensure-rule';
  readonly rule: PolicyRule;
}

/** A route of any table through one link. */
export interface PolicyTableRoute {
  /** As `formatPrefix` writes it. */
  readonly dst: string;
  readonly ifName: string;
  readonly table: number;
  readonly protocol: number;
  /** Absent: the destination is on the link. */
  readonly gateway?: string;
  /** The address that a packet of the pod's own is given. */
  readonly source?: string;
  /** 1024 for an IPv6 route that names none. */
  readonly metric: number;
  /** Of the route, where it says so, instead of its link's. */
  readonly mtuBytes?: number;
  /** The gateway is on the link although no address says so. */
  readonly isOnlink?: boolean;
}

/**
 * The kernel keeps routes of one destination and metric in an order, and the first one counts. `first` and `last` are ip(8)'s
 * prepend and append; absent: there must be none yet.
 */
export type RouteRank = 'first' | 'last';

export interface PolicyRule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly protocol: number;
  /** With prefix length; absent: from everywhere. */
  readonly from?: string;
  readonly mark?: number;
}

export interface NeighbourEntry {
  readonly ifName: string;
  readonly address: string;
  readonly mac: string;
  /** NUD_*, include/uapi/linux/neighbour.h */
  readonly state: NeighbourState;
  readonly protocol: number;
}

export type NeighbourState = 'reachable' | 'stale' | 'delay' | 'probe' | 'permanent' | 'noarp';

/**
 * What is taken back of an attachment that was whole. What the node knew of its addresses before was of their earlier holder:
 * only a plan that fails puts it back.
 */
export const endOf = (operations: readonly CoordinationOperation[]): readonly CoordinationOperation[] =>
  operations.filter(
    (operation) =>
      !((operation.op === 'delete-neighbour' || operation.op === 'delete-route') && operation.at === 'node'),
  );

/** What takes an operation back, given that everything done after it was taken back before; undefined for what stays. */
export function inverseOf(operation: CoordinationOperation): CoordinationOperation | undefined {
  switch (operation.op) {
    case 'create-veth':
      return { op: 'delete-veth', ifName: operation.ifName };
    case 'set-alias':
      return { ...operation, alias: operation.was, was: operation.alias };
    case 'set-up':
      return { ...operation, op: 'set-down' };
    case 'set-down':
      return { ...operation, op: 'set-up' };
    case 'set-mac':
      return { ...operation, mac: operation.was, was: operation.mac };
    case 'set-tx-queue':
      return { ...operation, packets: operation.was, was: operation.packets };
    case 'add-address':
      return { ...operation, op: 'delete-address' };
    case 'delete-address':
      return { ...operation, op: 'add-address' };
    case 'set-sysctl':
      return { ...operation, value: operation.was, was: operation.value };
    case 'add-route':
      return { ...operation, op: 'delete-route' };
    case 'delete-route':
      return { ...operation, op: 'add-route' };
    case 'add-rule':
      return { ...operation, op: 'delete-rule' };
    case 'delete-rule':
      return { ...operation, op: 'add-rule' };
    case 'add-neighbour':
      return { ...operation, op: 'delete-neighbour' };
    case 'delete-neighbour':
      return { ...operation, op: 'add-neighbour' };
    case 'add-reply-marks':
      return { op: 'delete-reply-marks' };
    case 'delete-reply-marks':
      return { op: 'add-reply-marks' };
    case 'ensure-rule':
    case 'delete-veth':
      return undefined;
    default:
      return operation satisfies never;
  }
}
