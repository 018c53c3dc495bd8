import { readdirSync, readlinkSync } from 'node:fs';

/** A process for each namespace of one type, by the namespace's name, for example "net:[4026531840]". As far as /proc shows. */
export function oneProcessOfEach(type: 'net' | 'mnt'): Map<string, number> {
  const processes = new Map<string, number>();
  for (const pid of processIds()) {
    const namespace = namespaceOf(pid, type);
    if (namespace !== undefined && !processes.has(namespace)) processes.set(namespace, pid);
  }
  return processes;
}

const processIds = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

function namespaceOf(pid: number, type: 'net' | 'mnt'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${type}`);
  } catch {
    return undefined; // ended meanwhile, a kernel thread, or not ours to look at
  }
}
