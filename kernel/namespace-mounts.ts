import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { oneProcessOfEach } from './process-namespaces.ts';

export type MountSight = { readonly sees: true } | { readonly sees: false; readonly reason: string };

/**
 * Whether this process would notice a namespace that lives: only then may it call one gone.
 *
 * A worker whose container hides the host's processes, or whose copy of the mounts was cut off from the host's, would take
 * every sandbox for gone. So two things must hold: /proc shows the host's processes (hostPID), and no process sees a namespace
 * mounted under `directory` that we do not (HostToContainer propagation).
 */
export function namespaceMountsInSight(directory: string): MountSight {
  const processes = oneProcessOfEach('mnt');
  if (!seesTheHost(processes.size)) {
    return { sees: false, reason: 'no process but our own is in sight: the node worker needs hostPID' };
  }
  // Ours are read before and after: a mount that comes or goes meanwhile is in one of the two.
  const before = namespaceMounts('self', directory);
  const theirs = [...processes.values()].map((pid) => ({ pid, mounts: namespaceMounts(pid, directory) }));
  const ours = new Set([...before, ...namespaceMounts('self', directory)]);
  for (const { pid, mounts } of theirs) {
    const hidden = mounts.filter((mount) => !ours.has(mount));
    if (hidden.length > 0) {
      return {
        sees: false,
        reason: `process ${pid} sees ${hidden.length} namespaces under ${directory} that this one does not, for example ${hidden[0]}: mount ${directory} with mountPropagation HostToContainer`,
      };
    }
  }
  return { sees: true };
}

/** Where a process sees a namespace mounted at exactly this path, links in it followed as they lie before us. */
export const namespaceMountPoint = (pid: number, path: string): string | undefined =>
  namespaceMounts(pid, path)[0]?.replace(/ .*/, '');

/**
 * Network namespaces that a process sees mounted at or under a path: "mount point namespace" for each. None when the process
 * ended meanwhile or is not ours to look at. Fields: proc_pid_mountinfo(5).
 */
function namespaceMounts(pid: number | 'self', path: string): string[] {
  const place = canonical(path);
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , , root = '', point = '']) => root.startsWith('net:[') && `${point}/`.startsWith(`${place}/`))
      .map(([, , , root, point]) => `${point} ${root}`);
  } catch {
    return [];
  }
}

/** Where network namespaces are mounted: each once, also where several mounts lie on each other. proc_pid_mountinfo(5). */
export const namespaceMountPoints = (mountinfo: string): readonly string[] => [
  ...new Map(
    mountinfo
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , , root = '']) => root.startsWith('net:['))
      .map(([, , , root = '', point = '']) => [root, point] as const),
  ).values(),
];

/** Runtimes say /var/run/netns, the mount table says /run/netns. The last part need not exist. */
function canonical(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

/**
 * Whether the processes of the host are in sight. In a PID namespace of our own every process would share our mounts, and
 * kthreadd, which is always 2, lives in the first PID namespace only.
 */
function seesTheHost(mountNamespaces: number): boolean {
  if (mountNamespaces > 1) return true;
  try {
    return readFileSync('/proc/2/comm', 'utf8') === 'kthreadd\n';
  } catch {
    return false;
  }
}
