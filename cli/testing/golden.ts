import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * What `cli/testdata/<name>` says `text` should be, for a test to compare. With `GOLDEN=1` the file is written first, for a
 * review of the difference.
 */
export async function golden(name: string, text: string): Promise<string> {
  const path = join(import.meta.dirname, '../testdata', name);
  if (process.env['GOLDEN'] === '1') await writeFile(path, `${text}\n`);
  return (await readFile(path, 'utf8')).replace(/\n$/, '');
}
