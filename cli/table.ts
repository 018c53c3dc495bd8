import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';

/** Width that a table keeps to where no terminal says otherwise. */
export const DEFAULT_COLUMNS = 120;

const gap = 2;
const narrowest = 8;
const borderless = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' '.repeat(gap),
};

/**
 * Prints rows under a head, as kubectl does. A table wider than `columns` cuts its widest column, with "…"; its caller gives
 * the whole text with `-o json`.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns = DEFAULT_COLUMNS,
): string {
  const natural = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(widthOf)),
  );
  const printed = new Table({
    chars: borderless,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    colWidths: fit(natural, columns),
  });
  printed.push([...head], ...rows.map((row) => [...row]));
  return printed
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Takes from the widest column until all fit. */
function fit(widths: readonly number[], columns: number): number[] {
  const fitted = [...widths];
  const room = columns - gap * (widths.length - 1);
  for (let excess = fitted.reduce((sum, width) => sum + width, 0) - room; excess > 0; excess -= 1) {
    const widest = Math.max(...fitted);
    if (widest <= narrowest) break;
    fitted[fitted.lastIndexOf(widest)] = widest - 1;
  }
  return fitted;
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length;
