import { type Candidates, claimOfSeveralNics } from '../activities/choose-pools.ts';
import { keptPool } from '../activities/sticky-claim.ts';
import { wayIn } from '../activities/take-over.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { type Failure, ProvisionError, toFailure } from '../contracts/failures.ts';
import type { AddressWish, ClaimedAddress } from '../contracts/pod-network.ts';
import { formatAddress, fromClaimName, parseAddress, toClaimName } from '../ipam/address.ts';
import { formatCidr } from '../ipam/cidr.ts';
import { poolExhausted } from '../ipam/failures.ts';
import { contains } from '../ipam/interval-set.ts';
import { nicIdentities } from '../ipam/nic-identities.ts';
import { pickAddress } from '../ipam/pick-address.ts';
import type { PoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { PoolRequest } from '../ipam/pool-request.ts';
import { toClaimedAddress } from '../ipam/pool-routes.ts';
import { selectPools } from '../ipam/select-pools.ts';
import { identityText, machineOf, migrationAnnotation } from '../ipam/sticky-identity.ts';
import { narrowTo, readWishes } from '../ipam/wanted-address.ts';
import type { PodView } from '../kube/pod-view.ts';
import { type KeptClaim, keptClaims } from './kept-claims.ts';
import type { PodStanding } from './pod-standing.ts';

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
  readonly request: PoolRequest & Pick<PodStanding, 'cluster'>;
  readonly pod: Pick<PodView, 'uid' | 'ownerReferences'>;
  /** Exact addresses that the pod asks for on this NIC. */
  readonly wishes: readonly AddressWish[];
  readonly catalogue: PoolCatalogue;
  readonly claims: readonly IPClaim[];
  /** What the pod's other interfaces were told to expect. */
  readonly others: readonly ClaimedAddress[];
}

/**
 * Chooses as an ADD of this NIC would now: what its identities and the pod have first, then the first pool with a free address.
 * Allocates nothing.
 */
export async function expectAddresses(evidence: ExpectationEvidence): Promise<ExpectedAddresses> {
  const { request, wishes, catalogue } = evidence;
  const shared = claimOfSeveralNics(request.pod, request.ifName, request.cluster);
  if (shared !== undefined) return { outcome: 'refused', failure: shared };
  const selection = selectPools(request, catalogue);
  const kept = keptOf(evidence);
  if (selection.outcome === 'refused' && selection.named !== undefined && kept.some(({ identity }) => identity)) {
    const named = selection.named.map((candidates) => ({ ...candidates, refusal: selection.failure }));
    return await expectEach({ ...evidence, kept }, named, []);
  }
  if (selection.outcome !== 'selected') return { outcome: 'refused', failure: selection.failure };
  const wanted = readWishes(wishes);
  if (wanted.outcome === 'refused') return wanted;
  const narrowing = narrowTo(wanted.wanted, selection.families, catalogue.reserved, selection.source);
  if (narrowing.outcome === 'refused') return narrowing;
  return await expectEach({ ...evidence, kept }, narrowing.families, selection.warnings);
}

interface Kept extends KeptClaim {
  /** Absent: the pod may have it now. */
  readonly whyNotYet?: string | undefined;
}

interface KeptEvidence extends ExpectationEvidence {
  readonly kept: readonly Kept[];
}

/** In the order in which an ADD takes them: of one identity it waits for what is in use only when nothing else is kept. */
function keptOf(evidence: ExpectationEvidence): readonly Kept[] {
  const { request, pod, claims } = evidence;
  const { ifName, cluster } = request;
  const identities = nicIdentities({ ...request.pod, ownerReferences: pod.ownerReferences }, ifName, cluster);
  const kept = keptClaims(claims, { podUID: pod.uid, ifName, identities }).map(
    (one): Kept => ({ ...one, whyNotYet: whyNotYet(one, evidence) }),
  );
  const isLast = (one: Kept): number => (one.whyNotYet === undefined ? 0 : 1);
  return [...Map.groupBy(kept, ({ identity }) => identity).values()].flatMap((ofOne) =>
    ofOne.toSorted((one, other) => isLast(one) - isLast(other)),
  );
}

