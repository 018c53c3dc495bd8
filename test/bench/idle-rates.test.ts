import { describe, expect, it } from '@jest/globals';
import { isAtRest, ratesBetween } from './idle-rates.ts';

const rates = (worker: number, apiServer: number): ReadonlyMap<number, number> =>
  new Map([
    [1, worker],
    [2, apiServer],
  ]);

describe('a stack', () => {
  it('is at rest when all do little and as much as before', () => {
    expect(isAtRest(rates(2, 60), rates(2, 60))).toBe(true);
    expect(isAtRest(rates(2, 60), rates(6, 75))).toBe(true); // noise
    expect(isAtRest(rates(6, 75), rates(2, 60))).toBe(true);
  });

  it('is not at rest while one process calms down, however little it does', () => {
    expect(isAtRest(rates(25, 60), rates(4, 60))).toBe(false);
    expect(isAtRest(rates(2, 150), rates(2, 90))).toBe(false);
  });

  it('is not at rest when one has begun something', () => {
    expect(isAtRest(rates(2, 60), rates(30, 60))).toBe(false);
  });

  it('is not at rest while it does much, however evenly', () => {
    expect(isAtRest(rates(2, 700), rates(2, 700))).toBe(false);
    expect(isAtRest(rates(130, 130), rates(130, 130))).toBe(false);
  });

  it('has rates per second, whatever lies between two readings', () => {
    expect(ratesBetween(rates(1000, 5000), rates(1030, 5300), 5)).toEqual(rates(6, 60));
  });
});
