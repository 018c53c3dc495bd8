import { beforeEach, describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import { OwnClaims, writeLimitSeconds } from './own-claims.ts';

const name = '10.70.8.6';
const holderOf = (containerID: string): ClaimHolder => ({
  namespace: 'pay',
  pod: `pod-${containerID}`,
  podUID: `uid-${containerID}`,
  interface: 'eth0',
  network: 'vlan70',
  containerID,
  netns: `/run/netns/${containerID}`,
  netnsCookie: '1',
  node: 'r7-n1',
  machineID: 'm',
  bootID: 'b',
});
const claimOf = (containerID: string): IPClaim => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: { name },
  spec: { address: `${name}/16`, pool: 'v4', phase: 'Bound', holders: [holderOf(containerID)] },
});

describe('the claims that a node remembers', () => {
  let nowMs = 0;
  let own = new OwnClaims('r7-n1', () => nowMs);
  beforeEach(() => {
    nowMs = 0;
    own = new OwnClaims('r7-n1', () => nowMs);
  });
  const held = () => own.all().map(({ containerID, isDoubtful }) => `${containerID}${isDoubtful ? '?' : ''}`);

  it('still hold an address for its sandbox when another asked for the same one and got no answer', () => {
    own.see(claimOf('first'));
    own.doubt(name, holderOf('second'));
    expect(held()).toEqual(['first', 'second?']);
  });

  it('are not forgotten for the answer to a request that was sent before the claim was seen', () => {
    own.see(claimOf('first'));
    const deletedAt = own.moment();
    own.see(claimOf('second')); // created between the deletion and its answer
    own.seeAbsent(name, deletedAt);
    expect(held()).toEqual(['second']);
    own.seeAbsent(name, own.moment());
    expect(held()).toEqual([]);
  });

  it('are as the last write left them, in whichever order the answers come', () => {
    const at = (resourceVersion: string, containerID: string): IPClaim => ({
      ...claimOf(containerID),
      metadata: { name, resourceVersion },
    });
    own.see(at('10', 'second'));
    own.see(at('9', 'first'));
    expect(held()).toEqual(['second']);
    own.see(at('11', 'third'));
    expect(held()).toEqual(['third']);
  });

  it.each(['Cooling', 'Conflicted'] as const)(
    'are none that is %s: nobody has it, and its end is not told here',
    (phase) => {
      own.see(claimOf('first'));
      own.see({ ...claimOf('first'), spec: { ...claimOf('first').spec, phase, until: '2026-11-21T12:00:00Z' } });
      own.addListed({ Name: '10.70.8.7', Phase: phase, 'Container-ID': 'first' });
      expect(held()).toEqual([]);
    },
  );

  it('end a doubt when the claim turns out to be of that sandbox', () => {
    own.doubt(name, holderOf('first'));
    own.see(claimOf('first'));
    expect(held()).toEqual(['first']);
  });

  it.each([
    ['is absent', () => own.seeAbsent(name, own.moment()), []],
    ['is of another sandbox', () => own.see(claimOf('second')), ['second']],
  ])('end a doubt when the claim %s for as long as the server may still work on the write', (_, look, left) => {
    own.doubt(name, holderOf('first'));
    look();
    nowMs = writeLimitSeconds * 1000;
    look();
    expect(held()).toEqual([...left, 'first?']);
    nowMs += 1;
    look();
    expect(held()).toEqual(left);
  });

  it('begin a doubt anew with each write that gets no answer', () => {
    own.doubt(name, holderOf('first'));
    own.seeAbsent(name, own.moment());
    nowMs = writeLimitSeconds * 1000 + 1;
    own.doubt(name, holderOf('first'));
    own.seeAbsent(name, own.moment());
    expect(held()).toEqual(['first?']);
  });
});
