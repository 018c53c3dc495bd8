import type { Failure } from '../contracts/failures.ts';
import type {
  ExplainedCall,
  ExplainedInterface,
  ExplainedRun,
  ExplainedStep,
  Explanation,
  RunSummary,
  Standing,
} from './explanation.ts';
import type { Paint, Tone } from './paint.ts';
import { renderPods, shortID } from './pod-table.ts';
import { table } from './table.ts';
import { duration, type WallClock } from './wall-clock.ts';

const tones = { attached: 'good', waiting: 'busy', failed: 'bad', none: 'bold' } as const satisfies Record<
  Standing,
  Tone
>;
/** A pod that cannot start has a run for every try of its kubelet: the newest tell enough. */
const earlierShown = 10;

/** Tells the story of one pod's network: the verdict, what to do, then what happened and who holds what. */
export function renderExplanation(explanation: Explanation, clock: WallClock, paint: Paint, columns?: number): string {
  const { standing, run, claims, earlier, warnings, interfaces } = explanation;
  const remedies = new Set(interfaces.flatMap(({ failure }) => failure?.remedy ?? []));
  const rest = earlier.length - earlierShown;
  return [
    [
      paint(tones[standing], verdict(explanation, clock)),
      ...[...remedies].map((remedy) => `${paint('bold', 'Remedy:')} ${remedy}`),
      ...warnings.map((warning) => `${paint('busy', 'Warning:')} ${warning}`),
    ].join('\n'),
    ...(run === undefined
      ? []
      : [renderRun(run, clock), section('What happened', renderStory(run, clock, paint), paint)]),
    ...(interfaces.length === 0
      ? []
      : [section(interfacesTitle[explanation.source], renderInterfaces(interfaces, columns), paint)]),
    ...(claims.length === 0 ? [] : [section('Claims', renderPods(claims, columns), paint)]),
    ...(earlier.length === 0
      ? []
      : [
          section(
            'Earlier runs',
            earlier
              .slice(0, earlierShown)
              .map((summary) => renderSummary(summary, clock))
              .join('\n'),
            paint,
          ),
          ...(rest > 0 ? [`… and ${rest} more: -o json`] : []),
        ]),
  ].join('\n\n');
}

const interfacesTitle = {
  worker: 'Interfaces, as the node worker says now',
  history: 'Interfaces, as the run recorded them',
  none: 'Interfaces',
} as const;

/** The whole story in one sentence. */
export function verdict({ namespace, name, interfaces, run, claims, earlier }: Explanation, clock: WallClock): string {
  const pod = `${namespace}/${name}`;
  const clauses = interfaces.map((nic) => clauseOf(nic, run, clock));
  if (clauses.length > 0) return `${pod} ${clauses.join('; ')}`;
  if (run === undefined) {
    const held = claims.map(({ address }) => address).join(' and ');
    if (held !== '')
      return `${pod} holds ${held}, but Temporal knows no run of it: its history has expired, or it was never here`;
    return `${pod} has no network, and Temporal knows ${earlier.length === 0 ? 'no run of it' : 'only older runs of it'}`;
  }
  const { closed } = run;
  if (closed === undefined)
    return `${pod} has no interface at the moment, and its run is open since ${clock.time(run.startedAtMs)}`;
  const at = clock.time(closed.atMs);
  if (closed.how === 'Completed') return `${pod} has no network: its last interface was released at ${at}`;
  if (closed.how === 'Failed') return `${pod} ${failed(closed.failure)}`;
  const how = { Terminated: 'was terminated', Cancelled: 'was cancelled', TimedOut: 'timed out' }[closed.how];
  return `${pod} has no network: its run ${how} at ${at}${closed.reason === undefined ? '' : `, because ${closed.reason}`}`;
}

function clauseOf(
  { ifName, phase, addresses, failure, sinceMs, attachedInMs }: ExplainedInterface,
  run: ExplainedRun | undefined,
  clock: WallClock,
): string {
  const since = sinceMs === undefined ? '' : ` since ${clock.time(sinceMs)}`;
  switch (phase) {
    case 'Attached': {
      const held = addresses.map(({ address }) => address.split('/', 1).join()).join(' and ') || 'no address';
      return `has ${held} on ${ifName}${since}${attachedInMs === undefined ? '' : ` (attached in ${duration(attachedInMs)})`}`;
    }
    case 'Attaching':
    case 'Unwinding':
      return `waits for ${ifName}${since}: ${obstacleOf(run, clock)}`;
    case 'Detaching':
      return `is giving back ${ifName}${since}: ${obstacleOf(run, clock)}`;
    case 'Failed':
    case 'UnwindStuck':
      return failed(failure, ` on ${ifName}`);
    default:
      return `is ${String(phase satisfies never)} on ${ifName}`; // a phase that a newer worker knows
  }
}

function obstacleOf(run: ExplainedRun | undefined, clock: WallClock): string {
  const retried = run?.calls.flatMap(({ steps }) => steps).findLast(({ isRetrying }) => isRetrying);
  if (retried?.failure !== undefined) return `"${titleOf(retried)}" is tried again, because ${retried.failure.message}`;
  if (run?.waitingSinceMs !== undefined) {
    return `no worker of node ${run.node} has taken it up since ${clock.time(run.waitingSinceMs)}; there: orb node`;
  }
  return `the worker of node ${run?.node ?? 'the pod'} is at it`;
}

const failed = (failure: Failure | undefined, where = ''): string =>
  failure === undefined ? `failed${where}` : `failed${where}: ${failure.type}. ${failure.message}`;

