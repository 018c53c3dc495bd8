import { describe, expect, it } from '@jest/globals';
import { formatProgress } from './progress.ts';

const place = { part: 'etcd 3.6.8', index: 3, total: 15 };

describe('a line of progress', () => {
  it('tells which part of how many is built and how long that takes the first time', () => {
    expect(formatProgress({ ...place, state: 'started', coldBuildSeconds: 50 })).toBe(
      '[ 3 of 15] etcd 3.6.8: building, about 50 s the first time',
    );
  });

  it('shows the seconds while a build goes on and when it is done', () => {
    expect(formatProgress({ ...place, state: 'building', elapsedSeconds: 20 })).toBe('[ 3 of 15] etcd 3.6.8: 20 s …');
    expect(formatProgress({ ...place, state: 'built', elapsedSeconds: 47 })).toBe(
      '[ 3 of 15] etcd 3.6.8: built in 47 s',
    );
  });

  it('says that it waits for another run', () => {
    expect(formatProgress({ ...place, state: 'waiting' })).toBe(
      '[ 3 of 15] etcd 3.6.8: another run builds it, waiting',
    );
  });

  it('is left out for a part from the cache', () => {
    expect(formatProgress({ ...place, state: 'cached' })).toBeUndefined();
  });
});
