// Generated from deploy/crds/pooledit.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/**
 * Addresses that an edit of a pool is about to take away. It ends with the pool's next generation, or 90 s after it was
 * made.
 */
export interface PoolEdit {
  readonly apiVersion: 'orbweaver.io/v1alpha1';
  readonly kind: 'PoolEdit';
  readonly metadata: ObjectMeta;
  readonly spec: PoolEditSpec;
}

export interface PoolEditSpec {
  /** Name of the SpiderIPPool. */
  readonly pool: string;
  /** Its UID. */
  readonly poolUID: string;
  /** The pool's generation before the edit; a later one ends this. */
  readonly generation: number;
  /** What the pool will no longer give, as addresses and ranges. */
  readonly ips: readonly string[];
  /** No node remembers the pool from before this edit any more. */
  readonly isKnown?: boolean;
}
