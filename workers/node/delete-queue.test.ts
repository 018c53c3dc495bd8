import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeRequest, queueFileName, type RequestFrame } from '../../contracts/frame.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { attachmentOfDel } from './call-server.ts';
import { DeleteQueue, type DeleteQueueOptions } from './delete-queue.ts';

let directory: string;
let queues: DeleteQueue[];
const logged: { level: string; message: string; fields: object }[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'orbweaver-queue-'));
  queues = [];
  logged.length = 0;
});
afterEach(() => {
  for (const queue of queues) queue.close();
  rmSync(directory, { recursive: true, force: true });
});

const nonceOf = (index: number): string => index.toString(16).padStart(32, '0');

function del(index: number, command = 'DEL'): RequestFrame {
  return {
    environment: new Map([
      ['CNI_COMMAND', command],
      ['CNI_CONTAINERID', `c${index}`],
      ['CNI_IFNAME', 'eth0'],
      ['CNI_NETNS', ''],
      ['ORBWEAVER_PLUGIN', 'orbweaver'],
    ]),
    stdin: new TextEncoder().encode('{"cniVersion":"1.0.0","name":"underlay"}'),
    nonce: nonceOf(index),
  };
}

const attachment = (index: number) => ({
  containerID: `c${index}`,
  network: 'underlay',
  ifName: 'eth0',
  kind: 'attach' as const,
});
const sandboxOf = (frame: RequestFrame) => frame.environment.get('CNI_CONTAINERID') ?? '';

function open(detach: DeleteQueueOptions['detach'], more: Partial<DeleteQueueOptions> = {}): DeleteQueue {
  const at = (level: string) => (fields: object, message: string) => {
    logged.push({ level, message, fields });
  };
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const queue = new DeleteQueue({ directory, attachmentOf: attachmentOfDel, detach, log, ...more });
  queues.push(queue);
  return queue;
}

/** As the CNI executable leaves a DEL: a whole file with its name, put there by rename. */
const dropFile = (index: number, content: Uint8Array = encodeRequest(del(index))) =>
  writeFile(join(directory, queueFileName(BigInt(1_000 + index), nonceOf(index))), content);

const untilEmpty = (queue: DeleteQueue) =>
  eventually('the queue to be empty', 20, async () => {
    const files = await readdir(directory);
    return files.length === 0 && queue.size === 0
      ? { value: true }
      : { state: `${files.join(', ')}; ${JSON.stringify(logged.at(-1))}` };
  });

describe('a DEL that waits on disk', () => {
  it('is known once it was read, so that no ADD passes it, and is tried only after the start', async () => {
    await dropFile(1);
    const tried: string[] = [];
    const queue = open(async (frame) => void tried.push(sandboxOf(frame)));
    await queue.read();
    expect(queue.has(attachment(1))).toBe(true);
    expect(queue.has(attachment(2))).toBe(false);
    expect(queue.has({ ...attachment(1), ifName: 'net1' })).toBe(false);
    expect(tried).toEqual([]);
    queue.start();
    await untilEmpty(queue);
    expect(tried).toEqual(['c1']);
    expect(queue.has(attachment(1))).toBe(false);
  });

  it('is done oldest first', async () => {
    for (const index of [3, 1, 2]) await dropFile(index);
    const begun: string[] = [];
    const queue = open(async (frame) => void begun.push(sandboxOf(frame)));
    await queue.read();
    queue.start();
    await untilEmpty(queue);
    expect(begun).toEqual(['c1', 'c2', 'c3']);
  });

  it('is done when it appears while the worker runs', async () => {
    const done: string[] = [];
    const queue = open(async (frame) => void done.push(sandboxOf(frame)));
    await queue.read();
    queue.start();
    await dropFile(1);
    await eventually('the DEL to be done', 20, () => (done.includes('c1') ? { value: true } : { state: done.join() }));
    await untilEmpty(queue);
  });

  it('is tried again, counting, until it succeeds, and holds nobody else up', async () => {
    const attempts: number[] = [];
    const others: string[] = [];
    await dropFile(1);
    await dropFile(2);
    const queue = open(async (frame, attempt) => {
      if (sandboxOf(frame) === 'c2') return void others.push('c2');
      attempts.push(attempt);
      if (attempt < 2) throw new Error('the link is busy');
    });
    await queue.read();
    queue.start();
    await eventually('the other DEL', 20, () => (others.length === 1 ? { value: true } : { state: 'not done' }));
    expect(queue.has(attachment(1))).toBe(true);
    await untilEmpty(queue);
    expect(attempts).toEqual([1, 2]);
    expect(others).toEqual(['c2']);
    expect(logged).toContainEqual(expect.objectContaining({ level: 'warn', message: 'queued DEL not done yet' }));
  });

  it('is worked on by four at once and no more', async () => {
    for (let index = 0; index < 9; index += 1) await dropFile(index);
    const gate = Promise.withResolvers<void>();
    let atOnce = 0;
    let most = 0;
    const queue = open(async () => {
      most = Math.max(most, (atOnce += 1));
      await gate.promise;
      atOnce -= 1;
    });
    await queue.read();
    queue.start();
    await eventually('four at once', 20, () => (atOnce === 4 ? { value: true } : { state: `${atOnce} at once` }));
    gate.resolve();
    await untilEmpty(queue);
    expect(most).toBe(4);
  });

  it('survives a worker that ended before it was done', async () => {
    await dropFile(1);
    const first = open(() => Promise.reject(new Error('the API server is away')));
    await first.read();
    first.start();
    await eventually('the first try', 20, () => (logged.length > 0 ? { value: true } : { state: 'not tried' }));
    first.close();
    const done: string[] = [];
    const second = open(async (frame) => void done.push(sandboxOf(frame)));
    await second.read();
    second.start();
    await untilEmpty(second);
    expect(done).toEqual(['c1']);
  });
});

