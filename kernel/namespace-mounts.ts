import { readFileSync } from 'node:fs';
import { oneProcessOfEach } from './namespace-search.ts';

export type MountSight = { readonly sees: true } | { readonly sees: false; readonly reason: string };

/**
 * Whether this process would notice a namespace that lives: only then may it call one gone.
 *
 * A worker whose container hides the host's processes, or whose copy of the mounts was cut off from the host's, would take
 * every sandbox for gone. So two things must hold: /proc shows the host's processes (hostPID), and no process sees a namespace mounted under `directory` that we do not (HostToContainer propagation).
 */
export function namespaceMountsInSight(directory: string): MountSight {
  const processes = oneProcessOfEach('mnt');
  if (!seesTheHost(processes.size)) {
    return { sees: false, reason: 'no process but our own is in sight: the node worker needs hostPID' };
  }
  const ours = namespaceMounts('/proc/self/mountinfo', directory);
  if (ours === undefined) return { sees: false, reason: '/proc/self/mountinfo cannot be read' };
  for (const pid of processes.values()) {
    const theirs = namespaceMounts(`/proc/${pid}/mountinfo`, directory) ?? [];
    const hidden = theirs.filter((mount) => !ours.includes(mount));
    if (hidden.length > 0) {
      return {
        sees: false,
        reason: `process ${pid} sees ${hidden.length} namespaces under ${directory} that this one does not, for example ${hidden[0]}: mount ${directory} with mountPropagation HostToContainer`,
      };
    }
  }
  return { sees: true };
}

/** Mount points of namespaces at or under a directory, each with the namespace that is mounted there. */
export function namespaceMounts(mountinfo: string, directory: string): string[] | undefined {
  let text: string;
  try {
    text = readFileSync(mountinfo, 'utf8');
  } catch {
    return undefined; // ended meanwhile, or not ours to look at
  }
  return text
    .split('\n')
    .map((line) => line.split(' ')) // proc_pid_mountinfo(5): id, parent, device, root, mount point, …
    .filter(([, , , root = '', point = '']) => root.startsWith('net:[') && `${point}/`.startsWith(`${directory}/`))
    .map(([, , , root, point]) => `${point} ${root}`);
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
