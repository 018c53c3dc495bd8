import { describe, expect, it } from '@jest/globals';
import type { IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import { afterRelease, type Disposition } from './after-release.ts';
import { holderOf } from './testing/claim-fixtures.ts';

const attachment = { containerID: 'c1', interface: 'eth0', network: 'vlan70' };
const claim = (some: Partial<IPClaimSpec> = {}): IPClaimSpec => ({
  address: '10.70.8.20/22',
  pool: 'rack7-v4',
  phase: 'Bound',
  holders: [holderOf()],
  ...some,
});
const sticky = { identity: 'StatefulSet/pay/api/0' };
const until = '2026-11-21T12:00:00Z';

describe('a released claim', () => {
  const table: readonly (readonly [string, Partial<IPClaimSpec>, Disposition, string])[] = [
    ['goes with its pod', {}, 'delete', 'delete'],
    ['goes with its pod although it was kept', { kept: true }, 'delete', 'delete'],
    ['waits for its pod', {}, 'hold', 'Held'],
    ['goes with a failed ADD', {}, 'undo', 'delete'],
    ['outlives a failed ADD when it was kept', { kept: true }, 'undo', 'Held'],
    ['outlives its pod when it is sticky', sticky, 'delete', 'Held'],
    ['outlives a failed ADD when it is sticky', sticky, 'undo', 'Held'],
    ['goes with its pod when its identity ends', sticky, 'end', 'delete'],
    ['goes with its pod without an identity too', {}, 'end', 'delete'],
    ['goes when it was held and its identity ends', { phase: 'Held', kept: true, ...sticky }, 'end', 'delete'],
    ['stays as it is when it is held for its identity', { phase: 'Held', ...sticky }, 'delete', 'nothing to release'],
    ['goes when it was held and its pod is gone', { phase: 'Held', kept: true }, 'delete', 'delete'],
    ['stays as it is when it is held already', { phase: 'Held', kept: true }, 'hold', 'nothing to release'],
    ['goes when it was suspect and its node gives its word', { phase: 'Suspect', until }, 'delete', 'delete'],
    ['is no longer suspect once its node gives its word', { phase: 'Suspect', until, ...sticky }, 'delete', 'Held'],
    ['stays while it cools', { phase: 'Cooling', until }, 'delete', 'nothing to release'],
    ['stays while something else answers for it', { phase: 'Conflicted', until }, 'delete', 'nothing to release'],
    ['of another sandbox stays', { holders: [holderOf({ containerID: 'c2' })] }, 'delete', 'nothing to release'],
    ['of another interface stays', { holders: [holderOf({ interface: 'net1' })] }, 'delete', 'nothing to release'],
    ['of another network stays', { holders: [holderOf({ network: 'vlan71' })] }, 'delete', 'nothing to release'],
  ];
  it.each(table)('%s', (_, some, disposition, expected) => {
    const { until: _until, ...rest } = some;
    const held = { outcome: 'update', spec: { ...claim(rest), phase: 'Held', kept: true } };
    const next = afterRelease(claim(some), attachment, disposition);
    expect(next).toEqual(expected === 'Held' ? held : { outcome: expected });
  });

  it('stays with its other holder', () => {
    const other = holderOf({ containerID: 'c2', node: 'r7-n2' });
    const next = afterRelease(claim({ holders: [holderOf(), other] }), attachment, 'delete');
    expect(next).toEqual({ outcome: 'update', spec: claim({ holders: [other] }) });
    const ended = afterRelease(claim({ holders: [holderOf(), other], ...sticky }), attachment, 'end');
    expect(ended).toEqual({ outcome: 'update', spec: claim({ holders: [other], ...sticky }) });
  });
});
