import { describe, expect, it } from '@jest/globals';
import type { AttachmentRecord } from '../../activities/node-ports.ts';
import type { ClaimHolder, ClaimPhase } from '../../contracts/ip-claim.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';
import { addRequest } from '../../workflows/testing/node-model.ts';
import { type ComparedClaim, compareAtStart } from './startup-comparison.ts';
import { node, silent } from './testing/node-world.ts';

type State = 'alive' | 'gone' | 'unproven';

const record = (containerID: string): AttachmentRecord => {
  const { attachment, pod } = addRequest('eth0', undefined, containerID);
  return {
    attachment,
    pod,
    netns: `/run/netns/${containerID}`,
    netnsCookie: '1',
    provides: 'interface',
    addresses: [],
    addedAtMs: 0,
  };
};
const claim = (
  containerID: string,
  phase: ClaimPhase = 'Bound',
  more: Partial<ClaimHolder> = {},
  identity = '',
): ComparedClaim => ({
  name: `10.70.8.${containerID.length}`,
  phase,
  identity,
  holder: {
    namespace: 'pay',
    pod: `pod-of-${containerID}`,
    podUID: `uid-of-${containerID}`,
    interface: 'eth0',
    network: 'underlay',
    containerID,
    netns: `/run/netns/${containerID}`,
    netnsCookie: '1',
    node: node.name,
    machineID: node.machineID,
    bootID: node.bootID,
    ...more,
  },
});

async function compare({
  records = [],
  claims = [],
  states = {},
  alive = [],
  failing = [],
}: {
  records?: readonly AttachmentRecord[];
  claims?: readonly ComparedClaim[];
  states?: Readonly<Record<string, State>>;
  alive?: readonly string[];
  failing?: readonly string[];
}) {
  const detached: DetachRequest[] = [];
  const freed: string[] = [];
  const counts = await compareAtStart({
    node,
    records: { list: async () => records },
    claims: { readAll: async () => claims, releaseHeld: async (name) => void freed.push(name) },
    pods: { find: async ({ name }) => (alive.includes(name) ? { isAlive: true } : undefined) },
    kernel: { namespaceState: async (netns) => states[netns.slice('/run/netns/'.length)] ?? 'alive' },
    detach: async (request) => {
      if (failing.includes(request.attachment.containerID)) throw new Error('busy');
      detached.push(request);
    },
    log: silent,
  });
  return { counts, freed, detached, sandboxes: detached.map(({ attachment }) => attachment.containerID) };
}

describe('what is taken away at start', () => {
  it('is nothing of a sandbox that lives', async () => {
    expect((await compare({ records: [record('c1')], claims: [claim('c1')] })).sandboxes).toEqual([]);
  });

  it('is an attachment whose namespace is gone, once, though record and claim both name it', async () => {
    const { detached, counts } = await compare({
      records: [record('c1')],
      claims: [claim('c1')],
      states: { c1: 'gone' },
    });
    expect(detached).toEqual([
      expect.objectContaining({ attachment: record('c1').attachment, netns: '/run/netns/c1', reason: 'proven-gone' }),
    ]);
    expect(counts).toEqual({ detached: 1, freed: 0 });
  });

  it.each([
    ['only its record', { records: [record('c1')] }],
    ['only its claim', { claims: [claim('c1')] }],
  ])('is an attachment of which %s is left', async (_, left) => {
    expect((await compare({ ...left, states: { c1: 'gone' } })).sandboxes).toEqual(['c1']);
  });

  it('is nothing while it cannot be proven that the namespace is gone, pod or no pod', async () => {
    const { sandboxes } = await compare({ records: [record('c1')], claims: [claim('c1')], states: { c1: 'unproven' } });
    expect(sandboxes).toEqual([]);
  });

  it('is everything of an earlier boot of this machine, whatever stands at its path now', async () => {
    expect((await compare({ claims: [claim('c1', 'Bound', { bootID: 'b0' })] })).sandboxes).toEqual(['c1']);
  });

  it("is nothing of another machine that had this node's name", async () => {
    const elsewhere = claim('c1', 'Bound', { machineID: 'm0', bootID: 'b0' });
    expect((await compare({ claims: [elsewhere], states: { c1: 'gone' } })).sandboxes).toEqual([]);
  });

  it('is no address that is held for a living pod, although its last sandbox is gone', async () => {
    const held = claim('c1', 'Held');
    const { sandboxes, freed } = await compare({ claims: [held], states: { c1: 'gone' }, alive: ['pod-of-c1'] });
    expect(sandboxes).toEqual([]);
    expect(freed).toEqual([]);
  });

  it('goes on after one that cannot be taken away', async () => {
    const claims = [claim('c1'), claim('c22')];
    const { sandboxes, counts } = await compare({ claims, states: { c1: 'gone', c22: 'gone' }, failing: ['c1'] });
    expect(sandboxes).toEqual(['c22']);
    expect(counts.detached).toBe(1);
  });
});

describe('an address that is held', () => {
  it('is freed when its pod is gone', async () => {
    expect((await compare({ claims: [claim('c1', 'Held')] })).freed).toEqual(['10.70.8.2']);
  });

  it('stays held while its pod lives', async () => {
    expect((await compare({ claims: [claim('c1', 'Held')], alive: ['pod-of-c1'] })).freed).toEqual([]);
  });

  it('stays held for an identity that outlives its pod', async () => {
    expect((await compare({ claims: [claim('c1', 'Held', {}, 'StatefulSet/pay/api/0')] })).freed).toEqual([]);
  });

  it.each(['Bound', 'Cooling', 'Suspect', 'Conflicted'] as const)('is not one that is %s', async (phase) => {
    expect((await compare({ claims: [claim('c1', phase)] })).freed).toEqual([]);
  });
});
