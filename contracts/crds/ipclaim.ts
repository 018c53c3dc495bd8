// Generated from deploy/crds/ipclaim.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** One address that is taken, and by whom. Creating it is the allocation. */
export interface IPClaim {
  readonly apiVersion: 'orbweaver.io/v1alpha1';
  readonly kind: 'IPClaim';
  readonly metadata: ObjectMeta;
  readonly spec: IPClaimSpec;
}

export interface IPClaimSpec {
  /** The address with its pool's prefix length, for example "10.70.8.20/22". */
  readonly address: string;
  /** Name of the SpiderIPPool that the address came from. */
  readonly pool: string;
  /**
   * Bound: in use by its holder. Held: its sandbox is gone, it is kept for the pod or the identity. Cooling: free after
   * `until`. Suspect: given back without its node's word, so its next taker probes first. Conflicted: something else on
   * the network answers for it.
   */
  readonly phase: 'Bound' | 'Held' | 'Cooling' | 'Suspect' | 'Conflicted';
  /** When this phase may end, by the clock of the control worker. */
  readonly until?: string;
  /** Who holds the address; two only during a KubeVirt migration. */
  readonly holders: readonly {
    /** Namespace of the pod. */
    readonly namespace: string;
    /** Name of the pod. */
    readonly pod: string;
    /** UID that the runtime passed; a static pod's differs from its mirror's. */
    readonly podUID: string;
    /** Interface in the pod. */
    readonly interface: string;
    /** Name of the network configuration. */
    readonly network: string;
    /** Sandbox that uses the address. A release compares it. */
    readonly containerID: string;
    /** Path of the sandbox's network namespace. */
    readonly netns: string;
    /** The kernel's number of that namespace until reboot; a path can be reused, a cookie cannot. */
    readonly netnsCookie: string;
    /** Node of the sandbox. */
    readonly node: string;
    /** Product UUID of the node's machine. */
    readonly machineID: string;
    /** Boot of that machine in which the sandbox was made. */
    readonly bootID: string;
  }[];
  /** What the address sticks to, for example "StatefulSet/pay/api/0"; absent unless it is sticky. */
  readonly identity?: string;
  /** It was held or taken over once, so a failed ADD gives it back as Held instead of deleting it. */
  readonly kept?: boolean;
  /**
   * Nobody has said that its last sandbox is silent. Held: its next taker asks the network first. Conflicted: it is
   * Suspect again afterwards.
   */
  readonly unproven?: boolean;
}
