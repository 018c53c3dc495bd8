import type { ClusterSettings } from '../../contracts/cluster-settings.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';

/** What admission knows besides the object. */
export interface AdmissionWorld {
  readonly settings: AdmissionSettings;
  /** Every pool, from a list that began after this object's entry was written into the address space. Its own may be among them. */
  readonly pools: readonly SpiderIPPool[];
  /** Every Subnet, from a list like that of the pools; for a mutation one of the last seconds will do. */
  readonly subnets: readonly SpiderSubnet[];
  /** `userInfo.username` of the request. */
  readonly user: string;
  /** User name of the control worker, the only one who sets the addresses of automatic pools. */
  readonly controlWorker: string;
}

export type AdmissionSettings = Pick<ClusterSettings, 'families' | 'subnets' | 'refusesDeletionInUse'>;

/** An address that somebody has: a claim in phase Bound, Held or Suspect. */
export interface TakenAddress {
  /** Canonical, without prefix length. */
  readonly address: string;
  /** As a message names it: "pod pay/api-0", "StatefulSet/pay/api/0". */
  readonly holder: string;
}
