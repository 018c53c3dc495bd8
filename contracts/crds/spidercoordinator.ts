// Generated from deploy/crds/spidercoordinator.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** How pods with interfaces of their own reach nodes, Services and pods of the cluster's own network. */
export interface SpiderCoordinator {
  readonly apiVersion: 'spiderpool.spidernet.io/v2beta1';
  readonly kind: 'SpiderCoordinator';
  readonly metadata: ObjectMeta;
  readonly spec: SpiderCoordinatorSpec;
  readonly status?: SpiderCoordinatorStatus;
}

export interface SpiderCoordinatorSpec {
  /** underlay, overlay, or disabled; auto tells by the pod's first interface which of the first two it is. */
  readonly mode?: 'auto' | 'underlay' | 'overlay' | 'disabled';
  /** Where `status.overlayPodCIDR` comes from. Required where `overlayPodCIDR` is absent. */
  readonly podCIDRType?: 'auto' | 'cluster' | 'calico' | 'cilium' | 'none';
  /** CIDRs of the cluster's own pods, where nobody should look for them. An empty list says that there are none. */
  readonly overlayPodCIDR?: readonly string[];
  /** CIDRs of Services, where nobody should look for them. An empty list says that there are none. */
  readonly serviceCIDR?: readonly string[];
  /** What else pods reach through their node, as CIDRs; an address becomes a CIDR of its own. */
  readonly hijackCIDR?: readonly string[];
  /** Routes that every pod gets, besides those of its pools. */
  readonly policyRoutes?: readonly {
    /** Destination CIDR. */
    readonly dst: string;
    /** Next hop, of the family of `dst`. */
    readonly gw: string;
  }[];
  /** Packets leave a pod with several interfaces through the one whose address they carry. */
  readonly tunePodRoutes?: boolean;
  /** Interface that has the pod's default route; empty chooses the first one. */
  readonly podDefaultRouteNIC?: string;
  /** Name of the pod's first interface; "eth0" when empty. */
  readonly podDefaultCniNic?: string;
  /** First two bytes of the MAC address of every pod interface, "0a:1b"; empty leaves them alone. */
  readonly podMACPrefix?: string;
  /** Address that the pod has on its link to the node, or empty for none. */
  readonly vethLinkAddress?: string;
  /** MTU in bytes of the link between pod and node. */
  readonly vethMTU?: number;
  /** Queue length in packets of pod interfaces; 0 leaves it alone. */
  readonly txQueueLen?: number;
  /** Routing table of the node that holds routes to pods. */
  readonly hostRuleTable?: number;
  /** rp_filter inside the pod, 0, 1 or 2; a negative number leaves it alone. */
  readonly podRPFilter?: number;
  /** Accepted and ignored. */
  readonly hostRPFilter?: number;
  /** Accepted and ignored. */
  readonly detectGateway?: boolean;
  /** Accepted and ignored. */
  readonly detectIPConflict?: boolean;
  /** Accepted and ignored. */
  readonly detectOptions?: Readonly<Record<string, unknown>>;
}

export interface SpiderCoordinatorStatus {
  /** NotReady: a list below is not known, and pods that need it wait. */
  readonly phase?: 'Synced' | 'NotReady';
  /** Which list is not known, why, and what to do. */
  readonly reason?: string;
  /** CIDRs of the cluster's own pods; absent while they are not known. */
  readonly overlayPodCIDR?: readonly string[];
  /** Where they were found. */
  readonly podCIDRSource?: string;
  /** CIDRs of Services; absent while they are not known. */
  readonly serviceCIDR?: readonly string[];
  /** Where they were found. */
  readonly serviceCIDRSource?: string;
}
