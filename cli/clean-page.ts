import type { Paint } from './paint.ts';
import { table } from './table.ts';

/** What became of everything of ours on a node: the JSON of `orb node clean`. */
export interface CleanReport {
  readonly isDryRun: boolean;
  readonly items: readonly CleanReportItem[];
  readonly warnings: readonly string[];
}

export interface CleanReportItem {
  readonly what: string;
  /** Path of the namespace; absent on the node. */
  readonly netns?: string;
  /** `removed` also when it was gone by itself, for example with its link. */
  readonly outcome: 'removed' | 'to be removed' | 'kept' | 'failed';
  readonly why: string;
  /** What was done, or would be, as ip(8) commands. */
  readonly commands: readonly string[];
}

export function renderClean({ isDryRun, items, warnings }: CleanReport, paint: Paint, columns?: number): string {
  const number = (outcome: CleanReportItem['outcome']): number =>
    items.filter((item) => item.outcome === outcome).length;
  const [removed, kept, failed] = [number(isDryRun ? 'to be removed' : 'removed'), number('kept'), number('failed')];
  const verdict =
    items.length === 0
      ? paint('good', 'Nothing of ours is on this node')
      : [
          paint(failed > 0 ? 'bad' : 'good', `${removed} ${isDryRun ? 'would be removed' : 'removed'}`),
          ...(kept > 0 ? [paint('busy', `${kept} kept`)] : []),
          ...(failed > 0 ? [paint('bad', `${failed} failed`)] : []),
        ].join(', ');
  const commands = items.flatMap((item) => item.commands);
  return [
    [verdict, ...warnings.map((warning) => `${paint('busy', 'Warning:')} ${warning}`)].join('\n'),
    ...(items.length === 0 ? [] : [renderItems(items, columns)]),
    ...(commands.length === 0 ? [] : [`${paint('bold', isDryRun ? 'As commands' : 'Done')}\n${commands.join('\n')}`]),
  ].join('\n\n');
}

const renderItems = (items: readonly CleanReportItem[], columns?: number): string =>
  table(
    ['WHAT', 'WHERE', 'OUTCOME', 'WHY'],
    items.map(({ what, netns = 'node', outcome, why }) => [what, netns, outcome, why]),
    columns,
  );
