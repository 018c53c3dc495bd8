import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { formatAddress } from './address.ts';
import { intervalSet } from './interval-set.ts';
import { formatRanges, parseRange } from './range-grammar.ts';

it('reads a single address and a range, both ends included', () => {
  expect(parseRange('10.0.0.9')).toEqual({
    outcome: 'range',
    family: 4,
    interval: { first: 0x0a000009n, last: 0x0a000009n },
  });
  expect(parseRange('2001:db8::1-2001:db8::ff')).toEqual({
    outcome: 'range',
    family: 6,
    interval: { first: 0x20010db8000000000000000000000001n, last: 0x20010db80000000000000000000000ffn },
  });
});

it.each([
  ['10.0.0.9-10.0.0.1', 'ends before it starts'],
  ['10.0.0.1-::2', 'starts as IPv4 and ends as IPv6'],
  ['10.0.0.0/24', 'has a prefix length: write it as start-end'],
  ['10.0.0.1 - 10.0.0.9', 'contains blanks'],
  ['10.0.0.1\n', 'contains blanks'],
  ['10.0.0.1-10.0.0.5-10.0.0.9', 'is neither an address nor a range start-end'],
  ['10.0.0.1-', 'is neither an address nor a range start-end'],
  ['-10.0.0.1', 'is neither an address nor a range start-end'],
  ['10.0.0.1-9', 'is neither an address nor a range start-end'],
  ['', 'is neither an address nor a range start-end'],
])('refuses %j, which %s', (entry, problem) => {
  expect(parseRange(entry)).toEqual({ outcome: 'invalid', problem: `"${entry}" ${problem}` });
});

it('reads every range that is written in order, and no range that is not', () => {
  const values = fc.bigInt(0n, (1n << 32n) - 1n);
  fc.assert(
    fc.property(values, values, (first, last) => {
      const text = `${formatAddress({ family: 4, value: first })}-${formatAddress({ family: 4, value: last })}`;
      expect(parseRange(text)).toEqual(
        first <= last
          ? { outcome: 'range', family: 4, interval: { first, last } }
          : { outcome: 'invalid', problem: `"${text}" ends before it starts` },
      );
    }),
  );
});

it('answers any text without throwing', () => {
  const almost = fc.stringMatching(/^[0-9a-f.:\-/ ]{0,30}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), almost), (text) => {
      expect(['range', 'invalid']).toContain(parseRange(text).outcome);
    }),
  );
});

it('writes a set so that reading it gives the set again', () => {
  const end = fc.bigInt(0n, 300n);
  fc.assert(
    fc.property(fc.constantFrom(4 as const, 6 as const), fc.array(fc.tuple(end, end)), (family, ends) => {
      const set = intervalSet(ends.map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a })));
      const read = formatRanges(set, family).map((text) => {
        const reading = parseRange(text);
        return reading.outcome === 'range' && reading.family === family ? reading.interval : text;
      });
      expect(read).toEqual(set.intervals);
    }),
  );
});
