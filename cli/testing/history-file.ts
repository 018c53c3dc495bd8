import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { fromHistoryJson, toHistoryJson } from '../../test/testing/history-json.ts';

const fileOf = (name: string): string => join(import.meta.dirname, '../testdata', `${name}.history.json`);

/** Keeps a history as a golden file. */
export const writeHistory = async (name: string, history: History): Promise<void> =>
  await writeFile(fileOf(name), toHistoryJson(history));

/** Reads what {@link writeHistory} wrote. */
export const readHistory = async (name: string): Promise<History> =>
  fromHistoryJson(await readFile(fileOf(name), 'utf8'));
