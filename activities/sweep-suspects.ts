import type { PodIdentity } from '../contracts/attachment.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';

/** A claim as a list shows it: its printer columns. */
export interface ListedClaim {
  readonly name: string;
  readonly phase: ClaimPhase;
  readonly pool: string;
  /** Empty unless the address is sticky. */
  readonly identity: string;
  readonly node: string;
  readonly pod: PodIdentity;
  readonly containerID: string;
}

/** An open `podNetwork` run as Temporal's visibility shows it. */
export interface OpenRun {
  readonly workflowId: string;
  readonly runId: string;
  /** Empty when the run does not say. */
  readonly node: string;
  /** Its `uid` is empty when the runtime did not pass one. */
  readonly pod: PodIdentity;
  readonly containerID: string;
}

/** Every pod of the cluster, by what a runtime calls it. */
export interface PodsSeen {
  readonly count: number;
  /** Own UIDs, and the UIDs in mirror annotations: a static pod's runtime knows another UID than the API server. */
  hasUID(uid: string): boolean;
  hasName(namespace: string, name: string): boolean;
}

/** What looks abandoned in a list. */
export type Suspicion = { readonly reason: string } & (
  | { readonly kind: 'claim'; readonly claim: ListedClaim }
  | { readonly kind: 'run'; readonly run: OpenRun }
);

/**
 * Compares claims and open runs with pods as they were **after** them: in lists, a pod that had a claim or a run then is among them
 * unless it went since. A Bound claim without a run is no reason: its run was terminated, and its pod keeps the address.
 */
export function suspicionsOf(
  claims: readonly ListedClaim[],
  runs: readonly OpenRun[],
  pods: PodsSeen,
): readonly Suspicion[] {
  return [
    ...claims.flatMap((claim): Suspicion[] => {
      if (!isPodsOwn(claim) || isThere(claim.pod, pods)) return [];
      return [{ kind: 'claim', claim, reason: `${claim.phase}, and ${whyGone(claim.pod, pods)}` }];
    }),
    ...runs.flatMap((run): Suspicion[] =>
      isThere(run.pod, pods) ? [] : [{ kind: 'run', run, reason: `open, and ${whyGone(run.pod, pods)}` }],
    ),
  ];
}

/** Claims that no pod has, and that are there for an identity: whether that still wants them its owner says. */
export const heldForIdentities = (claims: readonly ListedClaim[], pods: PodsSeen): readonly ListedClaim[] =>
  claims.filter(({ phase, identity, pod }) => phase === 'Held' && identity !== '' && !isThere(pod, pods));

/** The claim is there for the sake of its pod: not for an identity that outlives pods, and not on its way to be free. */
const isPodsOwn = ({ phase, identity }: ListedClaim): boolean =>
  phase === 'Bound' || (phase === 'Held' && identity === '');

const isThere = ({ namespace, name, uid }: PodIdentity, pods: PodsSeen): boolean =>
  uid === '' ? pods.hasName(namespace, name) : pods.hasUID(uid);

const whyGone = ({ namespace, name }: PodIdentity, pods: PodsSeen): string =>
  pods.hasName(namespace, name) ? `its pod's name belongs to another pod` : 'its pod does not exist';

/**
 * Takes as many as the limits allow, of each node as many as of the others as far as they have them. `start` (0 ≤ start < 1)
 * says where in each node's list to begin, so that suspects which are kept every time never keep the others waiting for good.
 */
export function withinLimits<Item>(
  byNode: ReadonlyMap<string, readonly Item[]>,
  limits: { readonly suspects: number; readonly suspectsPerNode: number },
  start: number,
): readonly Item[] {
  const turned = [...byNode.values()].map((items) => beginningAt(items, start));
  const chosen: Item[] = [];
  const inTurn = beginningAt(turned, start);
  for (let round = 0; round < limits.suspectsPerNode; round += 1) {
    const next = inTurn.flatMap((items) => items.slice(round, round + 1));
    if (next.length === 0) break;
    chosen.push(...next.slice(0, limits.suspects - chosen.length));
  }
  return chosen;
}

/** All of them, turned so that another one is the first. */
export function beginningAt<Item>(items: readonly Item[], start: number): readonly Item[] {
  const first = Math.floor(start * items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}
