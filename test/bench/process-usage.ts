import { readFile } from 'node:fs/promises';

/** USER_HZ, in which proc(5) counts CPU time: 100 on every architecture that we build for. */
const ticksPerSecond = 100;

/** User and system time of a process since its start, with that of its ended children when asked, in milliseconds. */
export async function cpuMsOf(pid: number, withChildren = false): Promise<number> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' '); // from field 3 on: the name may hold spaces
  const ticks = [14, 15, ...(withChildren ? [16, 17] : [])].map((field) => Number(fields[field - 3]));
  return (ticks.reduce((sum, some) => sum + some, 0) * 1000) / ticksPerSecond;
}

/** Memory of a process now, in MiB. */
export interface Memory {
  readonly rssMiB: number;
  /** The part that is no file's: its heaps, stacks and buffers. The rest, programs and libraries, is shared with others that run them. */
  readonly anonymousMiB: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return { rssMiB: field('VmRSS'), anonymousMiB: field('RssAnon') };
}
