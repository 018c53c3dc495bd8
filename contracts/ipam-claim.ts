import type { ObjectMeta } from './crds/object-meta.ts';

/**
 * k8s.cni.cncf.io/v1alpha1, of the Network Plumbing Working Group: addresses of one interface that pods have one after the other.
 * Whoever makes an interface persistent creates it; we write the status.
 */
export interface IPAMClaim {
  readonly apiVersion: 'k8s.cni.cncf.io/v1alpha1';
  readonly kind: 'IPAMClaim';
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly network?: string;
    readonly interface?: string;
    /** What is asked for: at most one CIDR of each family. */
    readonly ipRequests?: readonly string[];
  };
  readonly status?: IPAMClaimStatus;
}

export interface IPAMClaimStatus {
  /** What it has: at most one CIDR of each family. Others may leave it out. */
  readonly ips?: readonly string[];
  /** The pod that has them, or had them last. The kind had only its name here before v0.5.1-alpha. */
  readonly ownerPod?: { readonly name: string } | string;
  readonly conditions?: readonly Condition[];
}

/** Kubernetes API, meta/v1. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

/** Name of the pod that has the addresses, or had them last; empty when the status names none. */
export function ownerOf({ ownerPod = '' }: IPAMClaimStatus): string {
  return typeof ownerPod === 'string' ? ownerPod : ownerPod.name;
}

/** Condition of an IPAMClaim that has its addresses, and the reasons that are ours. */
export const allocatedCondition = 'IPsAllocated';
export const allocationReasons = { claimed: 'ClaimedByOrbweaver', released: 'ReleasedByOrbweaver' } as const;

/** We wrote this status: what it says is read from the claims of its addresses, never from here. */
export const isAllocatedByUs = (status: IPAMClaimStatus | undefined): boolean =>
  (status?.conditions ?? []).some(
    ({ type, reason }) => type === allocatedCondition && Object.values<string>(allocationReasons).includes(reason),
  );
