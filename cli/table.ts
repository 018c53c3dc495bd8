import { stripVTControlCharacters } from 'node:util';

/** Width that a table keeps to where no terminal says otherwise. */
export const DEFAULT_COLUMNS = 120;

const gap = '  ';
const narrowest = 8;

/**
 * Prints rows under a head, as kubectl does. A table wider than `columns` cuts the cells of its widest columns, with "…"; the
 * whole text is in the JSON. (Not cli-table3: its borders are not wanted, and it takes 7 s for 5,000 rows.)
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns = DEFAULT_COLUMNS,
): string {
  const lines = [head, ...rows];
  const natural = head.map((_, column) =>
    lines.reduce((width, line) => Math.max(width, widthOf(line[column] ?? '')), 0),
  );
  const widths = fit(natural, columns);
  return lines
    .map((line) =>
      widths
        .map((width, column) => cell(line[column] ?? '', width))
        .join(gap)
        .trimEnd(),
    )
    .join('\n');
}

/** Takes from the widest column until all fit. */
function fit(natural: readonly number[], columns: number): readonly number[] {
  const widths = [...natural];
  const room = columns - gap.length * (widths.length - 1);
  for (let excess = widths.reduce((sum, width) => sum + width, 0) - room; excess > 0; excess -= 1) {
    const widest = Math.max(...widths);
    if (widest <= narrowest) break;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
  return widths;
}

function cell(text: string, width: number): string {
  const excess = widthOf(text) - width;
  return excess > 0 ? `${stripVTControlCharacters(text).slice(0, width - 1)}…` : text + ' '.repeat(-excess);
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length;
