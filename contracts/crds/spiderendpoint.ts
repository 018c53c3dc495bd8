// Generated from deploy/crds/spiderendpoint.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** The addresses of one pod, for people and tools. Published, never read to decide. */
export interface SpiderEndpoint {
  readonly apiVersion: 'spiderpool.spidernet.io/v2beta1';
  readonly kind: 'SpiderEndpoint';
  readonly metadata: ObjectMeta;
  readonly status?: SpiderEndpointStatus;
}

export interface SpiderEndpointStatus {
  readonly current: {
    /** UID of the pod that has the addresses. */
    readonly uid: string;
    /** Its node. */
    readonly node: string;
    /** One element per interface. */
    readonly ips: readonly {
      /** Name in the pod; empty while it has none. */
      readonly interface: string;
      /** Address with prefix length. */
      readonly ipv4?: string;
      /** Address with prefix length. */
      readonly ipv6?: string;
      readonly ipv4Pool?: string;
      readonly ipv6Pool?: string;
      readonly ipv4Gateway?: string;
      readonly ipv6Gateway?: string;
      readonly vlan?: number;
      readonly mac?: string;
      /** No default route through this interface. */
      readonly cleanGateway?: boolean;
      /** Routes besides the default one. */
      readonly routes?: readonly {
        readonly dst: string;
        readonly gw: string;
      }[];
    }[];
  };
  /** Kind of the pod's top controller, or "Pod". */
  readonly ownerControllerType: string;
  /** Its name. */
  readonly ownerControllerName: string;
}
