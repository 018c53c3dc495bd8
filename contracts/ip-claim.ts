import type { IPClaimSpec } from './crds/ipclaim.ts';

/** Names that every writer and reader of `IPClaim` must agree on; its shape is generated from the CRD. */
export const ipClaimLabels = {
  pool: 'orbweaver.io/pool',
  node: 'orbweaver.io/node',
  /** Node of the second holder. */
  secondNode: 'orbweaver.io/second-node',
  /** Only on sticky claims. */
  identity: 'orbweaver.io/identity',
} as const;

export type ClaimPhase = IPClaimSpec['phase'];

/** Who holds an address. One per claim; two only during a KubeVirt migration. Path and cookie of its namespace prove later whether the sandbox is gone. */
export type ClaimHolder = IPClaimSpec['holders'][number];
