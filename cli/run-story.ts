import type { Failure } from '../contracts/failures.ts';
import type { ExplainedCall, ExplainedRun, ExplainedStep, Incident } from './explanation.ts';
import type { Paint, Tone } from './paint.ts';
import { duration, type WallClock } from './wall-clock.ts';

/** What happened in a run, call by call: each with its steps, and what happened to the run meanwhile. */
export function renderStory({ calls, incidents, closed }: ExplainedRun, clock: WallClock, paint: Paint): string {
  const steps = calls.flatMap((call) => call.steps);
  const widths = {
    title: Math.max(0, ...steps.map((step) => titleOf(step).length)),
    took: Math.max(0, ...steps.map((step) => tookOf(step).length)),
  };
  const ownerOf = (incident: Incident): ExplainedCall | undefined => calls.find((call) => isDuring(call, incident));
  const entries = [
    ...calls.map((call) => {
      const own = incidents.filter((incident) => ownerOf(incident) === call);
      return { atMs: call.arrivedAtMs, lines: callLines(call, own, clock, paint, widths) };
    }),
    ...incidents
      .filter((incident) => ownerOf(incident) === undefined)
      .map(({ atMs, what }) => ({ atMs, lines: [`${clock.precise(atMs)}  ${paint('busy', what)}`] })),
  ].sort((a, b) => a.atMs - b.atMs);
  const end =
    closed === undefined
      ? []
      : [
          `${clock.precise(closed.atMs)}  run ${endings[closed.how]}${closed.reason === undefined ? '' : `: ${closed.reason}`}`,
        ];
  return [...entries.flatMap(({ lines }) => lines), ...end].join('\n');
}

const isDuring = ({ arrivedAtMs, tookMs = Number.POSITIVE_INFINITY }: ExplainedCall, { atMs }: Incident): boolean =>
  atMs >= arrivedAtMs && atMs <= arrivedAtMs + tookMs;

function callLines(
  call: ExplainedCall,
  incidents: readonly Incident[],
  clock: WallClock,
  paint: Paint,
  widths: StepWidths,
): readonly string[] {
  const { command, attachment, arrivedAtMs, outcome, tookMs, failure, steps } = call;
  const { ifName, network, kind } = attachment;
  const name = command === 'add' ? 'ADD' : 'DEL';
  const took = tookMs === undefined ? '' : ` ${outcome === 'failed' ? 'after' : 'in'} ${duration(tookMs)}`;
  const type = failure === undefined ? '' : `: ${failure.type}`;
  const head = `${clock.precise(arrivedAtMs)}  ${name} ${ifName} (network ${network}, ${kind}): ${paint(outcomeTones[outcome], `${outcomeWords[outcome]}${took}${type}`)}`;
  const lines = [
    ...steps.map((step) => ({ atMs: step.startedAtMs, line: stepLine(step, call, paint, widths) })),
    ...incidents.map(({ atMs, what }) => ({ atMs, line: `${offset(atMs - arrivedAtMs)}  ${paint('busy', what)}` })),
  ].sort((a, b) => a.atMs - b.atMs);
  return [head, ...lines.map(({ line }) => line)];
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
  const line = `${offset(step.startedAtMs - arrivedAtMs)}  ${titleOf(step).padEnd(widths.title)}  ${tookOf(step).padStart(widths.took)}`;
  const spelled = (found: Failure): string =>
    found.message === failure?.message ? found.type : `${found.type}: ${found.message}`;
  const told = [
    step.brought,
    step.failure && paint('bad', `${step.isRetrying ? 'will be tried again, ' : ''}${spelled(step.failure)}`),
    step.failure === undefined && step.retriedAfter && `before that ${spelled(step.retriedAfter)}`,
  ].filter(Boolean);
  return told.length === 0 ? line : `${line}  ${told.join('; ')}`;
}

const offset = (ms: number): string => `+${duration(ms)}`.padStart(10);

const tookOf = ({ attempts, lastAttemptMs, startedAtMs, endedAtMs }: ExplainedStep): string =>
  attempts === 1 ? duration(lastAttemptMs) : `${attempts} attempts in ${duration(endedAtMs - startedAtMs)}`;

/** How a run ended, in a sentence. */
export const endings = {
  Completed: 'completed',
  Failed: 'failed',
  Terminated: 'terminated',
  Cancelled: 'cancelled',
  TimedOut: 'timed out',
} as const;

/** Activities as an operator thinks of them; one that a newer worker has keeps its name. */
const titles: Readonly<Record<string, string>> = {
  claimAddresses: 'claim addresses',
  plumbLink: 'make the interface',
  lendRdma: 'lend the RDMA device',
  removeLink: 'remove the interface',
  releaseAddresses: 'release addresses',
  answerFailure: 'answer the caller',
};

/** What a step is called on the page. */
export const titleOf = ({ name, isUndo }: ExplainedStep): string => `${isUndo ? 'undo: ' : ''}${titles[name] ?? name}`;
