import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const mountPoint = '/sys/fs/cgroup';
/** This file is in the root of a cgroup v2 hierarchy, and nowhere else (cgroups(7)). */
const isUnified = existsSync(join(mountPoint, 'cgroup.controllers'));
/** Controllers without which kubelet does not accept a cgroup root. */
const neededControllers = ['cpu', 'cpuset', 'memory', 'pids'];

/** Makes a cgroup in every hierarchy of the machine, cgroup v1, hybrid or v2. Two kubelets below one root would kill each other's pods. */
export async function createCgroup(path: string): Promise<void> {
  if (isUnified) {
    await writeFile(join(mountPoint, 'cgroup.subtree_control'), neededControllers.map((name) => `+${name}`).join(' '));
  }
  for (const hierarchy of await hierarchies()) {
    const directory = join(hierarchy, path);
    await mkdir(directory, { recursive: true });
    // cgroup v1: a new cpuset is empty, and nothing can run in an empty one.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (!isUnified && existsSync(join(hierarchy, file)))
        await writeFile(join(directory, file), await readFile(join(hierarchy, file)));
    }
  }
}

/** Directories of all cgroups whose name begins with `prefix`, in every hierarchy. */
export async function findCgroups(prefix: string): Promise<string[]> {
  const found = await Promise.all(
    (await hierarchies()).map(async (hierarchy) =>
      (await readdir(hierarchy)).filter((name) => name.startsWith(prefix)).map((name) => join(hierarchy, name)),
    ),
  );
  return found.flat();
}

/** Removes a cgroup directory with all below it. The processes must have ended. */
export async function removeCgroup(directory: string): Promise<void> {
  const below = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of below) if (entry.isDirectory()) await removeCgroup(join(directory, entry.name));
  await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function hierarchies(): Promise<string[]> {
  if (isUnified) return [mountPoint];
  const entries = await readdir(mountPoint, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(mountPoint, entry.name)); // "cpu,cpuacct" is one, "cpu" a link to it
}
