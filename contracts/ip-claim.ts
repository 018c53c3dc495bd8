/** Names that every writer and reader of `IPClaim` must agree on; its shape is generated from the CRD. */
export const ipClaimLabels = { pool: 'orbweaver.io/pool', node: 'orbweaver.io/node' } as const;

export type ClaimPhase = 'Bound' | 'Held' | 'Cooling' | 'Suspect' | 'Conflicted';

/** Who holds an address. One per claim; two only during a KubeVirt migration. */
export interface ClaimHolder {
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly interface: string;
  readonly network: string;
  readonly containerID: string;
  /** Path and cookie prove later whether the sandbox is gone. */
  readonly netns: string;
  readonly netnsCookie: string;
  readonly node: string;
  readonly machineID: string;
  readonly bootID: string;
}
