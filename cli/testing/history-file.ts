import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import proto from '@temporalio/proto';

const codec = proto.temporal.api.history.v1.History;
const fileOf = (name: string): string => join(import.meta.dirname, '../testdata', `${name}.history.json`);

/**
 * Keeps a history as protobuf.js spells it in JSON, without what names the machine that it was recorded on. (The SDK's own
 * `historyToJSON` works only where npm installs one copy of protobufjs; here there are three.)
 */
export async function writeHistory(name: string, history: History): Promise<void> {
  const plain = codec.toObject(codec.fromObject(history), { enums: String, longs: String, bytes: String });
  const anonymous = (key: string, value: unknown): unknown => {
    if (key === 'stackTrace') return '';
    return typeof value === 'string' ? value.replace(/^\d+@[^-]+(?=$|-)/, 'worker') : value; // pid@host, of workers and their sticky queues
  };
  await writeFile(fileOf(name), `${JSON.stringify(plain, anonymous, 2)}\n`);
}

/** Reads what {@link writeHistory} wrote. */
export async function readHistory(name: string): Promise<History> {
  return codec.fromObject(JSON.parse(await readFile(fileOf(name), 'utf8')) as Record<string, unknown>);
}
