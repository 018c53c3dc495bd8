import { namespaceMountPoint } from './namespace-mounts.ts';
import { keepIfSame, type NetworkNamespace, openNamespace } from './network-namespace.ts';
import { oneProcessOfEach } from './process-namespaces.ts';
import { SystemCallError, type SystemCalls } from './system-calls.ts';

/**
 * Looks for a namespace that its recorded path no longer opens: where a process is in it, or where another process still sees
 * it mounted at that path (our own view of the mounts may lack it). Both as far as /proc shows: processes that we may not
 * look at are passed over.
 */
export function searchNamespace(calls: SystemCalls, path: string, cookie: string): NetworkNamespace | undefined {
  for (const candidate of candidatePaths(path)) {
    const namespace = tryOpen(calls, candidate);
    const found = namespace === undefined ? undefined : keepIfSame(namespace, cookie);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A sandbox's namespace, at its path or wherever else it still is; undefined when it is gone. */
export function findSandbox(calls: SystemCalls, path: string, cookie: string): NetworkNamespace | undefined {
  const opening = openNamespace(calls, path);
  const named = opening.outcome === 'opened' ? keepIfSame(opening.namespace, cookie) : undefined;
  return named ?? searchNamespace(calls, path, cookie);
}

function* candidatePaths(path: string): Generator<string> {
  for (const pid of oneProcessOfEach('net').values()) yield `/proc/${pid}/ns/net`;
  // A container may hold anything at that path, also a file system that never answers: its mount table is asked first.
  for (const pid of oneProcessOfEach('mnt').values()) {
    const point = namespaceMountPoint(pid, path);
    if (point !== undefined) yield `/proc/${pid}/root${point}`;
  }
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
