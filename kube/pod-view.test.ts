import { describe, expect, it } from '@jest/globals';
import { type PodObject, viewOf } from './pod-view.ts';

const pod = (phase: string, restartPolicy: string, some: Partial<PodObject['metadata']> = {}): PodObject => ({
  metadata: { name: 'api-0', namespace: 'pay', uid: 'uid-0', ...some },
  spec: { nodeName: 'r7-n1', restartPolicy },
  status: { phase },
});

describe('a pod', () => {
  it.each([
    ['Succeeded', 'Always', true],
    ['Failed', 'OnFailure', true],
    ['Running', 'Never', true],
    ['Succeeded', 'OnFailure', false],
    ['Failed', 'Never', false],
  ])(
    '§12.3 #21: that is %s with restartPolicy %s may run again: %s, for its DEL and for its reclaim alike',
    (phase, policy, may) => {
      expect(viewOf(pod(phase, policy))).toMatchObject({ isAlive: may, isFinished: !may });
    },
  );

  it('that is being deleted runs no more, and has not finished yet', () => {
    const terminating = pod('Running', 'Always', { deletionTimestamp: '2026-11-21T12:00:00Z' });
    expect(viewOf(terminating)).toMatchObject({ isAlive: false, isFinished: false });
  });
});
