import { expect, it } from '@jest/globals';
import { isPodAlive, type PodLife, whyNotAlive } from './pod-alive.ts';

const pod = (phase: string, restartPolicy?: string, reason?: string): PodLife => ({
  metadata: {},
  spec: { restartPolicy },
  status: { phase, reason },
});

it.each([
  ['Pending', 'Never'],
  ['Running', 'Never'],
  ['Unknown', 'Never'],
  ['Succeeded', 'Always'],
  ['Succeeded', undefined],
  ['Failed', 'Always'],
  ['Failed', 'OnFailure'],
])('a pod in phase %s with restartPolicy %s is alive', (phase, restartPolicy) => {
  expect(isPodAlive(pod(phase, restartPolicy))).toBe(true);
});

it('a pod that has no status yet is alive', () => {
  expect(isPodAlive({})).toBe(true);
});

it.each<[string, PodLife | undefined]>([
  ['it does not exist', undefined],
  ['it is being deleted', { ...pod('Running', 'Always'), metadata: { deletionTimestamp: new Date(0) } }],
  ['it succeeded, and its restartPolicy is OnFailure', pod('Succeeded', 'OnFailure')],
  ['it succeeded, and its restartPolicy is Never', pod('Succeeded', 'Never')],
  ['it failed, and its restartPolicy is Never', pod('Failed', 'Never')],
  ['it was evicted', pod('Failed', 'Always', 'Evicted')],
])('a pod is not alive when %s', (why, life) => {
  expect(whyNotAlive(life)).toBe(why);
  expect(isPodAlive(life)).toBe(false);
});
