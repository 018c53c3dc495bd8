import type { Sightings, SweepVerdict } from '../contracts/sweep.ts';

/** The current details of a sweep, as the Temporal UI shows them (Markdown): what was seen, who was asked, what they said. */
export function toMarkdown(
  { seen, suspects, left, postponed, expired = [] }: Sightings,
  verdicts: readonly SweepVerdict[],
  state: string,
): string {
  const byOutcome = [...Map.groupBy(verdicts, ({ outcome }) => outcome)];
  const outcomes = byOutcome.map(([outcome, those]) => `${those.length} ${outcome}`).join(', ');
  const facts = [
    `Seen: ${seen.claims} claims, ${seen.openRuns} open runs, ${seen.pods} pods`,
    `Suspects: ${suspects.length}${postponed === 0 ? '' : `, and ${postponed} for the next sweep`}`,
    ...(expired.length === 0 ? [] : [`Their time was over: ${expired.map((name) => `\`${name}\``).join(', ')}`]),
    ...(suspects.length === 0 ? [] : [`State: ${state}${outcomes === '' ? '' : `: ${outcomes}`}`]),
  ];
  return [
    facts.map((fact) => `- ${fact}`).join('\n'),
    ...tableOf(
      ['Claim or run', 'Pod', 'Node', 'Answer', 'Reason'],
      verdicts.map(({ subject, pod, node, outcome, reason }) => [`\`${subject}\``, pod, node, outcome, reason]),
    ),
    ...tableOf(
      ['Left alone', 'Node', 'Why', 'For example'],
      left.map(({ count, node, why, subjects }) => [String(count), node || '–', why, subjects.slice(0, 3).join(', ')]),
    ),
  ].join('\n\n');
}

/** Rows of a table; a history has all of them. */
const shownRows = 50;

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const more = rows.length > shownRows ? [`… and ${rows.length - shownRows} more`] : [];
  const lines = [line(head), `|${'---|'.repeat(head.length)}`, ...rows.slice(0, shownRows).map(line)];
  return [lines.join('\n'), ...more];
}
