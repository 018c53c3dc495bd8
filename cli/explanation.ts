import { type Attachment, attachmentKey, type PodIdentity } from '../contracts/attachment.ts';
import type { Failure } from '../contracts/failures.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import type { AttachmentReport } from '../contracts/node-report.ts';
import type { ClaimedAddress, InterfacePhase, NetworkConf, PodNetworkState } from '../contracts/pod-network.ts';
import type { NetPhase } from '../contracts/search-attributes.ts';
import type { PodRow } from './pod-table.ts';
import { type CallEvent, type CloseEvent, firstCallID, type RunHistory, type StepEvent } from './run-history.ts';

/** What `orb explain pod` knows: its JSON, and all that its page is made of. Times are Unix milliseconds with fractions. */
export interface Explanation {
  readonly namespace: string;
  readonly name: string;
  readonly standing: Standing;
  /** Where the pod's network stands, interface by interface; of the newest run. */
  readonly interfaces: readonly ExplainedInterface[];
  /** Who said so: the node's worker just now, or the history that it wrote. */
  readonly source: 'worker' | 'history' | 'none';
  readonly run?: ExplainedRun;
  /** The other runs of pods of this name, newest first. */
  readonly others: readonly RunSummary[];
  readonly claims: readonly PodRow[];
  /** What does not fit together, or could not be looked up. */
  readonly warnings: readonly string[];
  /** What the sandbox has in the kernel of its node, beside what it should have. */
  readonly onNode?: readonly AttachmentReport[];
  /** Why that is not known. */
  readonly notOnNode?: string;
}

/** `waiting`: work is under way. `none`: there was a network and it was taken away, or nothing is known. */
export type Standing = 'attached' | 'waiting' | 'failed' | 'none';

export interface ExplainedInterface {
  readonly ifName: string;
  readonly network: string;
  readonly kind: Attachment['kind'];
  readonly phase: InterfacePhase;
  readonly addresses: readonly ClaimedAddress[];
  readonly failure?: Failure;
  /** When it reached this phase, where the history says. */
  readonly sinceMs?: number;
  /** From the arrival of the ADD to the end of its last step. */
  readonly attachedInMs?: number;
}

export interface ExplainedRun {
  readonly workflowID: string;
  readonly runID: string;
  readonly containerID: string;
  readonly pod: PodIdentity;
  readonly node: string;
  readonly startedAtMs: number;
  readonly closed?: Closing;
  readonly calls: readonly ExplainedCall[];
  readonly incidents: readonly Incident[];
  readonly waitingSinceMs?: number;
}

export type Closing = Omit<CloseEvent, 'kind'>;

export interface ExplainedCall {
  readonly command: 'add' | 'detach';
  readonly attachment: Attachment;
  readonly arrivedAtMs: number;
  /** `unanswered`: the run was closed before this was done. */
  readonly outcome: 'attached' | 'detached' | 'failed' | 'running' | 'unanswered';
  /** From arrival to the end of the last step; absent while it runs. */
  readonly tookMs?: number;
  readonly addresses: readonly ClaimedAddress[];
  readonly failure?: Failure;
  readonly steps: readonly ExplainedStep[];
}

export interface ExplainedStep extends Omit<StepEvent, 'kind' | 'result'> {
  readonly isUndo: boolean;
  /** What it brought, for example "10.70.8.20/22 from rack7-v4". */
  readonly brought?: string;
}

/** Something that happened to the run itself. */
export interface Incident {
  readonly atMs: number;
  readonly what: string;
}

/** A run as visibility lists it. */
export interface RunSummary {
  readonly workflowID: string;
  readonly runID: string;
  readonly containerID: string;
  readonly startedAtMs: number;
  readonly closedAtMs?: number;
  /** As Temporal names it, for example "RUNNING". */
  readonly status: string;
  readonly node?: string;
  readonly phase?: NetPhase;
  readonly addresses: readonly string[];
}

export interface Evidence {
  readonly namespace: string;
  readonly name: string;
  /** The run to explain. */
  readonly run?: RunSummary;
  readonly history?: RunHistory;
  /** The worker's own word, when it answered. */
  readonly live?: PodNetworkState;
  readonly others: readonly RunSummary[];
  /** Undefined when they could not be read: then nothing is concluded from their absence. */
  readonly claims: readonly PodRow[] | undefined;
  readonly warnings: readonly string[];
}

/** Puts together what the history, the worker and the claims say of one pod. */
export function explain({ namespace, name, run, history, live, others, claims, warnings }: Evidence): Explanation {
  const explained = run && history && explainRun(run, history);
  const told = explained === undefined ? [] : interfacesOf(explained);
  const interfaces = live === undefined ? told : live.interfaces.map((nic) => withHistory(nic, told));
  return {
    namespace,
    name,
    standing: standingOf(interfaces, explained),
    interfaces,
    source: live !== undefined ? 'worker' : explained !== undefined ? 'history' : 'none',
    ...(explained === undefined ? {} : { run: explained }),
    others,
    claims: claims ?? [],
    warnings: [...warnings, ...(claims && explained ? contradictions(interfaces, explained, claims) : [])],
  };
}

