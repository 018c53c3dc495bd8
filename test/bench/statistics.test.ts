import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { mean, quantile, slopeOf, spreadOf } from './statistics.ts';

const values = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1 });

describe('statistics of a benchmark', () => {
  it('take quantiles by nearest rank, so that each is a value that was measured', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 0.5, 0.9, 0.99, 1].map((share) => quantile(hundred, share))).toEqual([1, 50, 90, 99, 100]);
    expect(quantile([7], 0.99)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it('have at least the asked share of the values at or below a quantile', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (some, share) => {
        const limit = quantile(some, share);
        expect(some).toContain(limit);
        expect(some.filter((value) => value <= limit).length / some.length).toBeGreaterThanOrEqual(share - 1e-9);
      }),
    );
  });

  it('leave out rounds in which a figure could not be had', () => {
    expect(spreadOf([3, Number.NaN, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  it('find the slope of a line whatever is added to it evenly', () => {
    expect(slopeOf([0, 1, 2, 3].map((x) => [x, 10 + 2 * x]))).toBeCloseTo(2);
    expect(
      slopeOf([
        [0, 5],
        [1, 3],
        [2, 5],
        [3, 3],
      ]),
    ).toBeCloseTo(-0.4);
    expect(mean([1, 2, 6])).toBe(3);
  });
});