async function expectEach(
  evidence: KeptEvidence,
  families: readonly Candidates[],
  warnings: readonly string[],
): Promise<ExpectedAddresses> {
  const addresses: ExpectedAddress[] = [];
  const all = [...warnings];
  try {
    for (const candidates of families) {
      const { warnings: own, ...expected } = await expectOne(evidence, candidates);
      addresses.push(expected);
      all.push(...own);
    }
  } catch (error) {
    return { outcome: 'refused', failure: toFailure(error) };
  }
  return { outcome: 'expected', addresses, warnings: all };
}

async function expectOne(
  evidence: KeptEvidence,
  candidates: Candidates,
): Promise<ExpectedAddress & { readonly warnings: readonly string[] }> {
  const { request, pod, claims, others, kept, catalogue } = evidence;
  const { family, pools, skipped, wanted, refusal } = candidates;
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
  const warnings: string[] = [];
  for (const { claim, identity, whyNotYet: why } of kept) {
    const address = fromClaimName(claim.metadata.name);
    if (address?.family !== family) continue;
    const pool =
      identity === undefined
        ? pools.find((candidate) => contains(candidate.candidates, address.value))
        : await keptPool(claim.spec.pool, address, { candidates, identity }, readOnce(catalogue));
    if (pool !== undefined) {
      if (why !== undefined) warnings.push(`${claim.spec.address} is ${why}`);
      return { ...toClaimedAddress(pool, address, routes), isKnown: true, warnings };
    }
    // An ADD that cannot have it cannot give it up either, and ends there.
    if (identity !== undefined && why !== undefined) {
      warnings.push(`${claim.spec.address}, which the pod gives up, is ${why}`);
    }
  }
  if (refusal !== undefined) throw new ProvisionError(refusal);
  const names = new Set([...claims.map(({ metadata }) => metadata.name), ...others.map(claimNameOf)]);
  const taken = new Set([...names].flatMap((name) => valueIn(name, family)));
  for (const pool of pools) {
    const pick = pickAddress(pool, taken, { podUID: pod.uid, ifName: request.ifName });
    if (pick.outcome === 'picked') {
      return { ...toClaimedAddress(pool, pick.address, routes), isKnown: wanted !== undefined, warnings };
    }
  }
  throw poolExhausted(family, pools, skipped);
}

const readOnce = ({ pools }: PoolCatalogue) => ({ pools: { fresh: async (name: string) => pools.get(name) } });

/** Of an address that this pod gets only when another sandbox has let go of it. */
function whyNotYet(
  { claim: { spec }, identity }: KeptClaim,
  { request, pod }: ExpectationEvidence,
): string | undefined {
  const [first] = spec.holders;
  if (first === undefined) return undefined;
  const { annotations, namespace, name } = request.pod;
  const migrating =
    annotations[migrationAnnotation] === undefined
      ? undefined
      : machineOf({ namespace, name, ownerReferences: pod.ownerReferences });
  const holder = { ...first, podUID: pod.uid, interface: request.ifName, node: request.node.name, containerID: '' };
  const found = wayIn(spec, { holder, identity: identity && identityText(identity), migrating });
  const isWaiting = found.way === 'wait' || (found.way === 'proof' && found.of.podUID !== pod.uid);
  return isWaiting ? `not free for this pod yet: ${found.why}` : undefined;
}

const claimNameOf = ({ address }: ClaimedAddress): string => {
  const parsed = parseAddress(address.replace(/\/.*/, ''));
  return parsed === undefined ? '' : toClaimName(parsed);
};

function valueIn(name: string, family: 4 | 6): bigint[] {
  const address = fromClaimName(name);
  return address?.family === family ? [address.value] : [];
}
