import type { IPClaim, IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import { ipClaimLabels } from '../contracts/ip-claim.ts';
import { labelHash } from './label-hash.ts';

/** The labels that a claim must have to be found: they say what its spec says. */
export function claimLabels({ pool, holders, identity }: IPClaimSpec): Readonly<Record<string, string>> {
  const [first, second] = holders;
  return {
    [ipClaimLabels.pool]: labelHash(pool),
    ...(first && { [ipClaimLabels.node]: labelHash(first.node) }),
    ...(second && { [ipClaimLabels.secondNode]: labelHash(second.node) }),
    ...(identity !== undefined && { [ipClaimLabels.identity]: labelHash(identity) }),
  };
}

/** The claim with another spec, and the labels that go with it; labels of others stay. */
export function withSpec(claim: IPClaim, spec: IPClaimSpec): IPClaim {
  const others = Object.entries(claim.metadata.labels ?? {}).filter(([key]) => !ours.has(key));
  const labels = { ...Object.fromEntries(others), ...claimLabels(spec) };
  return { ...claim, metadata: { ...claim.metadata, labels }, spec };
}

const ours: ReadonlySet<string> = new Set(Object.values(ipClaimLabels));
