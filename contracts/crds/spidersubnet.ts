// Generated from deploy/crds/spidersubnet.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** Addresses of one subnet that pools take theirs from; pools of applications are made out of it. */
export interface SpiderSubnet {
  readonly apiVersion: 'spiderpool.spidernet.io/v2beta1';
  readonly kind: 'SpiderSubnet';
  readonly metadata: ObjectMeta;
  readonly spec: SpiderSubnetSpec;
  readonly status?: SpiderSubnetStatus;
}

export interface SpiderSubnetSpec {
  /** 4 or 6; derived from `subnet` when absent. */
  readonly ipVersion?: 4 | 6;
  /** CIDR of the network in canonical form, host bits zero, for example "10.70.8.0/22". */
  readonly subnet: string;
  /** What pools may have, as addresses "10.70.9.4" and ranges "10.70.8.20-10.70.8.90" inside `subnet`. */
  readonly ips?: readonly string[];
  /** Less these; same grammar as `ips`. */
  readonly excludeIPs?: readonly string[];
  /** Default gateway, inside `subnet`, of pools that say nothing about theirs. */
  readonly gateway?: string;
  /** Routes besides the default one, of pools that say nothing about theirs. */
  readonly routes?: readonly {
    /** Destination CIDR; the default route belongs in `gateway`. */
    readonly dst: string;
    /** Next hop, inside `subnet`. */
    readonly gw: string;
  }[];
}

export interface SpiderSubnetStatus {
  /**
   * JSON text: pool to {"ips": [ranges], "application": "<group>_<version>_<Kind>_<namespace>_<name>"}; the application
   * only of automatic pools.
   */
  readonly controlledIPPools?: string;
  /** Size of `ips` less `excludeIPs`, at most 2^63-1. */
  readonly totalIPCount?: number;
  /** Addresses that pools have, not pods. */
  readonly allocatedIPCount?: number;
}
