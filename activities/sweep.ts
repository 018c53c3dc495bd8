import type { PodIdentity } from '../contracts/attachment.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import type { NodeCheckRequest, NodeCheckVerdict } from '../contracts/node-check.ts';
import type {
  LeftAlone,
  Seen,
  Sightings,
  Suspect,
  SweepActivities,
  SweepLimits,
  SweepVerdict,
} from '../contracts/sweep.ts';
import { sideBySide } from './side-by-side.ts';
import {
  type ListedClaim,
  type OpenRun,
  type PodsSeen,
  type Suspicion,
  suspicionsOf,
  withinLimits,
} from './sweep-suspects.ts';

/** A claim as it is now. */
export interface ReadClaim {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly phase: ClaimPhase;
  readonly holders: readonly {
    readonly podUID: string;
    readonly containerID: string;
    readonly node: string;
  }[];
}

/** `ready`: also a node of which nobody has said anything yet. */
export type NodeState = 'ready' | 'not ready' | 'absent';

export type CheckAnswer =
  | { readonly outcome: 'answered'; readonly verdicts: readonly NodeCheckVerdict[] }
  | { readonly outcome: 'unanswered'; readonly why: string };

/** What a first look needs. */
export interface SurveyPorts {
  readonly claims: {
    list(): Promise<readonly ListedClaim[]>;
    /** From a read that begins now; undefined when it is gone. */
    read(name: string): Promise<ReadClaim | undefined>;
  };
  /** From a list that begins now. */
  readonly pods: { list(): Promise<PodsSeen> };
  readonly runs: { listOpen(): Promise<readonly OpenRun[]> };
  readonly nodes: { state(name: string): Promise<NodeState> };
}

export interface SweepPorts extends SurveyPorts {
  readonly pods: SurveyPorts['pods'] & {
    /** From a read that begins now: a pod of this name and UID, its own or its mirror's; without a UID any of that name. */
    isThere(pod: PodIdentity): Promise<boolean>;
  };
  readonly runs: SurveyPorts['runs'] & { isOpen(workflowId: string, runId: string): Promise<boolean> };
  readonly checks: {
    /** Asks the node's worker. One question per node at a time; never throws for a worker that says nothing. */
    ask(node: string, request: NodeCheckRequest): Promise<CheckAnswer>;
  };
}

/** Everything that looks abandoned now, seen once. */
export interface Survey {
  readonly seen: Seen;
  readonly suspects: readonly Suspect[];
  readonly left: readonly LeftSuspect[];
  readonly postponed: number;
}

/** As the first look's lists show it. */
type Listed = Omit<Suspect, 'version'>;

/** One that the sweep does not ask about. */
export interface LeftSuspect extends Listed {
  readonly why: string;
}

export const createSweepActivities = (ports: SweepPorts): SweepActivities => ({
  async findSuspects(limits) {
    const { left, ...survey } = await surveyZombies(ports, limits, Math.random());
    return { ...survey, left: inGroups(left) } satisfies Sightings;
  },

  async checkNode(node, suspects) {
    const looks = await sideBySide(suspects, readsAtOnce, async (suspect) => ({
      suspect,
      cleared: await whyCleared(suspect, ports),
    }));
    const cleared = looks.flatMap(({ suspect, cleared: reason }) =>
      reason === undefined ? [] : [verdictOn(suspect, 'cleared', reason)],
    );
    const same = looks.flatMap((look) => (look.cleared === undefined ? [look.suspect] : []));
    return [...cleared, ...(same.length === 0 ? [] : await askAbout(node, same, ports))];
  },
});

/** Reads at a time of one activity: the API server has other work. */
const readsAtOnce = 16;

/**
 * The first look: lists names, then reads the suspects among them. Claims and runs come before pods, so that a pod which is just
 * being created is never missed. `start`: see `withinLimits`.
 */
export async function surveyZombies(ports: SurveyPorts, limits: SweepLimits, start: number): Promise<Survey> {
  const [claims, runs] = await Promise.all([ports.claims.list(), ports.runs.listOpen()]);
  const pods = await ports.pods.list();
  const suspicions = suspicionsOf(claims, runs, pods).map(listed);
  const byNode = Map.groupBy(suspicions, ({ node }) => node);
  const lost = new Map<string, string>();
  await sideBySide([...byNode.keys()], readsAtOnce, async (node) => {
    const why = node === '' ? 'it names no node' : lostNodes[await ports.nodes.state(node)];
    if (why !== undefined) lost.set(node, why);
  });

  const left = suspicions.flatMap((suspect): LeftSuspect[] => {
    const why = lost.get(suspect.node);
    return why === undefined ? [] : [{ ...suspect, why }];
  });
  for (const node of lost.keys()) byNode.delete(node);
  const chosen = withinLimits(byNode, limits, start);
  const read = await sideBySide(chosen, readsAtOnce, (suspicion) => sighted(suspicion, ports));
  return {
    seen: { claims: claims.length, openRuns: runs.length, pods: pods.count },
    suspects: read.flatMap((suspect) => suspect ?? []),
    left,
    postponed: suspicions.length - left.length - chosen.length,
  };
}

