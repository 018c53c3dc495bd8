import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { type Identity, identityText, isOfOneInterface } from '../ipam/sticky-identity.ts';

/** An address that a NIC may have from before. */
export interface KeptClaim {
  readonly claim: IPClaim;
  /** What it sticks to, and the pod has; absent: it is this very pod's. */
  readonly identity?: Identity;
}

export interface KeptBy {
  readonly podUID: string;
  readonly ifName: string;
  /** `nicIdentities` of the pod. */
  readonly identities: readonly Identity[];
}

/** What an ADD of this NIC looks at before any pool, in its order: what its identities have, whichever pod had it last, then its own. */
export function keptClaims(claims: readonly IPClaim[], { podUID, ifName, identities }: KeptBy): readonly KeptClaim[] {
  const kept = claims.filter(({ spec: { phase } }) => phase === 'Bound' || phase === 'Held');
  const ofIdentities = identities.flatMap((identity) => {
    const text = identityText(identity);
    return kept
      .filter(({ spec }) => spec.identity === text)
      .filter(({ spec }) => isOfOneInterface(text) || spec.holders.some((holder) => holder.interface === ifName))
      .map((claim) => ({ claim, identity }));
  });
  const own = kept
    .filter(({ spec }) => spec.holders.some((holder) => holder.podUID === podUID && holder.interface === ifName))
    .filter((claim) => !ofIdentities.some((one) => one.claim === claim))
    .map((claim) => ({ claim }));
  return [...ofIdentities, ...own];
}