describe('put', () => {
  it('keeps the frame whole, readable by root alone, and knows it', async () => {
    const frames: RequestFrame[] = [];
    const queue = open(async (frame) => void frames.push(frame));
    await queue.read();
    await queue.put(encodeRequest(del(1)), nonceOf(1));
    expect(await readdir(directory)).toEqual([expect.stringMatching(/^\d{20}-0{31}1\.frame$/)]);
    queue.start();
    await untilEmpty(queue);
    expect(frames).toEqual([del(1)]);
  });

  it('works without a call of start when the queue was read', async () => {
    const done: string[] = [];
    const queue = open(async (frame) => void done.push(sandboxOf(frame)));
    await queue.read();
    await queue.put(encodeRequest(del(1)), nonceOf(1));
    await untilEmpty(queue);
    expect(done).toEqual(['c1']);
  });
});

describe('files that are no DEL', () => {
  it.each([
    ['cut short', encodeRequest(del(1)).subarray(0, 60)],
    ['empty', new Uint8Array()],
    ['garbage', new TextEncoder().encode('garbage that is longer than a header')],
    ['an ADD', encodeRequest(del(1, 'ADD'))],
  ])('are set aside when they are %s, and the others are done', async (_, content) => {
    await dropFile(1, content);
    await dropFile(2);
    const done: string[] = [];
    const queue = open(async (frame) => void done.push(sandboxOf(frame)));
    await queue.read();
    queue.start();
    await eventually('the good one', 20, () => (done.includes('c2') ? { value: true } : { state: done.join() }));
    await eventually('only the bad one left', 20, async () => {
      const files = await readdir(directory);
      return files.join() === `corrupt-${queueFileName(1001n, nonceOf(1))}` ? { value: true } : { state: files.join() };
    });
    expect(done).toEqual(['c2']);
    expect(logged).toContainEqual(expect.objectContaining({ level: 'error', message: 'queued DEL is no DEL' }));
  });

  it('are left unread when the executable was killed between write and rename', async () => {
    await writeFile(join(directory, `.tmp-${nonceOf(7)}`), encodeRequest(del(7)));
    const done: string[] = [];
    const queue = open(async (frame) => void done.push(sandboxOf(frame)));
    await queue.read();
    queue.start();
    await dropFile(1);
    await eventually('the DEL beside it', 20, () => (done.includes('c1') ? { value: true } : { state: done.join() }));
    expect(done).toEqual(['c1']);
  });

  it('that somebody removed while the queue was being read are no error', async () => {
    await dropFile(1);
    await dropFile(2);
    const removed = join(directory, queueFileName(1002n, nonceOf(2)));
    const queue = open(() => Promise.resolve(), {
      attachmentOf: (frame) => {
        if (existsSync(removed)) rmSync(removed); // after the directory was listed
        return attachmentOfDel(frame);
      },
    });
    await queue.read();
    expect(queue.size).toBe(1);
    expect(logged.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

it('says what to look at when its directory cannot be read any more, and goes on when it is back', async () => {
  const done: string[] = [];
  const queue = open(async (frame) => void done.push(sandboxOf(frame)));
  await queue.read();
  await rm(directory, { recursive: true });
  await expect(queue.put(encodeRequest(del(1)), nonceOf(1))).rejects.toThrow('ENOENT');
  await queue.read();
  await queue.put(encodeRequest(del(2)), nonceOf(2));
  await untilEmpty(queue);
  expect(done).toEqual(['c2']);
});
