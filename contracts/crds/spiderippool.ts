// Generated from deploy/crds/spiderippool.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** Addresses of one subnet that pods may be given, and for which pods. */
export interface SpiderIPPool {
  readonly apiVersion: 'spiderpool.spidernet.io/v2beta1';
  readonly kind: 'SpiderIPPool';
  readonly metadata: ObjectMeta;
  readonly spec: SpiderIPPoolSpec;
  readonly status?: SpiderIPPoolStatus;
}

export interface SpiderIPPoolSpec {
  /** 4 or 6; derived from `subnet` when absent. */
  readonly ipVersion?: 4 | 6;
  /** CIDR of the network in canonical form, host bits zero, for example "10.70.8.0/22". */
  readonly subnet: string;
  /** What may be given, as addresses "10.70.9.4" and ranges "10.70.8.20-10.70.8.90" inside `subnet`. */
  readonly ips?: readonly string[];
  /** Less these; same grammar as `ips`. */
  readonly excludeIPs?: readonly string[];
  /** Default gateway, inside `subnet`. */
  readonly gateway?: string;
  /** Routes that a pod gets besides the default one. */
  readonly routes?: readonly {
    /** Destination CIDR; the default route belongs in `gateway`. */
    readonly dst: string;
    /** Next hop, inside `subnet`. */
    readonly gw: string;
  }[];
  /** Pods that may use the pool. */
  readonly podAffinity?: {
    readonly matchLabels?: Readonly<Record<string, string>>;
    readonly matchExpressions?: readonly {
      readonly key: string;
      /** In, NotIn, Exists or DoesNotExist. */
      readonly operator: string;
      readonly values?: readonly string[];
    }[];
  };
  /** Namespaces whose pods may use the pool. */
  readonly namespaceAffinity?: {
    readonly matchLabels?: Readonly<Record<string, string>>;
    readonly matchExpressions?: readonly {
      readonly key: string;
      /** In, NotIn, Exists or DoesNotExist. */
      readonly operator: string;
      readonly values?: readonly string[];
    }[];
  };
  /** Nodes whose pods may use the pool. */
  readonly nodeAffinity?: {
    readonly matchLabels?: Readonly<Record<string, string>>;
    readonly matchExpressions?: readonly {
      readonly key: string;
      /** In, NotIn, Exists or DoesNotExist. */
      readonly operator: string;
      readonly values?: readonly string[];
    }[];
  };
  /** Names of namespaces whose pods may use the pool. */
  readonly namespaceName?: readonly string[];
  /** Names of nodes whose pods may use the pool. */
  readonly nodeName?: readonly string[];
  /** Network attachments that may use the pool, as "namespace/name" or "name". */
  readonly multusName?: readonly string[];
  /** A cluster default pool of its family. */
  readonly default?: boolean;
  /** Gives no new address; releases still work. */
  readonly disable?: boolean;
}

export interface SpiderIPPoolStatus {
  /** JSON text: address to {"pod": "<namespace>/<name>", "podUid": "<uid>"}; published while the pool is small. */
  readonly allocatedIPs?: string;
  /** Size of `ips` less `excludeIPs`, at most 2^63-1. */
  readonly totalIPCount?: number;
  /** Addresses that are taken. */
  readonly allocatedIPCount?: number;
}
