import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DetachRequest } from '../../contracts/pod-network.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { silent } from './testing/node-world.ts';
import { UntoldRuns } from './untold-runs.ts';

const request = detachRequest(addRequest());
let directory: string;
let kept: DetachRequest[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'untold-'));
  kept = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (): UntoldRuns => new UntoldRuns({ directory, keep: async (one) => void kept.push(one), log: silent });

const untilForgotten = (): Promise<unknown> =>
  eventually('It is forgotten', 5, () => {
    const files = readdirSync(directory);
    return files.length === 0 ? { value: true } : { state: files.join() };
  });

describe('a DEL that was answered before Temporal recorded it', () => {
  it('is forgotten once its run was told', async () => {
    const told = Promise.withResolvers<void>();
    open().note(request, told.promise);
    expect(readdirSync(directory)).toHaveLength(1);
    told.resolve();
    await untilForgotten();
    expect(kept).toEqual([]);
  });

  it('is kept when its run could not be told', async () => {
    open().note(request, Promise.reject(new Error('Temporal went away')));
    await untilForgotten();
    expect(kept).toEqual([request]);
  });

  it('is kept by the next worker when this one is killed meanwhile', async () => {
    open().note(request, new Promise(() => undefined));
    await open().recover();
    expect(kept).toEqual([request]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('fails when it cannot be noted, and its run may fail later without ending the worker', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const [runs, told] = [open(), Promise.withResolvers<void>()];
    rmSync(directory, { recursive: true });
    expect(() => runs.note(request, told.promise)).toThrow('ENOENT');
    told.reject(new Error('Temporal went away'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    mkdirSync(directory);
    expect(unhandled).toEqual([]);
  });

  it('that was just being noted when the worker was killed is the runtime’s to repeat', async () => {
    writeFileSync(join(directory, request.nonce), '{"attachment":');
    await open().recover();
    expect(kept).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });
});