function explainRun({ workflowID, runID, containerID }: RunSummary, history: RunHistory): ExplainedRun {
  const closed = history.events.find((event) => event.kind === 'closed');
  const incidents = history.events.flatMap((event): Incident[] => {
    if (event.kind === 'stall') return [{ atMs: event.atMs, what: event.why }];
    if (event.kind === 'cancel-requested')
      return [{ atMs: event.atMs, what: 'somebody asked for the run to be cancelled' }];
    return [];
  });
  return {
    workflowID,
    runID,
    containerID,
    pod: history.first.pod,
    node: history.first.node,
    startedAtMs: history.startedAtMs,
    ...(closed === undefined ? {} : { closed: closingOf(closed) }),
    calls: callsOf(history, closed),
    incidents,
    ...(history.waitingSinceMs === undefined ? {} : { waitingSinceMs: history.waitingSinceMs }),
  };
}

const closingOf = ({ kind: _kind, ...closing }: CloseEvent): Closing => closing;

/** A call while its steps are being collected. */
interface OpenCall {
  readonly event: CallEvent;
  readonly steps: StepEvent[];
  isDone: boolean;
  answer?: { readonly atMs: number; readonly failure?: Failure };
}

/** Calls of one sandbox take turns in the order in which they came, so a step belongs to the oldest call that is not done. */
function callsOf({ events }: RunHistory, closed: CloseEvent | undefined): readonly ExplainedCall[] {
  const calls: OpenCall[] = [];
  for (const event of events) {
    if (event.kind === 'add' || event.kind === 'detach') calls.push({ event, steps: [], isDone: false });
    if (event.kind === 'step') {
      const call = calls.find(({ isDone }) => !isDone) ?? calls.at(-1);
      call?.steps.push(event);
      // The first ADD has no answer in the history: its last step is its end.
      if (call?.event.id === firstCallID && isLastStep(call.event, event)) call.isDone = true;
    }
    if (event.kind === 'answer') {
      const call = calls.find(({ event: { id } }) => id === event.to);
      if (call !== undefined) Object.assign(call, { isDone: true, answer: event });
    }
  }
  return calls.map((call) => explainCall(call, closed));
}

const isLastStep = ({ kind, request }: CallEvent, { name, failure }: StepEvent): boolean =>
  name === 'answerFailure' || (kind === 'add' && failure === undefined && name === lastStepOf(request.network));

const lastStepOf = ({ provides, coordination }: NetworkConf): keyof NodeActivities =>
  coordination === undefined ? lastSteps[provides] : 'coordinate';

const lastSteps = {
  interface: 'plumbLink',
  addresses: 'claimAddresses',
  links: 'prepareLinks',
  rdma: 'lendRdma',
  coordination: 'coordinate',
} as const;

function explainCall({ event, steps, isDone, answer }: OpenCall, closed: CloseEvent | undefined): ExplainedCall {
  const { attachment } = event.request;
  const last = steps.findLast(({ isRetrying }) => !isRetrying);
  const isFirst = event.id === firstCallID;
  const failure = answer?.failure ?? (isFirst ? closed?.failure : undefined) ?? failureOf(event, steps);
  const outcome =
    failure !== undefined ? 'failed' : isDone ? outcomes[event.kind] : closed === undefined ? 'running' : 'unanswered';
  const arrivedAtMs = event.kind === 'add' ? event.request.arrivedAtMs : (steps[0]?.startedAtMs ?? event.atMs);
  const hasEnded = isDone || outcome === 'failed';
  const claimed = steps.findLast(({ name, result }) => name === 'claimAddresses' && result !== undefined);
  return {
    command: event.kind,
    attachment,
    arrivedAtMs,
    outcome,
    ...(hasEnded && last !== undefined ? { tookMs: rounded(last.endedAtMs - arrivedAtMs) } : {}),
    addresses: outcome === 'attached' ? ((claimed?.result ?? []) as readonly ClaimedAddress[]) : [],
    ...(failure === undefined ? {} : { failure }),
    steps: steps.map((step) => explainStep(event.kind, step)),
  };
}

const outcomes = { add: 'attached', detach: 'detached' } as const;
const undoSteps: ReadonlySet<string> = new Set(['removeLink', 'releaseAddresses']);

/** While a failed ADD is still being undone, its failure is only in its steps. */
function failureOf({ kind }: CallEvent, steps: readonly StepEvent[]): Failure | undefined {
  if (kind === 'detach') return undefined;
  return steps.find(({ name, failure, isRetrying }) => failure !== undefined && !isRetrying && !undoSteps.has(name))
    ?.failure;
}

