import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../deploy/toolchain/parts.ts';

export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  /** Everything it printed, when captured. */
  readonly said: string;
  /** It was ended because it took longer than its limit. */
  readonly isLate: boolean;
}

export interface RunSettings {
  /** What we print of its output: all, only stderr (where Jest's reporters write), or nothing, then it is in `said`. Default: shown. */
  readonly output?: 'shown' | 'errors' | 'captured';
  readonly limitSeconds?: number;
}

const graceSeconds = 10;
const running = new Set<ChildProcess>();
let isEnding = false;

/** Runs a program from the root of the repository, with the pinned Node and our packages first on PATH, in a process group of its own. */
export async function run(program: string, args: readonly string[], settings: RunSettings = {}): Promise<Ended> {
  const { output = 'shown', limitSeconds } = settings;
  const folders = ['.tools/node/bin', 'node_modules/.bin'].map((folder) => join(repositoryRoot, folder));
  const child = spawn(program, args, {
    cwd: repositoryRoot,
    env: { ...process.env, PATH: [...folders, process.env['PATH']].join(delimiter) },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let isLate = false;
  const late = () => {
    isLate = true;
    void endGroup(child);
  };
  const limit = limitSeconds === undefined ? undefined : setTimeout(late, limitSeconds * 1000);
  try {
    const closed = once(child, 'close');
    const said = output === 'captured' ? Promise.all([text(child.stdout), text(child.stderr)]) : [];
    if (output === 'shown') child.stdout.pipe(process.stdout, { end: false });
    if (output === 'errors') child.stdout.resume();
    if (output !== 'captured') child.stderr.pipe(process.stdout, { end: false }); // one stream keeps the order
    await once(child, 'exit');
    // A daemon that it left behind may hold its output open; that is no reason to wait for the daemon.
    await Promise.race([closed, sleep(1000, undefined, { ref: false })]);
    child.stdout.destroy();
    child.stderr.destroy();
    return { code: child.exitCode ?? child.signalCode, said: (await said).join(''), isLate };
  } finally {
    clearTimeout(limit);
    running.delete(child);
    if (isEnding) await new Promise(() => {}); // nothing may be started any more: whoever called endAll exits
  }
}

/** Ends everything that `run` started. Calls of `run` that are under way do not return afterwards. */
export async function endAll(): Promise<void> {
  isEnding = true;
  await Promise.all([...running].map(endGroup));
}

/** Asks a process group to end and makes it after a while. */
async function endGroup(leader: ChildProcess): Promise<void> {
  if (leader.pid === undefined || leader.exitCode !== null || leader.signalCode !== null) return;
  const exited = once(leader, 'exit');
  process.kill(-leader.pid, 'SIGTERM');
  const force = setTimeout((group: number) => process.kill(-group, 'SIGKILL'), graceSeconds * 1000, leader.pid);
  await exited;
  clearTimeout(force);
}