function renderRun(
  { workflowID, runID, containerID, node, startedAtMs, closed }: ExplainedRun,
  clock: WallClock,
): string {
  const end = closed === undefined ? 'still open' : `${endings[closed.how]} ${clock.precise(closed.atMs)}`;
  return [
    `Sandbox   ${containerID}`,
    `Node      ${node}`,
    `Run       started ${clock.precise(startedAtMs)}, ${end}`,
    `Workflow  ${workflowID}`,
    `Run ID    ${runID}`,
  ].join('\n');
}

const endings = {
  Completed: 'completed',
  Failed: 'failed',
  Terminated: 'terminated',
  Cancelled: 'cancelled',
  TimedOut: 'timed out',
} as const;

function renderStory({ calls, incidents, closed }: ExplainedRun, clock: WallClock, paint: Paint): string {
  const steps = calls.flatMap((call) => call.steps);
  const widths = {
    title: Math.max(0, ...steps.map((step) => titleOf(step).length)),
    took: Math.max(0, ...steps.map((step) => tookOf(step).length)),
  };
  const entries = [
    ...calls.map((call) => ({ atMs: call.arrivedAtMs, lines: callLines(call, clock, paint, widths) })),
    ...incidents.map(({ atMs, what }) => ({ atMs, lines: [`${clock.precise(atMs)}  ${paint('busy', what)}`] })),
  ].sort((a, b) => a.atMs - b.atMs);
  const end =
    closed === undefined
      ? []
      : [
          `${clock.precise(closed.atMs)}  run ${endings[closed.how]}${closed.reason === undefined ? '' : `: ${closed.reason}`}`,
        ];
  return [...entries.flatMap(({ lines }) => lines), ...end].join('\n');
}

function callLines(call: ExplainedCall, clock: WallClock, paint: Paint, widths: StepWidths): readonly string[] {
  const { command, attachment, arrivedAtMs, outcome, tookMs, failure, steps } = call;
  const { ifName, network, kind } = attachment;
  const name = command === 'add' ? 'ADD' : 'DEL';
  const took = tookMs === undefined ? '' : ` ${outcome === 'failed' ? 'after' : 'in'} ${duration(tookMs)}`;
  const type = failure === undefined ? '' : `: ${failure.type}`;
  const head = `${clock.precise(arrivedAtMs)}  ${name} ${ifName} (network ${network}, ${kind}): ${paint(outcomeTones[outcome], `${outcomeWords[outcome]}${took}${type}`)}`;
  return [head, ...steps.map((step) => stepLine(step, call, paint, widths))];
}

const outcomeTones = {
  attached: 'good',
  detached: 'good',
  failed: 'bad',
  running: 'busy',
  unanswered: 'busy',
} as const satisfies Record<ExplainedCall['outcome'], Tone>;

const outcomeWords = {
  attached: 'attached',
  detached: 'released',
  failed: 'failed',
  running: 'not done yet',
  unanswered: 'not done when the run ended',
} as const;

interface StepWidths {
  readonly title: number;
  readonly took: number;
}

function stepLine(
  step: ExplainedStep,
  { arrivedAtMs, failure }: ExplainedCall,
  paint: Paint,
  widths: StepWidths,
): string {
  const offset = `+${duration(step.startedAtMs - arrivedAtMs)}`.padStart(10);
  const line = `${offset}  ${titleOf(step).padEnd(widths.title)}  ${tookOf(step).padStart(widths.took)}`;
  const spelled = (found: Failure): string =>
    found.message === failure?.message ? found.type : `${found.type}: ${found.message}`;
  const told = [
    step.brought,
    step.failure && paint('bad', `${step.isRetrying ? 'will be tried again, ' : ''}${spelled(step.failure)}`),
    step.failure === undefined && step.retriedAfter && `before that ${spelled(step.retriedAfter)}`,
  ].filter(Boolean);
  return told.length === 0 ? line : `${line}  ${told.join('; ')}`;
}

const tookOf = ({ attempts, lastAttemptMs, startedAtMs, endedAtMs }: ExplainedStep): string =>
  attempts === 1 ? duration(lastAttemptMs) : `${attempts} attempts in ${duration(endedAtMs - startedAtMs)}`;

/** Activities as an operator thinks of them; one that a newer worker has keeps its name. */
const titles: Readonly<Record<string, string>> = {
  claimAddresses: 'claim addresses',
  plumbLink: 'make the interface',
  removeLink: 'remove the interface',
  releaseAddresses: 'release addresses',
  answerFailure: 'answer the caller',
};

const titleOf = ({ name, isUndo }: ExplainedStep): string => `${isUndo ? 'undo: ' : ''}${titles[name] ?? name}`;

function renderInterfaces(interfaces: readonly ExplainedInterface[], columns?: number): string {
  const cells = interfaces.map(({ ifName, network, kind, phase, addresses }) => [
    ifName,
    network,
    kind,
    addresses.map(({ address, pool }) => `${address} (${pool})`).join(', ') || '–',
    phase,
  ]);
  return table(['NIC', 'NETWORK', 'KIND', 'ADDRESSES', 'STATE'], cells, columns);
}

function renderSummary(
  { startedAtMs, closedAtMs, containerID, status, phase, node, addresses }: RunSummary,
  clock: WallClock,
): string {
  const span = closedAtMs === undefined ? 'open' : `for ${duration(closedAtMs - startedAtMs)}`;
  const state = [...new Set([phase?.toLowerCase(), status.toLowerCase()])].filter(Boolean).join(', ');
  const held = addresses.length === 0 ? '' : `  ${addresses.join(' ')}`;
  return `${clock.precise(startedAtMs)}  ${shortID(containerID)}  on ${node ?? '–'}  ${span}  ${state}${held}`;
}

const section = (title: string, body: string, paint: Paint): string => `${paint('bold', title)}\n${body}`;
