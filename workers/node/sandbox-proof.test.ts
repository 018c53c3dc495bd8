import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { createSandboxProof } from './sandbox-proof.ts';

function open(state: 'alive' | 'gone' | 'other' = 'gone') {
  const warnings: string[] = [];
  const world = { state, sees: true, looks: 0 };
  const kernel: Pick<Kernel, 'namespaceState' | 'canSeeNamespaceMounts'> = {
    namespaceState: async () => world.state,
    async canSeeNamespaceMounts() {
      world.looks += 1;
      const { sees } = world; // as it was when this look began
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
      return sees ? { sees: true } : { sees: false, reason: 'the node worker needs hostPID' };
    },
  };
  return { world, warnings, stateOf: createSandboxProof(kernel, (reason) => warnings.push(reason)) };
}

describe('a sandbox', () => {
  it('is alive without any proof', async () => {
    const { stateOf, world } = open('alive');
    expect(await stateOf('/run/netns/c1', '1')).toBe('alive');
    expect(world.looks).toBe(0);
  });

  it.each(['gone', 'other'] as const)('whose namespace is %s is gone, to a worker that would see it', async (state) => {
    expect(await open(state).stateOf('/run/netns/c1', '1')).toBe('gone');
  });

  it('is in doubt for a worker that does not see all, which says so once until it sees again', async () => {
    const { stateOf, world, warnings } = open();
    world.sees = false;
    for (let look = 0; look < 3; look += 1) expect(await stateOf('/run/netns/c1', '1')).toBe('unproven');
    expect(warnings).toEqual(['the node worker needs hostPID']);
    world.sees = true;
    expect(await stateOf('/run/netns/c1', '1')).toBe('gone');
    world.sees = false;
    await stateOf('/run/netns/c1', '1');
    expect(warnings).toHaveLength(2);
  });
});

it('looks at the mounts once for all sandboxes that went together, and never relies on a look that began before', async () => {
  const { stateOf, world } = open();
  const first = stateOf('/run/netns/c0', '0');
  await eventually('The first look began', 5, () => (world.looks === 1 ? { value: true } : { state: 'no look' }));
  world.sees = false;
  const others = Array.from({ length: 50 }, (_, index) => stateOf(`/run/netns/c${index}`, String(index)));
  expect(await first).toBe('gone');
  expect(new Set(await Promise.all(others))).toEqual(new Set(['unproven']));
  expect(world.looks).toBe(2);
});
