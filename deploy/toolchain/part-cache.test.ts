import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { bringPart } from './part-cache.ts';

const link = '.tools/bin/answer';
let root = '';
let states: string[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'orbweaver-parts-'));
  process.env['ORBWEAVER_CACHE'] = join(root, 'cache');
  states = [];
  await writeProgram(42);
});
afterEach(() => rm(root, { recursive: true }));

const writeProgram = (answer: number | string) =>
  writeFile(join(root, 'answer.c'), `int main(void) { return ${answer}; }`);
const bring = () =>
  bringPart({
    name: 'answer',
    part: {
      version: '1.0.0',
      coldBuildSeconds: 1,
      recipe: { kind: 'c', compiler: 'gcc', flags: [], source: 'answer.c', output: 'answer' },
    },
    root,
    links: [{ output: 'answer', link }],
    report: ({ state }) => states.push(state),
  });
const answer = () => spawnSync(join(root, link)).status;
const cached = async () =>
  (await readdir(join(root, 'cache/parts'))).filter((entry) => !/\.(lock|log)$/.test(entry)).toSorted();

it('a part is built once, kept by version and recipe hash, and linked', async () => {
  await bring();
  await bring();
  expect(states).toEqual(['started', 'built', 'cached']);
  expect(answer()).toBe(42);
  expect(await readlink(join(root, link))).toMatch(/cache\/parts\/answer-1\.0\.0-[0-9a-f]{12}\/answer$/);
});

it('two callers at the same time build it once', async () => {
  await Promise.all([bring(), bring()]);
  expect(states.filter((state) => state === 'built')).toHaveLength(1);
  expect(answer()).toBe(42);
});

it('a changed source is another part, and the link follows it there and back', async () => {
  await bring();
  await writeProgram(7);
  await bring();
  expect(answer()).toBe(7);
  await writeProgram(42);
  await bring();
  expect(answer()).toBe(42);
  expect(states).toEqual(['started', 'built', 'started', 'built', 'cached']);
});

it('a build that fails tells what the compiler said and leaves nothing behind', async () => {
  await writeProgram('nonsense');
  await expect(bring()).rejects.toThrow(/gcc ended with 1[^]*nonsense/);
  expect(await cached()).toEqual([]);
});

it('what a killed build left is no part', async () => {
  await bring();
  const [id = ''] = await cached();
  await rm(join(root, 'cache/parts', id), { recursive: true });
  spawnSync('mkdir', ['-p', join(root, 'cache/parts', `${id}.building/out`)]);
  await writeFile(join(root, 'cache/parts', `${id}.building/out/answer`), 'half a program');
  await bring();
  expect(answer()).toBe(42);
  expect(await cached()).toEqual([basename(id)]);
});
