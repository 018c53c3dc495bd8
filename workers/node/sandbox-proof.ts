import { dirname } from 'node:path';
import type { Kernel } from '../../kernel/kernel.ts';
import { SharedRead } from '../../kube/shared-read.ts';

/**
 * Whether a sandbox is proven gone: its recorded namespace no longer opens (or another one has its path), seen by a process that
 * would see it. Anything that hides namespaces from this process makes every answer `unproven`, which is said once.
 */
export function createSandboxProof(
  kernel: Pick<Kernel, 'namespaceState' | 'canSeeNamespaceMounts'>,
  warn: (reason: string) => void,
) {
  const blind = new Set<string>();
  const sights = new Map<string, SharedRead<Awaited<ReturnType<Kernel['canSeeNamespaceMounts']>>>>();

  return async (netns: string, netnsCookie: string): Promise<'alive' | 'gone' | 'unproven'> => {
    const state = await kernel.namespaceState(netns, netnsCookie);
    if (state === 'alive') return 'alive';
    // Looking into the mounts of every process takes milliseconds, and all sandboxes of a node may go at once.
    const directory = dirname(netns);
    const read = (): ReturnType<Kernel['canSeeNamespaceMounts']> => kernel.canSeeNamespaceMounts(directory);
    const shared = sights.get(directory) ?? new SharedRead(read, () => performance.now());
    sights.set(directory, shared);
    const { value: sight } = await shared.begunAfter(performance.now());
    if (sight.sees) {
      blind.delete(directory);
      return 'gone';
    }
    if (!blind.has(directory)) warn(sight.reason); // asked again every second while a sandbox without a pod is in doubt
    blind.add(directory);
    return 'unproven';
  };
}
