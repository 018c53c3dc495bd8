import type { IPClaimSpec } from '../contracts/crds/ipclaim.ts';

/**
 * Why an attachment gives its claims back. `delete`: the pod is gone. `end`: the pod is gone, and so is what its addresses stick
 * to. `hold`: the pod lives and will come back for the address. `undo`: its ADD failed.
 */
export type Disposition = 'delete' | 'end' | 'hold' | 'undo';

/** The attachment whose claims are released; a claim belongs to it when a holder has all three. */
export interface ClaimingAttachment {
  readonly containerID: string;
  readonly interface: string;
  readonly network: string;
}

export type AfterRelease =
  | { readonly outcome: 'nothing to release' }
  | { readonly outcome: 'delete' }
  | { readonly outcome: 'update'; readonly spec: IPClaimSpec };

/**
 * What becomes of a claim when this attachment releases it. A sticky claim is held until its identity ends; one that was held
 * or taken over once (`kept`) is not lost by a failed ADD. While another holder stands, only this one leaves.
 */
export function afterRelease(
  spec: IPClaimSpec,
  attachment: ClaimingAttachment,
  disposition: Disposition,
): AfterRelease {
  const others = spec.holders.filter((holder) => !isHeldBy(holder, attachment));
  const isForeign = others.length === spec.holders.length;
  if (isForeign || spec.phase === 'Cooling' || spec.phase === 'Conflicted') return { outcome: 'nothing to release' };
  if (others.length > 0) return { outcome: 'update', spec: { ...spec, holders: others } };

  const isSticky = spec.identity !== undefined && disposition !== 'end';
  const stays = disposition === 'hold' || isSticky || (disposition === 'undo' && spec.kept === true);
  if (!stays) return { outcome: 'delete' };
  if (spec.phase === 'Held') return { outcome: 'nothing to release' };
  const { until: _, ...rest } = spec;
  return { outcome: 'update', spec: { ...rest, phase: 'Held', kept: true } };
}

export const isHeldBy = (
  holder: ClaimingAttachment,
  { containerID, interface: nic, network }: ClaimingAttachment,
): boolean => holder.containerID === containerID && holder.interface === nic && holder.network === network;

/**
 * What a claim becomes when something else answers for its address: nobody's, until the control worker's clock says so. One that
 * was Suspect is so again then, because its last sandbox may be what answered.
 */
export function toConflicted(spec: IPClaimSpec, until: string): IPClaimSpec {
  const { identity: _, kept: __, unproven = spec.phase === 'Suspect', ...rest } = spec;
  return { ...rest, phase: 'Conflicted', until, ...(unproven ? { unproven } : {}) };
}
