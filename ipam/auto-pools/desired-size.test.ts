import { describe, expect, it } from '@jest/globals';
import { readPoolSize } from '../subnet-annotation.ts';
import { desiredSize } from './desired-size.ts';

const size = (count: number) => ({ outcome: 'size', size: count });

describe('the size of an automatic pool', () => {
  it.each([
    ['4', 10, 4],
    ['0', 10, 0],
    ['+0', 10, 10],
    ['+2', 10, 12],
    ['4', undefined, 4],
  ])('is for %s and %s replicas %d', (text, replicas, expected) => {
    expect(desiredSize(readPoolSize(text), replicas, 1)).toEqual(size(expected));
  });

  it('§12.3 #7, #8: has the cluster’s surplus where nothing is said, and one function says so to all who ask', () => {
    expect(desiredSize(undefined, 3, 1)).toEqual(size(4));
    expect(desiredSize(undefined, 3, 0)).toEqual(size(3));
  });

  it.each(['+2', undefined])('§12.3 #31: is refused for %s where the replicas are not known', (text) => {
    const wanted = text === undefined ? undefined : readPoolSize(text);
    expect(desiredSize(wanted, undefined, 1)).toEqual({
      outcome: 'refused',
      problem: expect.stringContaining('only supports a fixed number'),
    });
  });
});
