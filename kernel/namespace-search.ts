import { readdirSync, readlinkSync } from 'node:fs';
import { type NetworkNamespace, openNamespace } from './network-namespace.ts';
import { SystemCallError, type SystemCalls } from './system-calls.ts';

/**
 * Looks for a namespace that its recorded path no longer opens: where a process is in it, or where another process still sees
 * it mounted at that path (our own view of the mounts may lack it). Both as far as /proc shows: processes that we may not
 * look at are passed over.
 */
export function searchNamespace(calls: SystemCalls, path: string, cookie: string): NetworkNamespace | undefined {
  for (const candidate of candidatePaths(path)) {
    const namespace = tryOpen(calls, candidate);
    if (namespace?.cookie === cookie) return namespace;
    namespace?.close();
  }
  return undefined;
}

function* candidatePaths(path: string): Generator<string> {
  for (const pid of oneProcessOfEach('net').values()) yield `/proc/${pid}/ns/net`;
  for (const pid of oneProcessOfEach('mnt').values()) yield `/proc/${pid}/root${path}`;
}

function tryOpen(calls: SystemCalls, path: string): NetworkNamespace | undefined {
  try {
    const opening = openNamespace(calls, path);
    return opening.outcome === 'opened' ? opening.namespace : undefined;
  } catch (error) {
    if (error instanceof SystemCallError) return undefined; // ended meanwhile, or not ours to look at
    throw error;
  }
}

/** A process for each namespace of one type, by the namespace's name, for example "net:[4026531840]". */
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
