import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PacedWork } from './paced-work.ts';

let runs: { readonly key: string; readonly atMs: number }[];
let failures: string[];
/** What a run does and how long its key rests then. */
let doWork: (key: string) => Promise<number>;
let work: PacedWork;
beforeEach(() => {
  jest.useFakeTimers();
  runs = [];
  failures = [];
  doWork = async () => 1000;
  work = new PacedWork({
    work: async (key) => {
      runs.push({ key, atMs: performance.now() - startedAtMs });
      return await doWork(key);
    },
    settleMs: 200,
    atOnce: 2,
    onFailure: (error) => failures.push(String(error)),
  });
  startedAtMs = performance.now();
});
afterEach(async () => {
  const stopped = work.stop();
  await pass(60_000);
  await stopped;
  jest.useRealTimers();
});
let startedAtMs: number;

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);
const runsOf = (wanted: string): readonly number[] => runs.flatMap(({ key, atMs }) => (key === wanted ? [atMs] : []));
const asLongAsItTakes = (ms: number) => (): Promise<number> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(1000), ms);
  });

describe('work on a key', () => {
  it('is one run for all marks that come close together', async () => {
    for (let mark = 0; mark < 10; mark += 1) {
      work.mark('a');
      await pass(10);
    }
    await pass(10_000);
    expect(runsOf('a')).toEqual([200]);
  });

  it('rests between two runs, however often it is marked, and the last mark is not forgotten', async () => {
    for (let atMs = 0; atMs < 3000; atMs += 30) {
      work.mark('a');
      await pass(30);
    }
    await pass(10_000);
    expect(runsOf('a')).toEqual([200, 1200, 2200, 3200]);
  });

  it('runs again when it is marked while it runs, and not before that run has ended', async () => {
    doWork = asLongAsItTakes(5000);
    work.mark('a');
    await pass(300);
    work.mark('a');
    await pass(20_000);
    expect(runsOf('a')).toEqual([200, 6200]);
  });

  it('is repeated after a failure, later each time, up to half a minute', async () => {
    doWork = async () => {
      throw new Error('away');
    };
    work.mark('a');
    await pass(200 + 250 + 500 + 1000 + 2000);
    expect(runsOf('a')).toEqual([200, 450, 950, 1950, 3950]);
    expect(failures).toEqual(Array.from({ length: 5 }, () => 'Error: away'));
    await pass(600_000);
    const at = runsOf('a');
    expect((at.at(-1) ?? 0) - (at.at(-2) ?? 0)).toBe(30_000);
    doWork = async () => 0;
    await pass(30_000);
    const done = runs.length;
    await pass(600_000);
    expect(runs.length).toBe(done);
  });

  it('goes on for other keys, a few at once', async () => {
    doWork = asLongAsItTakes(100);
    for (const key of ['a', 'b', 'c', 'd', 'e']) work.mark(key);
    await pass(200);
    expect(runs.length).toBe(2);
    await pass(100);
    expect(runs.length).toBe(4);
    await pass(100);
    expect(runs.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('ends with what runs: nothing starts after stop', async () => {
    doWork = asLongAsItTakes(1000);
    for (const key of ['a', 'b', 'c', 'd']) work.mark(key);
    await pass(200);
    let isStopped = false;
    const stopping = work.stop().then(() => {
      isStopped = true;
    });
    await pass(500);
    expect(isStopped).toBe(false);
    await pass(500);
    await stopping;
    work.mark('e');
    await pass(10_000);
    expect(runs.map(({ key }) => key)).toEqual(['a', 'b']);
  });
});
