import { dirname } from 'node:path';
import type { Kernel } from '../../kernel/kernel.ts';

/**
 * Whether a sandbox is proven gone: its recorded namespace no longer opens (or another one has its path), seen by a process that
 * would see it. Anything that hides namespaces from this process makes every answer `unproven`.
 */
export const createSandboxProof =
  (kernel: Pick<Kernel, 'namespaceState' | 'canSeeNamespaceMounts'>, warn: (reason: string) => void) =>
  async (netns: string, netnsCookie: string): Promise<'alive' | 'gone' | 'unproven'> => {
    const state = await kernel.namespaceState(netns, netnsCookie);
    if (state === 'alive') return 'alive';
    const sight = await kernel.canSeeNamespaceMounts(dirname(netns));
    if (sight.sees) return 'gone';
    warn(sight.reason);
    return 'unproven';
  };
