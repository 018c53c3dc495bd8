import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { formatAddress, parseAddress } from '../address.ts';
import { intervalSet } from '../interval-set.ts';
import type { Problem } from './problem.ts';
import { mergedRanges, readRangeList, shownRanges } from './range-list.ts';

const base = 0xfd000001n << 96n;
const addressAt = (at: number): string => formatAddress({ family: 6, value: base + BigInt(at) });
const lists = fc.array(
  fc
    .tuple(fc.nat(60), fc.nat(9))
    .map(([first, more]) => (more === 0 ? addressAt(first) : `${addressAt(first)}-${addressAt(first + more)}`)),
  { maxLength: 12 },
);

const setOf = (list: unknown) => {
  const problems: Problem[] = [];
  const set = intervalSet(readRangeList('spec.ips', list, problems).map(({ interval }) => interval));
  expect(problems).toEqual([]);
  return set;
};

/** Every address of the list, one by one. */
const addressesOf = (list: readonly string[]): Set<string> =>
  new Set(
    list.flatMap((text) => {
      const [first = '', last = first] = text.split('-');
      const [from, to] = [parseAddress(first)?.value ?? 0n, parseAddress(last)?.value ?? 0n];
      return Array.from({ length: Number(to - from) + 1 }, (_, at) =>
        formatAddress({ family: 6, value: from + BigInt(at) }),
      );
    }),
  );

it('merges a list into the same addresses, in ranges that are sorted and do not touch, and the result into itself', () => {
  fc.assert(
    fc.property(lists, (list) => {
      const merged = mergedRanges(list, setOf(list), 6) as readonly string[];
      expect(addressesOf(merged)).toEqual(addressesOf(list));
      expect(mergedRanges(merged, setOf(merged), 6)).toEqual(merged);
      if (list.length > 1) expect(merged).toHaveLength(setOf(list).intervals.length);
    }),
  );
});

it('leaves a list of one as it was written', () => {
  expect(mergedRanges(['FD00:1::1-fd00:1::1'], setOf(['FD00:1::1-fd00:1::1']), 6)).toEqual(['FD00:1::1-fd00:1::1']);
});

it('names three ranges of a set and counts the others', () => {
  const apart = intervalSet([1n, 3n, 5n, 7n, 9n].map((value) => ({ first: value, last: value })));
  expect(shownRanges(apart, 4)).toBe('0.0.0.1, 0.0.0.3, 0.0.0.5 and 2 more');
});

it('says of every entry that cannot be read what to write instead', () => {
  const problems: Problem[] = [];
  readRangeList('spec.ips', ['10.0.0.9 -10.0.0.1', '10.0.0.0/33', null, 'x'.repeat(1000)], problems);
  expect(problems.map(({ text }) => text)).toEqual([
    'spec.ips[0] "10.0.0.9 -10.0.0.1" contains blanks: write "10.0.0.1-10.0.0.9"',
    'spec.ips[1] "10.0.0.0/33" has a prefix length: write it as start-end: write an address or start-end, such as "10.70.8.20-10.70.8.90"',
    'spec.ips[2] "null" is neither an address nor a range: write an address or start-end, such as "10.70.8.20-10.70.8.90"',
    `spec.ips[3] "${'x'.repeat(250)}…" is neither an address nor a range: write an address or start-end, such as "10.70.8.20-10.70.8.90"`,
  ]);
});
