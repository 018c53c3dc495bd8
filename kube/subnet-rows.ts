import { hash } from 'node:crypto';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../contracts/crds/spidersubnet.ts';
import { readSeenPool, type SeenPoolObject, subnetCidrLabel } from '../ipam/auto-pools/pool-object.ts';
import { controllerOf } from '../ipam/controller-reference.ts';

/** What the supervision of Subnets keeps of a pool. */
export interface PoolRow {
  /** `spec.subnet`. */
  readonly cidr: string;
  /** Nobody controls it: its Subnet may take it on. */
  readonly isOrphan: boolean;
  readonly isTerminating: boolean;
  /** Of what it gives. */
  readonly addresses: string;
  /** Of an automatic pool: for whom it was made. */
  readonly seen?: Omit<SeenPoolObject, 'object'>;
}

export function poolRow(pool: SpiderIPPool): PoolRow {
  const { metadata, spec } = pool;
  const { object: _, ...seen } = readSeenPool(pool) ?? {};
  return {
    cidr: spec.subnet,
    isOrphan: controllerOf(metadata.ownerReferences) === undefined,
    isTerminating: metadata.deletionTimestamp !== undefined,
    addresses: fingerprint([spec.ips, spec.excludeIPs]),
    ...('made' in seen && { seen }),
  };
}

/** What the supervision of Subnets keeps of a Subnet. */
export interface SubnetRow {
  readonly cidr: string;
  readonly isTerminating: boolean;
  readonly isLabelled: boolean;
  /** Of all that is configured. */
  readonly spec: string;
  /** Recorded: how many addresses pools have. */
  readonly allocated: number;
}

export const subnetRow = ({ metadata, spec, status }: SpiderSubnet): SubnetRow => ({
  cidr: spec.subnet,
  isTerminating: metadata.deletionTimestamp !== undefined,
  isLabelled: metadata.labels?.[subnetCidrLabel] !== undefined,
  spec: fingerprint(spec),
  allocated: status?.allocatedIPCount ?? 0,
});

const fingerprint = (value: unknown): string => hash('sha256', JSON.stringify(value), 'base64url');
