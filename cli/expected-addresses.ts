import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { type Failure, toFailure } from '../contracts/failures.ts';
import type { AddressWish, ClaimedAddress } from '../contracts/pod-network.ts';
import { type Address, formatAddress, fromClaimName, parseAddress, toClaimName } from '../ipam/address.ts';
import { formatCidr } from '../ipam/cidr.ts';
import { poolExhausted } from '../ipam/failures.ts';
import { contains } from '../ipam/interval-set.ts';
import { pickAddress } from '../ipam/pick-address.ts';
import type { PoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { PoolRequest } from '../ipam/pool-request.ts';
import { toClaimedAddress } from '../ipam/pool-routes.ts';
import { selectPools } from '../ipam/select-pools.ts';
import { narrowTo, readWishes, type WantedCandidates } from '../ipam/wanted-address.ts';

/** The addresses that an ADD would have, or why it would have none. */
export type ExpectedAddresses =
  | {
      readonly outcome: 'expected';
      readonly addresses: readonly ExpectedAddress[];
      readonly warnings: readonly string[];
    }
  | { readonly outcome: 'refused'; readonly failure: Failure };

export interface ExpectedAddress extends ClaimedAddress {
  /** The pod has it already, or asks for no other; else it stands for whichever one of its pool the ADD gets. */
  readonly isKnown: boolean;
}

export interface ExpectationEvidence {
  readonly request: PoolRequest;
  readonly podUID: string;
  /** Exact addresses that the pod asks for on this NIC. */
  readonly wishes: readonly AddressWish[];
  readonly catalogue: PoolCatalogue;
  readonly claims: readonly IPClaim[];
  /** What the pod's other interfaces were told to expect. */
  readonly others: readonly ClaimedAddress[];
}

/** Chooses as an ADD of this NIC would now: what the pod has first, then the first pool with a free address. Allocates nothing. */
export function expectAddresses(evidence: ExpectationEvidence): ExpectedAddresses {
  const { request, wishes, catalogue } = evidence;
  const selection = selectPools(request, catalogue);
  if (selection.outcome !== 'selected') return { outcome: 'refused', failure: selection.failure };
  const wanted = readWishes(wishes);
  if (wanted.outcome === 'refused') return wanted;
  const narrowing = narrowTo(wanted.wanted, selection.families, catalogue.reserved, selection.source);
  if (narrowing.outcome === 'refused') return narrowing;
  try {
    const addresses = narrowing.families.map((candidates) => expectOne(evidence, candidates));
    return { outcome: 'expected', addresses, warnings: selection.warnings };
  } catch (error) {
    return { outcome: 'refused', failure: toFailure(error) };
  }
}

function expectOne(evidence: ExpectationEvidence, candidates: WantedCandidates): ExpectedAddress {
  const { request, podUID, claims, others } = evidence;
  const { family, pools, skipped, wanted } = candidates;
  const routes = {
    ...candidates.routes,
    // A route of the pod goes to one NIC: the first that has its gateway in its network.
    podRoutes: (candidates.routes.podRoutes ?? []).filter(
      ({ dst, gw }) =>
        !others.some((other) =>
          other.routes.some((route) => route.dst === formatCidr(dst) && route.gw === formatAddress(gw)),
        ),
    ),
  };
  for (const own of claimsOf(claims, evidence)) {
    const pool = own.family === family && pools.find((one) => contains(one.candidates, own.value));
    if (pool) return { ...toClaimedAddress(pool, own, routes), isKnown: true };
  }
  const names = new Set([...claims.map(({ metadata }) => metadata.name), ...others.map(claimNameOf)]);
  const taken = new Set([...names].flatMap((name) => valueIn(name, family)));
  for (const pool of pools) {
    const pick = pickAddress(pool, taken, { podUID, ifName: request.ifName });
    if (pick.outcome === 'picked') {
      return { ...toClaimedAddress(pool, pick.address, routes), isKnown: wanted !== undefined };
    }
  }
  throw poolExhausted(family, pools, skipped);
}

/** Of this pod and NIC, whichever sandbox has them now. */
const claimsOf = (claims: readonly IPClaim[], { request, podUID }: ExpectationEvidence): Address[] =>
  claims
    .filter(({ spec }) =>
      spec.holders.some((holder) => holder.podUID === podUID && holder.interface === request.ifName),
    )
    .filter(({ spec }) => spec.phase === 'Bound' || spec.phase === 'Held')
    .flatMap(({ metadata }) => fromClaimName(metadata.name) ?? []);

const claimNameOf = ({ address }: ClaimedAddress): string => {
  const parsed = parseAddress(address.replace(/\/.*/, ''));
  return parsed === undefined ? '' : toClaimName(parsed);
};

function valueIn(name: string, family: 4 | 6): bigint[] {
  const address = fromClaimName(name);
  return address?.family === family ? [address.value] : [];
}