function explainStep(command: 'add' | 'detach', step: StepEvent): ExplainedStep {
  const { kind: _kind, result, ...told } = step;
  const brought = broughtBy(step.name, result);
  return {
    ...told,
    endedAtMs: rounded(step.endedAtMs),
    lastAttemptMs: rounded(step.lastAttemptMs),
    isUndo: command === 'add' && undoSteps.has(step.name),
    ...(brought === undefined ? {} : { brought }),
  };
}

/** The results of steps were written by our activities, in the version of that day: what is not as expected is not shown. */
function broughtBy(name: string, result: unknown): string | undefined {
  if (name === 'claimAddresses' && Array.isArray(result)) {
    return (result as Partial<ClaimedAddress>[]).map(({ address, pool }) => `${address} from ${pool}`).join(', ');
  }
  if (name === 'plumbLink') {
    const [nic] =
      (result as { interfaces?: { name?: string; mac?: string; mtu?: number }[] } | undefined)?.interfaces ?? [];
    return nic && [nic.name, nic.mac && `MAC ${nic.mac}`, nic.mtu && `MTU ${nic.mtu}`].filter(Boolean).join(', ');
  }
  return undefined;
}

/** What the run's state is after these calls: the same rows that the worker would answer. */
function interfacesOf({ calls, closed }: ExplainedRun): readonly ExplainedInterface[] {
  const rows = new Map<string, ExplainedInterface>();
  for (const { command, attachment, outcome, addresses, failure, arrivedAtMs, tookMs } of calls) {
    const { ifName, network, kind } = attachment;
    const key = attachmentKey(attachment);
    const known = rows.get(key);
    if (outcome === 'detached') {
      rows.delete(key);
      continue;
    }
    if (command === 'add' && outcome === 'attached' && known?.phase === 'Attached') continue; // repeated, and answered the same
    rows.set(key, {
      ifName,
      network,
      kind,
      phase: phaseOf(command, outcome, failure),
      addresses: command === 'detach' ? (known?.addresses ?? []) : addresses,
      ...(failure === undefined ? {} : { failure }),
      ...(tookMs === undefined ? { sinceMs: arrivedAtMs } : { sinceMs: rounded(arrivedAtMs + tookMs) }),
      ...(outcome === 'attached' && tookMs !== undefined ? { attachedInMs: tookMs } : {}),
    });
  }
  const isOver = closed !== undefined && closed.how !== 'Failed';
  return isOver ? [] : [...rows.values()];
}

function phaseOf(
  command: 'add' | 'detach',
  outcome: ExplainedCall['outcome'],
  failure: Failure | undefined,
): InterfacePhase {
  if (command === 'detach') return 'Detaching';
  if (outcome === 'attached') return 'Attached';
  if (outcome !== 'failed') return 'Attaching';
  return failure?.type === 'UnwindStuck' ? 'UnwindStuck' : 'Failed';
}

function withHistory(
  nic: PodNetworkState['interfaces'][number],
  told: readonly ExplainedInterface[],
): ExplainedInterface {
  const { ifName, network, kind, phase, addresses, failure } = nic;
  const known = told.find(
    (row) => row.ifName === ifName && row.network === network && row.kind === kind && row.phase === phase,
  );
  return {
    ifName,
    network,
    kind,
    phase,
    addresses,
    ...(failure === undefined ? {} : { failure }),
    ...(known?.sinceMs === undefined ? {} : { sinceMs: known.sinceMs }),
    ...(known?.attachedInMs === undefined ? {} : { attachedInMs: known.attachedInMs }),
  };
}

function standingOf(interfaces: readonly ExplainedInterface[], run: ExplainedRun | undefined): Standing {
  const phases = interfaces.map(({ phase }) => phase);
  if (phases.some((phase) => phase === 'Failed' || phase === 'UnwindStuck')) return 'failed';
  if (phases.some((phase) => phase !== 'Attached')) return 'waiting';
  if (phases.length > 0) return 'attached';
  return run !== undefined && run.closed === undefined ? 'waiting' : 'none';
}

/** A claim is the truth about an address, the run about a sandbox: where they differ, somebody has to look. */
function contradictions(
  interfaces: readonly ExplainedInterface[],
  run: ExplainedRun,
  claims: readonly PodRow[],
): readonly string[] {
  const attached = interfaces.filter(({ phase }) => phase === 'Attached').flatMap(({ addresses }) => addresses);
  const bound = claims.filter(({ containerID, phase }) => containerID === run.containerID && phase === 'Bound');
  const missing = attached.filter(({ address }) => !bound.some((claim) => claim.address === address));
  const left = run.closed === undefined ? [] : bound;
  return [
    ...missing.map(({ address }) => `The run has ${address}, but no claim of this sandbox holds it: see orb pods -A`),
    ...left.map(
      ({ address }) =>
        `The run is closed, but its sandbox still holds ${address}: the node's worker frees it, see orb node`,
    ),
  ];
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;
