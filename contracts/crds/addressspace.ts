// Generated from deploy/crds/addressspace.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/**
 * Creations and edits of pools and Subnets of one family that were admitted and may not be objects yet. An entry goes
 * when its object was seen, or after 90 s.
 */
export interface AddressSpace {
  readonly apiVersion: 'orbweaver.io/v1alpha1';
  readonly kind: 'AddressSpace';
  readonly metadata: ObjectMeta;
  readonly spec: AddressSpaceSpec;
}

export interface AddressSpaceSpec {
  readonly entries: readonly {
    readonly kind: 'SpiderIPPool' | 'SpiderSubnet';
    readonly name: string;
    /** UID that the object will have. */
    readonly uid: string;
    /** Generation that the object will have. */
    readonly generation: number;
    readonly subnet: string;
    /** `ips` less `excludeIPs`, as addresses and ranges. */
    readonly ranges: readonly string[];
    /** The ranges were too many; these cover them and more. */
    readonly rounded?: boolean;
    /** Unix time in milliseconds at which it was admitted. */
    readonly since: number;
  }[];
}
