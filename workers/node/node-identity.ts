import { readFile } from 'node:fs/promises';
import type { NodeIdentity } from '../../activities/node-ports.ts';

/** Who this node is: its name, its machine (the first file that can be read) and its current boot. */
export async function readNodeIdentity(name: string, machineIDFiles: readonly string[]): Promise<NodeIdentity> {
  const bootID = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  for (const file of machineIDFiles) {
    const machineID = (await readFile(file, 'utf8').catch(() => '')).trim().toLowerCase();
    if (machineID !== '') return { name, machineID, bootID };
  }
  throw new Error(
    `Cannot tell which machine this is: none of ${machineIDFiles.join(', ')} can be read. Set ORBWEAVER_MACHINE_ID_FILE`,
  );
}
