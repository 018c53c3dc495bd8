import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Log } from '../../activities/node-ports.ts';
import { encodeRequest, queueFileName, type RequestFrame } from '../../contracts/frame.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { attachmentOfDel } from './call-server.ts';
import { DeleteQueue, type DeleteQueueOptions } from './delete-queue.ts';

jest.setTimeout(30_000); // longer than any wait in here

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
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
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

  it('is done when it appears while the worker runs and has nothing else to do', async () => {
    const done: string[] = [];
    const queue = open(async (frame) => void done.push(sandboxOf(frame)));
    await dropFile(1);
    await queue.read();
    queue.start();
    await untilEmpty(queue);
    await dropFile(2);
    await eventually('the DEL to be done', 20, () => (done.includes('c2') ? { value: true } : { state: done.join() }));
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

  it('is begun oldest first, four at once and no more', async () => {
    for (const index of [8, 3, 5, 1, 7, 2, 6, 4]) await dropFile(index);
    const gate = Promise.withResolvers<void>();
    const begun: string[] = [];
    let ended = 0;
    const queue = open(async (frame) => {
      begun.push(sandboxOf(frame));
      expect(begun.length - ended).toBeLessThanOrEqual(4);
      await gate.promise;
      ended += 1;
    });
    await queue.read();
    queue.start();
    await eventually('four at once', 20, () => (begun.length === 4 ? { value: true } : { state: begun.join() }));
    expect(begun.toSorted()).toEqual(['c1', 'c2', 'c3', 'c4']);
    gate.resolve();
    await untilEmpty(queue);
    expect(begun.toSorted()).toEqual(['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8']);
  });

  it('is tried again at once when what kept it waiting is back', async () => {
    await dropFile(1);
    let isAway = true;
    const queue = open(() => (isAway ? Promise.reject(new Error('Temporal is away')) : Promise.resolve()), {
      nowMs: () => 0, // no pause ever ends by itself
    });
    await queue.read();
    queue.start();
    await eventually('the first try', 20, () => (logged.length > 0 ? { value: true } : { state: 'not tried' }));
    isAway = false;
    queue.retryNow();
    await untilEmpty(queue);
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

  it('are left alone while an executable writes them, and removed when it was killed over them', async () => {
    const halfWritten = join(directory, `.tmp-${nonceOf(7)}`);
    await writeFile(halfWritten, encodeRequest(del(7)));
    const done: string[] = [];
    const detach = async (frame: RequestFrame) => void done.push(sandboxOf(frame));
    await open(detach).read();
    expect(existsSync(halfWritten)).toBe(true);
    const later = open(detach, { nowMs: () => Date.now() + 3_600_000 });
    await later.read();
    expect(later.size).toBe(0);
    expect(existsSync(halfWritten)).toBe(false);
    expect(done).toEqual([]);
  });

  it('are removed at once when the worker before this one was killed over them', async () => {
    await writeFile(join(directory, '.tmp-worker-7'), 'half');
    await open(() => Promise.resolve()).read();
    expect(await readdir(directory)).toEqual([]);
  });

  it('are written beside the draft that the executable makes of the same DEL, which it would else find taken', async () => {
    const draft = join(directory, `.tmp-${nonceOf(7)}`);
    await writeFile(draft, 'half');
    await open(() => Promise.resolve()).put(encodeRequest(del(7)), nonceOf(7));
    expect(await readFile(draft, 'utf8')).toBe('half');
    expect(await readdir(directory)).toHaveLength(2);
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
