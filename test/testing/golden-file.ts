import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from '@jest/globals';

/** Whether golden files are to be written anew (`make golden`) instead of compared; review then reads the difference. */
export const isWritingGolden = (process.env['GOLDEN'] ?? '') !== '';

/** Compares a text with the golden file beside the test that names it. */
export function expectGolden(file: URL, text: string): void {
  if (isWritingGolden) {
    mkdirSync(dirname(file.pathname), { recursive: true });
    writeFileSync(file, text);
  }
  expect(text).toBe(readFileSync(file, 'utf8'));
}
