import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import proto from '@temporalio/proto';

const codec = proto.temporal.api.history.v1.History;
const fileOf = (name: string): string => join(import.meta.dirname, '../testdata', `${name}.history.json`);

/** Keeps a history as protobuf.js spells it in JSON: the SDK's own `historyToJSON` needs one copy of protobufjs, npm installs three. */
export async function writeHistory(name: string, history: History): Promise<void> {
  const plain = codec.toObject(codec.fromObject(history), { enums: String, longs: String, bytes: String });
  await writeFile(fileOf(name), `${JSON.stringify(plain, undefined, 2)}\n`);
}

/** Reads what {@link writeHistory} wrote. */
export async function readHistory(name: string): Promise<History> {
  return codec.fromObject(JSON.parse(await readFile(fileOf(name), 'utf8')) as Record<string, unknown>);
}