/** What is not asked about because no worker can vouch for its node. */
const lostNodes: Readonly<Record<NodeState, string | undefined>> = {
  ready: undefined,
  'not ready': "its node is not Ready: the node guardian's",
  absent: "its node does not exist: the node guardian's",
};

const listed = (suspicion: Suspicion): Listed => {
  const { kind, reason } = suspicion;
  if (suspicion.kind === 'run') {
    const { workflowId, runId, node, pod, containerID } = suspicion.run;
    return { kind, subject: workflowId, uid: runId, node, pod, containerID, reason };
  }
  const { name, node, pod, containerID, pool } = suspicion.claim;
  return { kind, subject: name, uid: '', node, pod, containerID, pool, reason };
};

/** The suspect as it is now; undefined when a claim is not any more what its list showed, or somebody else holds it too. */
async function sighted(suspect: Listed, { claims }: SurveyPorts): Promise<Suspect | undefined> {
  if (suspect.kind === 'run') return { ...suspect, version: '' };
  const claim = await claims.read(suspect.subject);
  const [holder, second] = claim?.holders ?? [];
  // Two holders: a virtual machine that migrates, and only one of its pods is gone.
  if (claim === undefined || holder === undefined || second !== undefined) return undefined;
  const isHeld = claim.phase === 'Bound' || claim.phase === 'Held';
  const isSame = isHeld && holder.containerID === suspect.containerID && holder.podUID === suspect.pod.uid;
  return isSame ? { ...suspect, uid: claim.uid, version: claim.resourceVersion } : undefined;
}

/** Why the second look frees it of suspicion; undefined when it looks as it did at the first. */
async function whyCleared(suspect: Suspect, { claims, runs, pods }: SweepPorts): Promise<string | undefined> {
  const { kind, subject, uid, version, pod } = suspect;
  if (kind === 'run') {
    if (!(await runs.isOpen(subject, uid))) return 'the run has ended';
  } else {
    const claim = await claims.read(subject);
    if (claim === undefined) return 'the claim is gone';
    if (claim.uid !== uid) return 'the claim was made anew';
    if (claim.resourceVersion !== version) return 'the claim was changed meanwhile';
  }
  return (await pods.isThere(pod)) ? 'its pod is there' : undefined;
}

async function askAbout(
  node: string,
  suspects: readonly Suspect[],
  { checks }: SweepPorts,
): Promise<readonly SweepVerdict[]> {
  const answer = await checks.ask(node, {
    reason: 'zombieSweep: the pod is gone',
    claims: suspects.flatMap(({ kind, subject, uid }) => (kind === 'claim' ? [{ name: subject, uid }] : [])),
    runs: suspects.flatMap(({ kind, subject, pod, containerID }) =>
      kind === 'run' ? [{ workflowId: subject, pod, containerID }] : [],
    ),
  });
  if (answer.outcome === 'unanswered') return suspects.map((suspect) => verdictOn(suspect, 'unanswered', answer.why));
  const said = new Map(answer.verdicts.map((verdict) => [verdict.subject, verdict]));
  return suspects.map((suspect) => {
    const { outcome, reason } = said.get(suspect.subject) ?? silence;
    return verdictOn(suspect, outcome, reason);
  });
}

const silence = { outcome: 'unanswered', reason: 'its worker answered, but not about this' } as const;

const verdictOn = (
  { subject, node, pod }: Suspect,
  outcome: SweepVerdict['outcome'],
  reason: string,
): SweepVerdict => ({ subject, node, pod: `${pod.namespace}/${pod.name}`, outcome, reason });

/** A lost node may leave thousands: a history gets their number and some names. */
function inGroups(left: readonly LeftSuspect[]): readonly LeftAlone[] {
  const groups = Map.groupBy(left, ({ node, why }) => `${node} ${why}`);
  return [...groups.values()].slice(0, mostGroups).flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const subjects = group.slice(0, namesPerGroup).map(({ subject }) => subject);
    return [{ node: first.node, why: first.why, count: group.length, subjects }];
  });
}

const mostGroups = 100;
const namesPerGroup = 10;
