import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { listedPrefixes, runsPerSweep } from './run-parts.ts';

describe('the runs that a sweep lists', () => {
  it('are all of them as long as they are few', () => {
    expect(listedPrefixes(0, 0.5)).toBeUndefined();
    expect(listedPrefixes(runsPerSweep, 0.5)).toBeUndefined();
  });

  it.each([
    [1001, 0, '0123456789abcde'.split('')],
    [10_000, 0.97, ['f']],
    [150_000, 0.5, ['80']],
  ])('are, of %d, those of pods whose UID begins with one of a few digits', (openRuns, start, prefixes) => {
    expect(listedPrefixes(openRuns, start)).toEqual(prefixes);
  });

  it('are about as many as are to be, in a query of at most 16 alternatives, each once', () => {
    const start = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: runsPerSweep + 1, max: 250_000 }), start, (openRuns, begin) => {
        const prefixes = listedPrefixes(openRuns, begin) ?? [];
        expect(prefixes.length).toBeGreaterThan(0);
        expect(prefixes.length).toBeLessThanOrEqual(16);
        expect(new Set(prefixes).size).toBe(prefixes.length);
        const listed = openRuns * prefixes.reduce((sum, prefix) => sum + 16 ** -prefix.length, 0);
        expect(listed).toBeLessThanOrEqual(runsPerSweep + 1e-6);
        expect(listed).toBeGreaterThan(runsPerSweep / 2 - 1);
      }),
    );
  });

  it('are some time all of them', () => {
    const listed = Array.from({ length: 256 }, (_, at) => listedPrefixes(100_000, at / 256)).flat();
    expect(new Set(listed).size).toBe(256);
  });
});
