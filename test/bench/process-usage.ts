import { readdir, readFile } from 'node:fs/promises';
import { together } from '../../deploy/dev/together.ts';

/** USER_HZ, in which proc(5) counts CPU time: 100 on every architecture that we build for. */
const ticksPerSecond = 100;

/** User and system time of a process since its start, in milliseconds. */
export const cpuMsOf = (pid: number): Promise<number> => readTimes(pid, [14, 15]);

/** The same with all that it started, ended or alive, and what these started: a runner, its launcher and their executables. */
export async function cpuMsOfTree(pid: number): Promise<number> {
  const alive = await together((await childrenOf(pid)).map((child) => cpuMsOfTree(child).catch(() => 0))); // it may end now
  return (await readTimes(pid, [14, 15, 16, 17])) + alive.reduce((sum, ms) => sum + ms, 0);
}

/** Of the fields of proc_pid_stat(5). */
async function readTimes(pid: number, numbers: readonly number[]): Promise<number> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' '); // from field 3 on: the name may hold spaces
  const ticks = numbers.reduce((sum, number) => sum + Number(fields[number - 3]), 0);
  return (ticks * 1000) / ticksPerSecond;
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await together(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8')));
  return lists.flatMap((list) => list.split(' ').filter((text) => text !== '')).map(Number);
}

/** Memory of a process now, in MiB. */
export interface Memory {
  readonly rssMiB: number;
  /** The part that is no file's: its heaps, stacks and buffers. The rest, programs and libraries, is shared with others that run them. */
  readonly anonymousMiB: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const [rssMiB = Number.NaN, anonymousMiB = Number.NaN] = await readMiB(pid, ['VmRSS', 'RssAnon']);
  return { rssMiB, anonymousMiB };
}

/** The most that was ever resident of a process. */
export async function peakRssMiBOf(pid: number): Promise<number> {
  const [peak = Number.NaN] = await readMiB(pid, ['VmHWM']);
  return peak;
}

/** Fields of proc_pid_status(5). */
async function readMiB(pid: number, fields: readonly string[]): Promise<readonly number[]> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return fields.map((name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024);
}
