import { type Paint, paintFor } from '../paint.ts';

/** Where a command's answer goes, and how it should look there. */
export interface Terminal {
  print(text: string): void;
  printError(text: string): void;
  readonly paint: Paint;
  readonly paintError: Paint;
  /** Width that tables keep to. */
  readonly columns: number;
}

export const processTerminal = (): Terminal => ({
  print: (text) => process.stdout.write(`${text}\n`),
  printError: (text) => process.stderr.write(`${text}\n`),
  paint: paintFor(process.stdout),
  paintError: paintFor(process.stderr),
  // Whoever reads a pipe wants whole names.
  columns: process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
});

export type OutputFormat = 'text' | 'json';

/** JSON as scripts read it: two spaces, big integers as decimal text. */
export const toJSON = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part), 2);
