import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import systeminformation from 'systeminformation';
import type { NodeNic, NodeReport } from '../../contracts/node-report.ts';

/** A link of the node, as netlink shows it. */
interface NodeLink {
  readonly ifName: string;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly isUp: boolean;
}

/**
 * NICs and memory of this node. The NICs come from netlink: a library lists those that have an address, and an underlay NIC, a
 * bond's member or an SR-IOV parent has none.
 */
export async function readInventory(links: readonly NodeLink[]): Promise<Pick<NodeReport, 'nics' | 'memory'>> {
  const [nics, memory] = await Promise.all([
    Promise.all(links.map((link) => describeNic(link))),
    systeminformation.mem(),
  ]);
  return {
    nics: nics.sort((a, b) => a.name.localeCompare(b.name)),
    memory: { totalBytes: memory.total, availableBytes: memory.available, workerRssBytes: process.memoryUsage.rss() },
  };
}

/** Adds what only sysfs knows (Documentation/ABI/testing/sysfs-class-net); a virtual link has no device, and none tells a speed. */
async function describeNic({ ifName, mac, mtuBytes, isUp }: NodeLink): Promise<NodeNic> {
  const directory = join('/sys/class/net', ifName);
  const follow = (path: string): Promise<string> => readlink(path).catch(() => '');
  const driver = await follow(join(directory, 'device/driver'));
  const speedMbit = Number(await readFile(join(directory, 'speed'), 'utf8').catch(() => '')); // EINVAL, or -1, when unknown
  return {
    name: ifName,
    mac,
    driver: driver.slice(driver.lastIndexOf('/') + 1),
    isUp,
    mtuBytes,
    ...(speedMbit > 0 ? { speedBitsPerSecond: speedMbit * 1e6 } : {}),
    isVirtual: (await follow(directory)).includes('/virtual/'),
  };
}
