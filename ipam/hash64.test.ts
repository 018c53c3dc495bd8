import { describe, expect, it } from '@jest/globals';
import { hash64 } from './hash64.ts';

const count = 10_000;
const hashes = (key: (index: number) => string): bigint[] =>
  Array.from({ length: count }, (_, index) => hash64(key(index)));
const similarUIDs = hashes((index) => `9c1f0000-0000-4000-8000-${String(index).padStart(12, '0')}/eth0/4`);
const similarNICs = hashes((index) => `9c1f0000-0000-4000-8000-000000000000/net${index}/6`);

/** Pearson's chi-squared over the buckets. */
function chiSquared(values: readonly bigint[], buckets: number): number {
  const hits = Array.from({ length: buckets }, () => 0);
  for (const value of values) hits[Number(value % BigInt(buckets))] = (hits[Number(value % BigInt(buckets))] ?? 0) + 1;
  const expected = values.length / buckets;
  return hits.reduce((sum, hit) => sum + (hit - expected) ** 2 / expected, 0);
}

describe('hash64', () => {
  it.each([2, 3, 16, 71, 254, 256, 1024])('spreads similar keys evenly over %d places', (buckets) => {
    const mean = buckets - 1;
    const limit = mean + 5 * Math.sqrt(2 * mean); // five standard deviations
    expect(chiSquared(similarUIDs, buckets)).toBeLessThan(limit);
    expect(chiSquared(similarNICs, buckets)).toBeLessThan(limit);
  });

  it('stays the same from release to release: a pod that returns meets its place again', () => {
    expect(hash64('')).toBe(17280346270528514342n);
    expect(hash64('9c1f0000-0000-4000-8000-000000000000/eth0/4')).toBe(14449769469876063137n);
  });
});
