export const coordinationModes = ['auto', 'underlay', 'overlay', 'disabled'] as const;
export type CoordinationMode = (typeof coordinationModes)[number];

/** How one attachment is tied to its node and to the other interfaces of its pod: parsed, with defaults filled in. */
export interface CoordinationSettings {
  /** `auto` becomes one of the next two when the pod is looked at; `disabled` asks for nothing. */
  readonly mode: CoordinationMode;
  /** Name of the pod's first interface, usually "eth0". */
  readonly firstNic: string;
  /** Destinations that the pod hands to its node: Pod CIDRs, service CIDRs and what the configuration adds. Networks, each once. */
  readonly hijackCIDRs: readonly string[];
  /** Interface that carries the pod's default route; absent: whichever has it keeps it. */
  readonly podDefaultRouteNic?: string;
  /** Traffic from an interface's address leaves through that interface. */
  readonly tunePodRoutes: boolean;
  /** Routes of the user's own through the attachment's interface. */
  readonly policyRoutes: readonly PolicyRoute[];
  /** First two bytes of the interface's MAC, "0a:1b"; the other four come from its address. */
  readonly podMACPrefix?: string;
  /** Address of the pod's end of the veth pair, without prefix length. */
  readonly vethLinkAddress?: string;
  readonly vethMtuBytes: number;
  /** Packets; 0 leaves the interface as it is. */
  readonly txQueueLen: number;
  /** Table of the node that holds the routes to its pods. */
  readonly hostRuleTable: number;
  /** Absent: left as it is. */
  readonly podRPFilter?: RPFilter;
}

/** net.ipv4.conf.*.rp_filter: no check of the source, the strict one of RFC 3704, the loose one. */
export type RPFilter = 0 | 1 | 2;

export interface PolicyRoute {
  /** A network, for example "10.9.0.0/16". */
  readonly dst: string;
  /** Of the same family. */
  readonly gw: string;
}

/**
 * What one source says about coordination: a network configuration, or a SpiderCoordinator. What it leaves out is absent, so
 * that a weaker source or the default decides.
 */
export type CoordinationConf = Partial<Omit<CoordinationSettings, 'hijackCIDRs' | 'podRPFilter'>> & {
  /** "leave" where the configuration has a negative number. */
  readonly podRPFilter?: RPFilter | 'leave';
  readonly overlayPodCIDR?: readonly string[];
  readonly serviceCIDR?: readonly string[];
  readonly hijackCIDR?: readonly string[];
};

/** What a network configuration asks of coordination. */
export interface NetworkCoordination {
  readonly conf: CoordinationConf;
  /** Name of the SpiderCoordinator that says the rest. */
  readonly coordinator: string;
}

/** The SpiderCoordinator of networks that name none; the only one that need not exist. */
export const defaultCoordinator = 'default';

/** Spiderpool's defaults (spec/connectivity.md §1.3). */
export const coordinationDefaults: CoordinationSettings = {
  mode: 'auto',
  firstNic: 'eth0',
  hijackCIDRs: [],
  tunePodRoutes: true,
  policyRoutes: [],
  vethMtuBytes: 1500,
  txQueueLen: 0,
  hostRuleTable: 500,
  podRPFilter: 0,
};
