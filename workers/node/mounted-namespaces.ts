import { readFile } from 'node:fs/promises';
import type { MountedNamespace } from '../../activities/adopt-imported.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { namespaceMountPoints } from '../../kernel/namespace-mounts.ts';

/**
 * The network namespaces that are mounted on this node, where containerd and CRI-O have those of their sandboxes, with the addresses
 * in them. One that is just going, or is the node's own, is left out.
 */
export const createMountedNamespaces = (kernel: Pick<Kernel, 'identifyNamespace' | 'inspect'>) => ({
  async list(): Promise<readonly MountedNamespace[]> {
    const found: MountedNamespace[] = [];
    for (const netns of namespaceMountPoints(await readFile('/proc/self/mountinfo', 'utf8'))) {
      try {
        const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
        const { links, addresses } = await kernel.inspect(netns);
        const nameOf = (index: number): string => links.find(({ ifIndex }) => ifIndex === index)?.ifName ?? '';
        found.push({
          netns,
          netnsCookie,
          addresses: addresses.map(({ ifIndex, address }) => ({
            ifName: nameOf(ifIndex),
            address: address.replace(/\/.*/, ''),
          })),
        });
      } catch {
        // It went since the list was read, or is no sandbox's: whoever is in it is nobody that we look for.
      }
    }
    return found;
  },
});
