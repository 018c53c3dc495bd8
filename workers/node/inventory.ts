import { readlink } from 'node:fs/promises';
import systeminformation from 'systeminformation';
import type { NodeNic, NodeReport } from '../../contracts/node-report.ts';

/** NICs and memory of this node, as the drivers report them. */
export async function readInventory(): Promise<Pick<NodeReport, 'nics' | 'memory'>> {
  const [interfaces, memory] = await Promise.all([systeminformation.networkInterfaces(), systeminformation.mem()]);
  const list = Array.isArray(interfaces) ? interfaces : [interfaces];
  const nics = await Promise.all(
    list.map(
      async (nic): Promise<NodeNic> => ({
        name: nic.iface,
        mac: nic.mac,
        driver: await driverOf(nic.iface),
        isUp: nic.operstate === 'up',
        mtuBytes: nic.mtu ?? 0,
        ...(nic.speed !== null && nic.speed > 0 ? { speedBitsPerSecond: nic.speed * 1e6 } : {}),
        isVirtual: nic.virtual,
      }),
    ),
  );
  return {
    nics: nics.sort((a, b) => a.name.localeCompare(b.name)),
    memory: { totalBytes: memory.total, availableBytes: memory.available, workerRssBytes: process.memoryUsage.rss() },
  };
}

/** Name of the kernel driver behind a link, from sysfs; a virtual link has no device. */
async function driverOf(iface: string): Promise<string> {
  const link = await readlink(`/sys/class/net/${iface}/device/driver`).catch(() => '');
  return link.slice(link.lastIndexOf('/') + 1);
}
