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
import { parseIdentity, podNameOf } from '../ipam/sticky-identity.ts';
import { blockedClaims, endBlocked } from './end-blocked.ts';
import type { Identities } from './node-ports.ts';
import { sideBySide } from './side-by-side.ts';
import {
  beginningAt,
  heldForIdentities,
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
  /** RFC 3339: when the phase is over, if it ends by itself. */
  readonly until?: string;
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
    /** As they were a moment ago: what looks abandoned in it is read. */
    list(): Promise<readonly ListedClaim[]>;
    /** From a read that begins now; undefined when it is gone. */
    read(name: string): Promise<ReadClaim | undefined>;
  };
  readonly pods: {
    /** As they were a moment ago: one that is not in it is looked for. */
    list(): Promise<PodsSeen>;
    /** From a read that begins now: a pod of this name and UID, its own or its mirror's; without a UID any of that name. */
    isThere(pod: PodIdentity): Promise<boolean>;
    /** From a read that begins now: UID of the pod of this name, if its containers run. */
    runningUID(namespace: string, name: string): Promise<string | undefined>;
  };
  readonly runs: { listOpen(): Promise<readonly OpenRun[]> };
  readonly nodes: { state(name: string): Promise<NodeState> };
  readonly identities: Identities;
}

export interface SweepPorts extends SurveyPorts {
  readonly claims: SurveyPorts['claims'] & {
    /**
     * Ends a claim that is Held for an identity which has ended, or whose time is over, if it is still as it was seen: deleted, or,
     * when nobody has said that its last sandbox is silent, `suspect`, and then of no identity.
     */
    end(seen: {
      readonly name: string;
      readonly uid: string;
      readonly version: string;
    }): Promise<'deleted' | 'suspect' | 'changed'>;
  };
  readonly runs: SurveyPorts['runs'] & { isOpen(workflowId: string, runId: string): Promise<boolean> };
  /** Unix time; the machine's when absent. */
  readonly now?: () => number;
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
  /** Claims that end by the clock, some time. */
  readonly blocked: readonly string[];
}

/** As the first look's lists show it. */
type Listed = Omit<Suspect, 'version'>;

/** One that the sweep does not ask about. */
export interface LeftSuspect extends Listed {
  readonly why: string;
}

export const createSweepActivities = (ports: SweepPorts): SweepActivities => ({
  async findSuspects(limits) {
    const start = Math.random();
    const { left, blocked, ...survey } = await surveyZombies(ports, limits, start);
    const expired = await endBlocked(blocked, start, ports);
    return { ...survey, left: inGroups(left), ...(expired.length === 0 ? {} : { expired }) } satisfies Sightings;
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
    const ofNode = same.filter(({ identity }) => identity === undefined);
    const ended = same.filter(({ identity }) => identity !== undefined);
    return [
      ...cleared,
      ...(await sideBySide(ended, readsAtOnce, (suspect) => endClaim(suspect, ports))),
      ...(ofNode.length === 0 ? [] : await askAbout(node, ofNode, ports)),
    ];
  },
});

/** Reads at a time of one activity: the API server has other work. */
const readsAtOnce = 16;
/** Owners of so many are looked at in one sweep: a cluster may have thousands of machines that are stopped. */
const mostIdentities = 1000;

/**
 * The first look: compares names, then reads the suspects among them and looks for their pods. Claims and runs come before pods: in
 * lists a pod that is just being created is then never missed. `start`: see `withinLimits`.
 */
export async function surveyZombies(ports: SurveyPorts, limits: SweepLimits, start: number): Promise<Survey> {
  const [claims, runs] = await Promise.all([ports.claims.list(), ports.runs.listOpen()]);
  const pods = await ports.pods.list();
  const suspicions = suspicionsOf(claims, runs, pods).map(listed);
  const ended = (await endedIdentities(claims, pods, ports, start)).map(listed);
  const lost = new Map<string, string>();
  await sideBySide([...new Set(suspicions.map(({ node }) => node))], readsAtOnce, async (node) => {
    const why = node === '' ? 'it names no node' : lostNodes[await ports.nodes.state(node)];
    if (why !== undefined) lost.set(node, why);
  });

  const left = suspicions.flatMap((suspect): LeftSuspect[] => {
    const why = lost.get(suspect.node);
    return why === undefined ? [] : [{ ...suspect, why }];
  });
  const open = [...suspicions.filter(({ node }) => !lost.has(node)), ...ended];
  const byNode = Map.groupBy(open, ({ node }) => node);
  const chosen = withinLimits(byNode, limits, start);
  const read = await sideBySide(chosen, readsAtOnce, (suspicion) => sighted(suspicion, ports));
  return {
    seen: { claims: claims.length, openRuns: runs.length, pods: pods.count },
    suspects: read.flatMap((suspect) => suspect ?? []),
    left,
    postponed: open.length - chosen.length,
    blocked: blockedClaims(claims),
  };
}

