import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NodeLayout, overlaid } from './layout.ts';
import type { Place } from './place.ts';
import { type StackProcess, untilReady } from './stack-process.ts';

/**
 * kubelet sets these for the whole machine unless it finds them so (container_manager_linux.go, setupKernelTunables): the node is shown
 * that they are.
 */
const kernelTunables = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

/**
 * Starts the process that holds the node's mount namespace, in which everything that other people's programs have at fixed places is the
 * node's own. What is mounted there is seen nowhere else, and goes with the last process inside.
 */
export async function holdMounts({ name, paths }: NodeLayout, network: Place): Promise<StackProcess> {
  const at = (path: string): string => join(paths.root, path);
  const file = async (path: string, text: string): Promise<string> => {
    await writeFile(path, `${text}\n`);
    return path;
  };
  const binds: [from: string, to: string][] = [
    [await file(paths.bootIdFile, randomUUID()), '/proc/sys/kernel/random/boot_id'],
    [await file(paths.machineIdFile, randomUUID()), '/etc/machine-id'],
  ];
  for (const [tunable, value] of Object.entries(kernelTunables)) {
    binds.push([await file(at(tunable.replaceAll('/', '.')), value), `/proc/sys/${tunable}`]);
  }
  for (const path of overlaid) {
    await mkdir(at(`own${path}`), { recursive: true });
    binds.push([at(`own${path}`), path]);
  }
  await mkdir(at('sys'));
  const script = [
    'set -e',
    // A sysfs shows the network devices of the namespace that mounted it.
    `mount -t sysfs sysfs ${at('sys')}`,
    `mount --rbind /sys/fs/cgroup ${at('sys/fs/cgroup')}`,
    `mount --rbind ${at('sys')} /sys`,
    ...binds.filter(([, to]) => existsSync(to)).map(([from, to]) => `mount --bind ${from} ${to}`),
    `: >${at('mounted')}`,
    'exec sleep infinity',
  ].join('\n');
  // slave: unmounting something on the host, such as another stack's network namespace, unmounts it here as well
  const holder = network.spawn(`${name}/mounts`, ['unshare', '--mount', '--propagation=slave', 'sh', '-c', script]);
  await untilReady(holder, 10, async () => (existsSync(at('mounted')) ? { value: true } : { state: 'not mounted' }));
  return holder;
}
