import type { Survey } from '../activities/sweep.ts';
import { nodeCheckId } from '../contracts/node-check.ts';
import type { Suspect, SweepReport } from '../contracts/sweep.ts';
import type { Paint } from './paint.ts';
import { shortID } from './pod-table.ts';
import { table } from './table.ts';

/** JSON of `orb reclaim --dry-run`: what a sweep would ask, and whom. */
export interface DryRun extends Omit<Survey, 'suspects' | 'postponed' | 'blocked'> {
  readonly suspects: readonly (Suspect & { readonly question: Question })[];
}

export interface Question {
  /** Workflow ID of the question to the node's worker; absent where nobody has to be asked. */
  readonly workflowID?: string;
  readonly ask: string;
}

export const dryRunOf = ({ seen, suspects, left }: Omit<Survey, 'blocked'>): DryRun => ({
  seen,
  suspects: suspects.map((suspect) => ({ ...suspect, question: questionOf(suspect) })),
  left,
});

const questionOf = ({ kind, node, containerID, identity }: Suspect): Question =>
  identity === undefined
    ? {
        workflowID: nodeCheckId(node),
        ask: `is sandbox ${shortID(containerID)} gone? Then ${kind === 'claim' ? 'release the address' : 'end the run'}`,
      }
    : { ask: 'nothing: no sandbox has it, and the sweep releases it' };

export function renderDryRun({ seen, suspects, left }: DryRun, paint: Paint, columns?: number): string {
  const rows = suspects.map(({ subject, pool = '–', node, pod, reason, question }) => [
    subject,
    pool,
    node,
    `${pod.namespace}/${pod.name}`,
    reason,
    question.ask,
  ]);
  return [
    `${seenText(seen)}: ${suspects.length === 0 ? paint('good', 'nothing is abandoned') : paint('busy', suspectsText(suspects.length))}`,
    ...(rows.length === 0
      ? []
      : [
          table(['CLAIM OR RUN', 'POOL', 'NODE', 'POD', 'WHY SUSPECTED', "ASKED OF THE NODE'S WORKER"], rows, columns),
          'Nothing was asked yet: a sweep looks a second time after 10 s, and asks about those that look the same. Now: orb reclaim',
        ]),
    ...(left.length === 0
      ? []
      : [
          `${paint('bold', 'Left alone')}\n${table(
            ['CLAIM OR RUN', 'POOL', 'NODE', 'POD', 'WHY SUSPECTED', 'WHY LEFT ALONE'],
            left.map(({ subject, pool = '–', node, pod, reason, why }) => [
              subject,
              pool,
              node || '–',
              `${pod.namespace}/${pod.name}`,
              reason,
              why,
            ]),
            columns,
          )}`,
        ]),
  ].join('\n\n');
}

export function renderReport(
  { seen, verdicts, left, postponed, expired = [] }: SweepReport,
  paint: Paint,
  columns?: number,
): string {
  const tones = { released: 'good', absent: 'dim', cleared: 'dim', kept: 'busy', unanswered: 'bad' } as const;
  return [
    `${seenText(seen)}: ${verdicts.length === 0 ? paint('good', 'nothing is abandoned') : suspectsText(verdicts.length)}`,
    ...(verdicts.length === 0
      ? []
      : [
          table(
            ['CLAIM OR RUN', 'NODE', 'POD', 'OUTCOME', 'REASON'],
            verdicts.map(({ subject, node, pod, outcome, reason }) => [
              subject,
              node,
              pod,
              paint(tones[outcome], outcome),
              reason,
            ]),
            columns,
          ),
        ]),
    ...(left.length === 0
      ? []
      : [
          `${paint('bold', 'Left alone')}\n${table(
            ['COUNT', 'NODE', 'WHY', 'FOR EXAMPLE'],
            left.map(({ count, node, why, subjects }) => [String(count), node || '–', why, subjects.join(' ')]),
            columns,
          )}`,
        ]),
    ...(postponed === 0 ? [] : [`${postponed} more are for the next sweep.`]),
    ...(expired.length === 0 ? [] : [`Their time was over: ${expired.join(' ')}`]),
  ].join('\n\n');
}

const seenText = ({ claims, openRuns, pods }: SweepReport['seen']): string =>
  `${claims} claims, ${openRuns} open runs, ${pods} pods`;

const suspectsText = (count: number): string => `${count} without a pod`;
