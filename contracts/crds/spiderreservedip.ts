// Generated from deploy/crds/spiderreservedip.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** Addresses that are never handed out, whatever a pool says. Addresses in use stay in use. */
export interface SpiderReservedIP {
  readonly apiVersion: 'spiderpool.spidernet.io/v2beta1';
  readonly kind: 'SpiderReservedIP';
  readonly metadata: ObjectMeta;
  readonly spec: SpiderReservedIPSpec;
}

export interface SpiderReservedIPSpec {
  /** 4 or 6; derived from the first of `ips` when absent. */
  readonly ipVersion?: 4 | 6;
  /** Addresses "10.70.9.4" and ranges "10.70.8.20-10.70.8.90" of one family. */
  readonly ips?: readonly string[];
}
