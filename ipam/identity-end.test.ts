import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  keepOnScaleDownAnnotation,
  type StatefulSetObject,
  whyIPAMClaimEnded,
  whyMachineEnded,
  whyOrdinalEnded,
} from './identity-end.ts';

const ordinal = (number: number) => ({ kind: 'StatefulSet', namespace: 'pay', name: 'api', ordinal: number }) as const;
const statefulSet = (replicas?: number, start?: number, annotations = {}): StatefulSetObject => ({
  metadata: { annotations },
  spec: {
    ...(replicas === undefined ? {} : { replicas }),
    ...(start === undefined ? {} : { ordinals: { start } }),
  },
});
const isGone = { metadata: { deletionTimestamp: '2026-11-21T12:00:00Z' } };

describe('an ordinal of a StatefulSet', () => {
  it.each<[string, number, StatefulSetObject | undefined, string | undefined]>([
    ['is wanted below its replicas', 2, statefulSet(3), undefined],
    ['has ended at its replicas', 3, statefulSet(3), 'StatefulSet pay/api has the ordinals 0 to 2 only'],
    ['is wanted at its start', 5, statefulSet(3, 5), undefined],
    ['is wanted up to its end', 7, statefulSet(3, 5), undefined],
    ['has ended before its start', 4, statefulSet(3, 5), 'StatefulSet pay/api has the ordinals 5 to 7 only'],
    ['has ended after its end', 8, statefulSet(3, 5), 'StatefulSet pay/api has the ordinals 5 to 7 only'],
    ['is one where nobody says how many', 0, statefulSet(), undefined],
    ['is not two where nobody says how many', 1, statefulSet(), 'StatefulSet pay/api has the ordinals 0 to 0 only'],
    ['has ended at zero replicas', 0, statefulSet(0), 'StatefulSet pay/api is scaled to none'],
    ['has ended with it', 0, undefined, 'StatefulSet pay/api does not exist'],
    ['has ended while it is being deleted', 0, isGone, 'StatefulSet pay/api is being deleted'],
  ])('%s', (_, number, found, why) => {
    expect(whyOrdinalEnded(ordinal(number), found)).toBe(why);
  });

  it('is kept over scaling down where the StatefulSet says so, and not over its end', () => {
    const annotations = { [keepOnScaleDownAnnotation]: 'true' };
    expect(whyOrdinalEnded(ordinal(9), statefulSet(0, 0, annotations))).toBeUndefined();
    expect(whyOrdinalEnded(ordinal(9), { metadata: { ...isGone.metadata, annotations } })).toMatch(/being deleted/);
    for (const text of ['', 'false', 'yes', 'True']) {
      expect(whyOrdinalEnded(ordinal(9), statefulSet(1, 0, { [keepOnScaleDownAnnotation]: text }))).toBeDefined();
    }
  });

  it('is wanted exactly when the StatefulSet makes a pod for it', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), fc.nat(50), (replicas, start, number) => {
        const makes = Array.from({ length: replicas }, (_, at) => start + at);
        expect(whyOrdinalEnded(ordinal(number), statefulSet(replicas, start)) === undefined).toBe(
          makes.includes(number),
        );
      }),
    );
  });
});

describe('a machine', () => {
  const machine = { kind: 'VirtualMachineInstance', namespace: 'pay', name: 'vm-1' } as const;
  const there = { metadata: {} };
  it.each([
    ['is wanted while it runs', there, there, undefined],
    ['is wanted while it runs without a VirtualMachine', there, undefined, undefined],
    ['is wanted while it is stopped', undefined, there, undefined],
    ['is wanted while it restarts', isGone, there, undefined],
    ['has ended with both', undefined, undefined, 'VirtualMachine pay/vm-1 does not exist'],
    ['has ended when its VirtualMachine is being deleted', isGone, isGone, 'VirtualMachine pay/vm-1 is being deleted'],
    [
      'has ended when it is being deleted and has no VirtualMachine',
      isGone,
      undefined,
      'VirtualMachineInstance pay/vm-1 is being deleted, and no VirtualMachine will start it again',
    ],
  ])('%s', (_, instance, virtualMachine, why) => {
    expect(whyMachineEnded(machine, instance, virtualMachine)).toBe(why);
  });
});

it('an IPAMClaim keeps its addresses until it is deleted', () => {
  const claim = { kind: 'IPAMClaim', namespace: 'pay', name: 'vm-1.net1' } as const;
  expect(whyIPAMClaimEnded(claim, { metadata: {} })).toBeUndefined();
  expect(whyIPAMClaimEnded(claim, isGone)).toBe('IPAMClaim pay/vm-1.net1 is being deleted');
  expect(whyIPAMClaimEnded(claim, undefined)).toBe('IPAMClaim pay/vm-1.net1 does not exist');
});
