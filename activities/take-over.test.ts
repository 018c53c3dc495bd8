import { describe, expect, it } from '@jest/globals';
import type { IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import { type Taker, wayIn } from './take-over.ts';

const identity = 'StatefulSet/pay/api/0';
const machine = 'VirtualMachineInstance/pay/vm-1';
const ipamClaim = 'IPAMClaim/pay/vm-1.net1';
const holderOf = (containerID: string, some: Partial<ClaimHolder> = {}): ClaimHolder => ({
  namespace: 'pay',
  pod: 'api-0',
  podUID: `uid-of-${containerID}`,
  interface: 'eth0',
  network: 'underlay',
  containerID,
  netns: `/run/netns/${containerID}`,
  netnsCookie: '1',
  node: 'r7-n1',
  machineID: 'm1',
  bootID: 'b1',
  ...some,
});
const elsewhere = { node: 'r7-n2', machineID: 'm2' };
const old = holderOf('old');
const claim = (some: Partial<IPClaimSpec>): IPClaimSpec => ({
  address: '10.70.8.20/24',
  pool: 'v4',
  phase: 'Bound',
  holders: [old],
  ...some,
});
const pod: Taker = { holder: holderOf('new') };
const samePod: Taker = { ...pod, holder: holderOf('new', { podUID: old.podUID }) };
const ordinal: Taker = { ...pod, identity };
const source: Taker = { ...pod, identity: machine };
const target: Taker = { ...source, migrating: machine };

describe('a claim', () => {
  it.each<[string, Partial<IPClaimSpec>, Taker, string]>([
    ['of another pod is none', {}, pod, 'none'],
    ['that is Held for another pod is none', { phase: 'Held' }, pod, 'none'],
    ['that is Held for this pod is free', { phase: 'Held' }, samePod, 'free'],
    ['of this pod needs proof that its last sandbox is gone', {}, samePod, 'proof'],
    ['of this very sandbox is ours', { holders: [pod.holder] }, pod, 'ours'],
    ['of this pod’s other interface is none', { holders: [holderOf('old', { interface: 'net1' })] }, samePod, 'none'],
    [
      'of this identity is free when it is Held, whatever the node',
      { phase: 'Held', identity, holders: [holderOf('old', elsewhere)] },
      ordinal,
      'free',
    ],
    [
      'of this identity’s other interface is none',
      { phase: 'Held', identity, holders: [holderOf('old', { interface: 'net1' })] },
      ordinal,
      'none',
    ],
    ['of another identity is none', { phase: 'Held', identity: 'StatefulSet/pay/api/1' }, ordinal, 'none'],
    ['of an identity is none for a pod without one', { phase: 'Held', identity }, pod, 'none'],
    ['of no identity is none for another pod with one', { phase: 'Held' }, ordinal, 'none'],
    ['that nobody proved silent needs proof', { phase: 'Held', identity, unproven: true }, ordinal, 'proof'],
    ['of this identity in use on this node needs proof', { identity }, ordinal, 'proof'],
    [
      'of this identity in use elsewhere has to be waited for',
      { identity, holders: [holderOf('old', elsewhere)] },
      ordinal,
      'wait',
    ],
    [
      'of a machine in use elsewhere is joined by the target of its migration',
      { identity: machine, holders: [holderOf('old', elsewhere)] },
      target,
      'join',
    ],
    [
      'of a machine in use elsewhere has to be waited for without a migration',
      { identity: machine, holders: [holderOf('old', elsewhere)] },
      source,
      'wait',
    ],
    [
      'of a machine in use on this node needs proof, also for the target of a migration',
      { identity: machine },
      target,
      'proof',
    ],
    [
      'of a machine with two holders has to be waited for by a third',
      { identity: machine, holders: [old, holderOf('other', elsewhere)] },
      target,
      'wait',
    ],
    [
      'that was joined is ours',
      { identity: machine, holders: [holderOf('old', elsewhere), target.holder] },
      target,
      'ours',
    ],
    [
      'of a machine is free again when it is Held',
      { phase: 'Held', identity: machine, holders: [holderOf('old', elsewhere)] },
      target,
      'free',
    ],
    [
      'of an IPAMClaim in use by this sandbox’s other interface is not ours',
      { identity: ipamClaim, holders: [{ ...pod.holder, interface: 'net1' }] },
      { ...pod, identity: ipamClaim },
      'proof',
    ],
    ['that cools is none', { phase: 'Cooling', identity }, ordinal, 'none'],
    ['that is suspect is none', { phase: 'Suspect', identity }, ordinal, 'none'],
    ['that something else answers for is none', { phase: 'Conflicted', identity }, ordinal, 'none'],
    ['without a holder is none', { phase: 'Held', identity, holders: [] }, ordinal, 'none'],
  ])('%s', (_, some, taker, way) => {
    expect(wayIn(claim(some), taker).way).toBe(way);
  });

  it('that has to be waited for says whose it is, and where', () => {
    const found = wayIn(claim({ identity, holders: [holderOf('old', elsewhere)] }), ordinal);
    expect(found).toMatchObject({ why: 'it is in use by pod pay/api-0 on node "r7-n2" (sandbox old)' });
  });
});
