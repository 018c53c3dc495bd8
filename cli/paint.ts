import { styleText } from 'node:util';

export type Tone = 'bold' | 'dim' | 'good' | 'bad' | 'busy';

/** Marks a piece of text; renderers take it as an argument, so their golden files stay plain. */
export type Paint = (tone: Tone, text: string) => string;

export const plain: Paint = (_, text) => text;

const styles = { bold: 'bold', dim: 'dim', good: 'green', bad: ['bold', 'red'], busy: 'yellow' } as const;

/** Colours for a terminal; `styleText` itself leaves the text alone for NO_COLOR and where the stream is no terminal. */
export const paintFor =
  (stream: NodeJS.WritableStream): Paint =>
  (tone, text) =>
    styleText(styles[tone] as Parameters<typeof styleText>[0], text, { stream });
