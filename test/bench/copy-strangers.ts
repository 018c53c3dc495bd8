import { text } from 'node:stream/consumers';
import { ports } from '../../deploy/dev/layout.ts';
import type { BenchPool } from './pools.ts';
import { asAnother, type Stored, type StrangersObjects, strangerOf } from './stranger.ts';

/** Standard input of this program, which runs beside etcd and writes what the API server would have written, without its work. */
export interface CopyOrder {
  readonly pool: BenchPool;
  readonly original: Omit<StrangersObjects, 'stored'>;
  /** Keys of the original's pod, endpoint and claim. */
  readonly keys: readonly string[];
  /** Numbers of the strangers to make. */
  readonly from: number;
  readonly to: number;
  /** From this number on nothing is published of them yet. */
  readonly unpublishedFrom: number;
}

/** Transactions at a time: etcd writes to its log what has come together. */
const atOnce = 32;

/** etcd's JSON gateway: bytes are base64. */
async function etcd<Answer>(call: string, body: object): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${ports.etcd}/v3/kv/${call}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`etcd ${call}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Answer;
}

const inBase64 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('base64');

async function read(key: string): Promise<Stored> {
  const { kvs } = await etcd<{ readonly kvs?: readonly { readonly value: string }[] }>('range', { key: inBase64(key) });
  if (kvs?.[0] === undefined) throw new Error(`etcd has no ${key}`);
  return { key, value: Buffer.from(kvs[0].value, 'base64').toString('latin1') };
}

async function copy({ pool, original, keys, from, to, unpublishedFrom }: CopyOrder): Promise<void> {
  const stored = await Promise.all(keys.map((key) => read(key)));
  const unpublished = stored.filter(({ key }) => !key.includes('/spiderendpoints/'));
  const waiting = Array.from({ length: to - from }, (_, at) => from + at).values();
  const lane = async (): Promise<void> => {
    for (const index of waiting) {
      const objects = { ...original, stored: index < unpublishedFrom ? stored : unpublished };
      const puts = asAnother(objects, strangerOf(pool, index)).map(({ key, value }) => ({
        requestPut: { key: inBase64(key), value: inBase64(value) },
      }));
      // No two claims in one: a watch that is opened again between two objects of the same resourceVersion misses the second.
      await etcd('txn', { success: puts });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

await copy(JSON.parse(await text(process.stdin)) as CopyOrder);