/** Held claims of identities that have ended, or whose pod runs without them. */
async function endedIdentities(
  claims: readonly ListedClaim[],
  pods: PodsSeen,
  ports: SurveyPorts,
  start: number,
): Promise<readonly Suspicion[]> {
  const held = beginningAt(heldForIdentities(claims, pods), start).slice(0, mostIdentities);
  const whys = await whyEnded(held, ports);
  return held.flatMap((claim, at): Suspicion[] => {
    const why = whys[at];
    return why === undefined ? [] : [{ kind: 'claim', claim, reason: `Held for ${claim.identity}, and ${why}` }];
  });
}

/** Of each Held claim why nobody will come back for it; undefined where somebody may, or where nobody can tell. */
async function whyEnded(
  held: readonly Pick<ListedClaim, 'identity' | 'pod'>[],
  { identities, pods }: SurveyPorts,
): Promise<readonly (string | undefined)[]> {
  const states = await identities.states(held.map(({ identity }) => identity));
  return await sideBySide(held, readsAtOnce, async ({ identity: text, pod }) => {
    const found = states.get(text);
    if (found?.state === 'ended') return found.why;
    const identity = parseIdentity(text);
    const podName = identity && podNameOf(identity);
    if (identity === undefined || podName === undefined) return undefined;
    // A pod that runs got the addresses of all its interfaces when its sandbox was made: it did not ask for this one.
    const uid = await pods.runningUID(identity.namespace, podName);
    return uid === undefined || uid === pod.uid ? undefined : `pod ${identity.namespace}/${podName} runs without it`;
  });
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
  const { name, phase, identity, node, pod, containerID, pool } = suspicion.claim;
  const ofIdentity = phase === 'Held' && identity !== '' ? { identity } : {};
  return { kind, subject: name, uid: '', node, pod, containerID, pool, reason, ...ofIdentity };
};

/** The suspect as it is now; undefined when its pod is there, when a claim is not any more what its list showed, or somebody else holds it too. */
async function sighted(suspect: Listed, { claims, pods }: SurveyPorts): Promise<Suspect | undefined> {
  if (await pods.isThere(suspect.pod)) return undefined;
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
async function whyCleared(suspect: Suspect, ports: SweepPorts): Promise<string | undefined> {
  const { claims, runs, pods } = ports;
  const { kind, subject, uid, version, pod, identity } = suspect;
  if (kind === 'run') {
    if (!(await runs.isOpen(subject, uid))) return 'the run has ended';
  } else {
    const claim = await claims.read(subject);
    if (claim === undefined) return 'the claim is gone';
    if (claim.uid !== uid) return 'the claim was made anew';
    if (claim.resourceVersion !== version) return 'the claim was changed meanwhile';
  }
  if (await pods.isThere(pod)) return 'its pod is there';
  if (identity === undefined) return undefined;
  const [why] = await whyEnded([{ identity, pod }], ports);
  return why === undefined ? `nobody says any more that ${identity} has ended` : undefined;
}

async function endClaim(suspect: Suspect, { claims }: SweepPorts): Promise<SweepVerdict> {
  const { subject: name, uid, version, reason } = suspect;
  try {
    const end = await claims.end({ name, uid, version });
    if (end === 'changed') return verdictOn(suspect, 'cleared', 'the claim was changed meanwhile');
    if (end === 'deleted') return verdictOn(suspect, 'released', reason);
    return verdictOn(suspect, 'kept', `${reason}; nobody has said that its sandbox is silent: it is Suspect now`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return verdictOn(suspect, 'kept', `it could not be released: ${why}`);
  }
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
