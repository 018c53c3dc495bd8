import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { findMounts, findNetns, findProcesses } from './census.ts';
import { findCgroups, removeCgroup } from './cgroups.ts';
import { eventually } from './eventually.ts';
import { idOfDirectory, namePrefix, stackDirectory } from './layout.ts';
import { parseProcStat } from './proc-stat.ts';
import { runCommand } from './run-command.ts';

/**
 * Ends a stack and removes all of it: processes, network namespaces, cgroups, directory. Works on whatever is left of one, also when its
 * owner was killed, and may be repeated.
 *
 * Pods are not stopped one by one: their network namespaces and mounts lie in the mount namespaces of the nodes and go with their last
 * process, and their addresses were claimed in an etcd that goes too.
 */
export async function teardown(id: string, directory = stackDirectory(id)): Promise<void> {
  await eventually(`Processes of stack ${id} ended`, 20, async () => {
    const left = (await findProcesses(id, directory)).filter(({ reason }) => reason !== 'working directory'); // that may be a person's shell
    if (left.length === 0) return { value: true };
    for (const { pid, startTicks } of left) await kill(pid, startTicks);
    return { state: left.map(({ pid, command }) => `${pid} ${command}`).join('\n') };
  });
  for (const mount of await findMounts(directory)) await runCommand(['umount', '--lazy', mount]);
  // Again after a failure: a cgroup is busy for a moment after its last process, and somebody else may be at the same work.
  await eventually(`Network namespaces and cgroups of stack ${id} removed`, 10, async () => {
    for (const netns of await findNetns(namePrefix(id))) await runCommand(['ip', 'netns', 'delete', netns]);
    for (const cgroup of await findCgroups(namePrefix(id))) await removeCgroup(cgroup);
    return { value: true };
  });
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** Ends a process by its id, unless that id belongs to another process by now. */
async function kill(pid: number, startTicks: string): Promise<void> {
  try {
    if (parseProcStat(await readFile(`/proc/${pid}/stat`, 'utf8'))?.startTicks === startTicks)
      process.kill(pid, 'SIGKILL');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ESRCH') throw error; // it has just ended
  }
}

/** All that is still there of a stack, one line each; empty when nothing is. */
export async function findLeftovers(id: string, directory = stackDirectory(id)): Promise<string[]> {
  const [processes, netns, mounts, cgroups] = await Promise.all([
    findProcesses(id, directory),
    findNetns(namePrefix(id)),
    findMounts(directory),
    findCgroups(namePrefix(id)),
  ]);
  return [
    ...processes.map(({ pid, command, reason }) => `process ${pid} (by ${reason}): ${command}`),
    ...netns.map((name) => `network namespace ${name}`),
    ...mounts.map((path) => `mount ${path}`),
    ...cgroups.map((path) => `cgroup ${path}`),
    ...(existsSync(directory) ? [`directory ${directory}`] : []),
  ];
}

/** Ids of the stacks in the default place, found by their directories and, where a directory is gone, by their namespaces. */
export async function findStacks(): Promise<string[]> {
  const byDirectory = (await readdir(tmpdir())).map((name) => idOfDirectory(name));
  const byNetns = (await findNetns('ow-')).map((name) => /^ow-([a-z0-9]+)-(control|fabric|outside)$/.exec(name)?.[1]);
  return [...new Set([...byDirectory, ...byNetns].filter((id) => id !== undefined))].sort();
}
