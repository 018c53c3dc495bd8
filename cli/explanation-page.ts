import type { Failure } from '../contracts/failures.ts';
import type { ExplainedInterface, ExplainedRun, Explanation, RunSummary, Standing } from './explanation.ts';
import { renderAttachment } from './kernel-page.ts';
import type { Paint, Tone } from './paint.ts';
import { renderPods, shortID } from './pod-table.ts';
import { endings, renderStory, titleOf } from './run-story.ts';
import { table } from './table.ts';
import { duration, type WallClock } from './wall-clock.ts';

const tones = { attached: 'good', waiting: 'busy', failed: 'bad', none: 'bold' } as const satisfies Record<
  Standing,
  Tone
>;
/** A pod that cannot start has a run for every try of its kubelet: the newest tell enough. */
const othersShown = 10;

/** Tells the story of one pod's network: the verdict, what to do, then what happened and who holds what. */
export function renderExplanation(explanation: Explanation, clock: WallClock, paint: Paint, columns?: number): string {
  const { standing, run, claims, others, warnings, interfaces, onNode = [], notOnNode } = explanation;
  const remedies = new Set(interfaces.flatMap(({ failure }) => failure?.remedy ?? []));
  const rest = others.length - othersShown;
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
    ...(onNode.length === 0
      ? []
      : [section(kernelTitle, onNode.map((one) => renderAttachment(one, paint)).join('\n\n'), paint)]),
    ...(notOnNode === undefined ? [] : [section('Links, routes, rules and tables', notOnNode, paint)]),
    ...(claims.length === 0 ? [] : [section('Claims', renderPods(claims, columns), paint)]),
    ...(others.length === 0
      ? []
      : [
          section(
            'Other runs of this pod, newest first',
            others
              .slice(0, othersShown)
              .map((summary) => renderSummary(summary, clock))
              .join('\n'),
            paint,
          ),
          ...(rest > 0 ? [`… and ${rest} more: -o json`] : []),
        ]),
  ].join('\n\n');
}

const kernelTitle = 'In the kernel: + is missing, - should not be there';

const interfacesTitle = {
  worker: 'Interfaces, as the node worker says now',
  history: 'Interfaces, as the run recorded them',
  none: 'Interfaces',
} as const;

/** The whole story in one sentence. */
export function verdict({ namespace, name, interfaces, run, claims }: Explanation, clock: WallClock): string {
  const pod = `${namespace}/${name}`;
  const clauses = interfaces.map((nic) => clauseOf(nic, run, clock));
  if (clauses.length > 0) return `${pod} ${clauses.join('; ')}`;
  if (run === undefined) {
    const held = claims.map(({ address }) => address).join(' and ');
    if (held !== '')
      return `${pod} holds ${held}, but Temporal knows no run of it: its history has expired, or it was never here`;
    return `${pod} has no network, and Temporal knows no run of it`;
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
