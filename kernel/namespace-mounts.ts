import { readFileSync, readlinkSync } from 'node:fs';
import { oneProcessOfEach, processIds } from './namespace-search.ts';

export type MountSight = { readonly sees: true } | { readonly sees: false; readonly reason: string };

/**
 * Whether this process would notice a namespace that lives: only then may it call one gone.
 *
 * A worker whose container hides the host's processes, or whose copy of the mounts was cut off from the host's, would take
 * every sandbox for gone. So two things must hold: /proc shows processes that are no relatives of ours (the host's PID
 * namespace), and no process sees a namespace mounted under `directory` that we do not (HostToContainer propagation).
 */
export function namespaceMountsInSight(directory: string): MountSight {
  if (!hasStrangers()) {
    return { sees: false, reason: 'no process but our own is in sight: the node worker needs hostPID' };
  }
  const ours = namespaceMounts('/proc/self/mountinfo', directory);
  if (ours === undefined) return { sees: false, reason: '/proc/self/mountinfo cannot be read' };
  for (const pid of oneProcessOfEach('mnt').values()) {
    const theirs = namespaceMounts(`/proc/${pid}/mountinfo`, directory) ?? new Set();
    const hidden = theirs.difference(ours);
    if (hidden.size > 0) {
      return {
        sees: false,
        reason: `process ${pid} sees ${hidden.size} namespaces under ${directory} that this one does not, for example ${[...hidden][0]}: mount ${directory} with mountPropagation HostToContainer`,
      };
    }
  }
  return { sees: true };
}

/** Mount points of namespaces at or under a directory, each with the namespace that is mounted there. */
export function namespaceMounts(mountinfo: string, directory: string): Set<string> | undefined {
  let text: string;
  try {
    text = readFileSync(mountinfo, 'utf8');
  } catch {
    return undefined; // ended meanwhile, or not ours to look at
  }
  const mounts = text
    .split('\n')
    .map((line) => line.split(' ')) // proc_pid_mountinfo(5): id, parent, device, root, mount point, …
    .filter(([, , , root = '', point = '']) => root.startsWith('net:[') && `${point}/`.startsWith(`${directory}/`))
    .map(([, , , root, point]) => `${point} ${root}`);
  return new Set(mounts);
}

/** Whether a process is in sight that is neither an ancestor of ours nor started by us or them: someone else's. */
function hasStrangers(): boolean {
  const parents = new Map(processIds().map((pid) => [pid, parentOf(pid)]));
  const family = ancestors(process.pid, parents);
  const first = family.at(-1);
  // The children of PID 1 that lead to us are ours; its other children are strangers, unless PID 1 is our container's own.
  return [...parents.keys()].some((pid) => {
    const theirs = ancestors(pid, parents);
    return !theirs.some((one) => one !== first && family.includes(one)) && pid !== first && !isInOurMounts(pid);
  });
}

function ancestors(pid: number, parents: ReadonlyMap<number, number | undefined>): number[] {
  const line: number[] = [];
  for (let at: number | undefined = pid; at !== undefined && at > 0 && !line.includes(at); at = parents.get(at)) line.push(at);
  return line;
}

function isInOurMounts(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt');
  } catch {
    return true; // not to be seen, so no evidence
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
