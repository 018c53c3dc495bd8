import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { buildRecipe } from './build-recipe.ts';
import type { PartProgress } from './progress.ts';
import { type Recipe, recipeHash, sourcesOf } from './recipe.ts';

interface Order {
  readonly name: string;
  readonly part: { readonly version: string; readonly recipe: Recipe; readonly coldBuildSeconds: number };
  /** Root of the repository, to which sources and links are relative. */
  readonly root: string;
  readonly links: readonly { readonly output: string; readonly link: string }[];
  readonly report: (progress: PartProgress) => void;
}

const heartbeatSeconds = 10;

/** Builds a part unless the cache holds it, and points the tree's links at it. */
export async function bringPart(order: Order): Promise<void> {
  const { recipe, version } = order.part;
  const sources = await Promise.all(sourcesOf(recipe).map((source) => readFile(resolve(order.root, source))));
  const id = `${order.name}-${version}-${recipeHash(recipe, sources, process.arch)}`;
  const kept = join(cacheFolder(), 'parts', id);
  if (existsSync(kept)) order.report({ state: 'cached' });
  else await buildInto(kept, order);
  for (const { output, link } of order.links) await pointAt(join(kept, output), join(order.root, link));
}

/** Where built parts live, shared by all trees of a user: `ORBWEAVER_CACHE`, else `~/.cache/orbweaver`. */
export const cacheFolder = (): string =>
  resolve(process.env['ORBWEAVER_CACHE'] || join(homedir(), '.cache', 'orbweaver'));

async function buildInto(kept: string, order: Order): Promise<void> {
  await mkdir(dirname(kept), { recursive: true });
  const unlock = await lock(`${kept}.lock`, () => order.report({ state: 'waiting' }));
  try {
    if (existsSync(kept)) order.report({ state: 'cached' });
    else await build(kept, order);
  } finally {
    await unlock();
  }
}

async function build(kept: string, { part, root, report }: Order): Promise<void> {
  const started = performance.now();
  const elapsedSeconds = () => Math.round((performance.now() - started) / 1000);
  report({ state: 'started', coldBuildSeconds: part.coldBuildSeconds });
  const beat = () => report({ state: 'building', elapsedSeconds: elapsedSeconds() });
  const heartbeat = setInterval(beat, heartbeatSeconds * 1000);
  const work = `${kept}.building`; // under the lock, so what lies there was left by a killed run
  const out = join(work, 'out');
  try {
    await rm(work, { recursive: true, force: true });
    await mkdir(out, { recursive: true });
    await buildRecipe(part.recipe, { root, work, out, log: `${kept}.log` });
    await rename(out, kept);
  } finally {
    clearInterval(heartbeat);
    await rm(work, { recursive: true, force: true });
  }
  report({ state: 'built', elapsedSeconds: elapsedSeconds() });
}

/** Takes a lock and gives its release. flock(1) holds it while our end of its pipe is open; the kernel closes that even when we are killed with -9. */
async function lock(file: string, waits: () => void): Promise<() => Promise<void>> {
  const holder: ChildProcessByStdio<Writable, Readable, null> = spawn(
    'flock',
    [file, 'sh', '-c', 'echo held; exec cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const waiting = setTimeout(waits, 500);
  const ended = once(holder, 'exit');
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      ended.then(([code]) => Promise.reject(new Error(`Cannot lock ${file}: flock ended with ${code}`))),
    ]);
  } finally {
    clearTimeout(waiting);
  }
  return async () => {
    holder.stdin.end();
    await ended;
  };
}

async function pointAt(target: string, link: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  const fresh = `${link}.${process.pid}`;
  await rm(fresh, { force: true });
  await symlink(target, fresh);
  await rename(fresh, link); // replaces at once: a process that starts the tool now finds the old or the new one
}
