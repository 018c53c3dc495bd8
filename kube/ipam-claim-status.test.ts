import { describe, expect, it } from '@jest/globals';
import type { IPAMClaimStatus } from '../contracts/ipam-claim.ts';
import type { ClaimRow } from './claim-feed.ts';
import { ipamClaimStatus } from './ipam-claim-status.ts';

const now = '2026-11-22T02:00:00Z';
const later = '2026-11-22T03:00:00Z';
const holder = (pod: string) => ({ pod: `pay/${pod}`, podUID: pod, interface: 'net1', node: 'n1', containerID: 'c1' });
const claim = (address: string, some: Partial<ClaimRow> = {}): ClaimRow => ({
  address,
  pool: 'rack7',
  phase: 'Bound',
  createdAtSeconds: 1,
  identity: 'IPAMClaim/pay/vm-1.net1',
  holders: [holder('vm-1-a')],
  ...some,
});
const claimed = (lastTransitionTime = now) =>
  expect.objectContaining({ type: 'IPsAllocated', status: 'True', reason: 'ClaimedByOrbweaver', lastTransitionTime });

describe('the status of an IPAMClaim', () => {
  it('has the address of each family, IPv4 first, and the pod that has them', () => {
    expect(ipamClaimStatus([claim('fd70::5/64'), claim('10.70.8.20/22')], undefined, now)).toEqual({
      ips: ['10.70.8.20/22', 'fd70::5/64'],
      ownerPod: { name: 'vm-1-a' },
      conditions: [claimed()],
    });
  });

  it('stays, with the pod that had them last, while they are held', () => {
    const before = ipamClaimStatus([claim('10.70.8.20/22')], undefined, now);
    expect(ipamClaimStatus([claim('10.70.8.20/22', { phase: 'Held' })], before, later)).toBe(before);
  });

  it('names the pod that a machine migrates to, and then goes on with its addresses as they were', () => {
    const before = ipamClaimStatus([claim('10.70.8.20/22')], undefined, now);
    const holders = [holder('vm-1-a'), holder('vm-1-b')];
    expect(ipamClaimStatus([claim('10.70.8.20/22', { holders })], before, later)).toEqual({
      ips: ['10.70.8.20/22'],
      ownerPod: { name: 'vm-1-b' },
      conditions: [claimed()],
    });
  });

  it('has one address of a family, although two stick to it: the one in use, else the younger', () => {
    const held = claim('10.70.8.20/22', { phase: 'Held', createdAtSeconds: 3 });
    const younger = claim('10.70.8.22/22', { createdAtSeconds: 2 });
    expect(ipamClaimStatus([held, claim('10.70.8.21/22'), younger], undefined, now)?.ips).toEqual(['10.70.8.22/22']);
  });

  it('has no address that nobody may have', () => {
    for (const phase of ['Cooling', 'Suspect', 'Conflicted'] as const) {
      expect(ipamClaimStatus([claim('10.70.8.20/22', { phase })], undefined, now)).toBeUndefined();
    }
  });

  it('says so when what it had is claimed no more', () => {
    const before = ipamClaimStatus([claim('10.70.8.20/22')], undefined, now);
    const after = ipamClaimStatus([], before, later);
    expect(after).toEqual({
      ips: [],
      conditions: [
        expect.objectContaining({
          type: 'IPsAllocated',
          status: 'False',
          reason: 'ReleasedByOrbweaver',
          lastTransitionTime: later,
        }),
      ],
    });
    expect(ipamClaimStatus([], after, later)).toBe(after);
  });

  it('is right with either form of the owner: the name in an object, or alone as it was before v0.5.1-alpha', () => {
    const now1 = ipamClaimStatus([claim('10.70.8.20/22')], undefined, now);
    const named = now1 && { ...now1, ownerPod: 'vm-1-a' };
    expect(ipamClaimStatus([claim('10.70.8.20/22')], named, later)).toBe(named);
    const released = { ...ipamClaimStatus([], now1, now), ownerPod: '' };
    expect(ipamClaimStatus([], released, later)).toBe(released);
    const stranger = now1 && { ...now1, ownerPod: 'vm-1-z' };
    expect(ipamClaimStatus([claim('10.70.8.20/22')], stranger, later)?.ownerPod).toEqual({ name: 'vm-1-a' });
  });

  it('is not stopped by one that has no list of addresses', () => {
    const theirs: IPAMClaimStatus = { conditions: [] };
    expect(ipamClaimStatus([], theirs, now)).toBe(theirs);
    expect(ipamClaimStatus([claim('10.70.8.20/22')], theirs, now)?.ips).toEqual(['10.70.8.20/22']);
  });

  it('is left as others wrote it while nothing of ours sticks to it, and keeps their conditions afterwards', () => {
    const theirs: IPAMClaimStatus = {
      ips: ['10.9.0.1/16'],
      conditions: [{ type: 'Ready', status: 'True', reason: 'Theirs', message: '', lastTransitionTime: now }],
    };
    expect(ipamClaimStatus([], theirs, later)).toBe(theirs);
    expect(ipamClaimStatus([claim('10.9.0.1/16')], theirs, later)?.conditions).toEqual([
      theirs.conditions?.[0],
      claimed(later),
    ]);
  });
});
