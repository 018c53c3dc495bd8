import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { globMatches, isGlob, parseGlob } from './glob.ts';

function matches(pattern: string, name: string): boolean {
  const glob = parseGlob(pattern);
  if (glob.outcome === 'malformed') throw new Error(glob.problem);
  return globMatches(glob.tokens, name);
}

describe('a wildcard', () => {
  it.each([
    ['rack7-v4', 'rack7-v4'],
    ['*', ''],
    ['*', 'rack7-v4'],
    ['rack*', 'rack'],
    ['rack*', 'rack7-v4'],
    ['*-v4', 'rack7-v4'],
    ['r*k*4', 'rack7-v4'],
    ['**4', 'rack7-v4'],
    ['rack?-v4', 'rack7-v4'],
    ['rack[7-9]-v4', 'rack8-v4'],
    ['rack[179]-v4', 'rack1-v4'],
    ['rack[^1-3]-v4', 'rack7-v4'],
    ['rack[a-c7x]-v4', 'rack7-v4'],
    ['rack[\\-7]-v4', 'rack--v4'],
    ['rack[\\]]', 'rack]'],
    ['rack\\*', 'rack*'],
    ['ra\\ck', 'rack'],
    ['[!a]', '!'],
    ['*[^a]', 'ba.b'],
    ['pool.?', 'pool.é'],
  ])('%j matches %j', (pattern, name) => {
    expect(matches(pattern, name)).toBe(true);
  });

  it.each([
    ['', 'a'],
    ['?', ''],
    ['rack', 'rack7'],
    ['ack*', 'rack7'],
    ['*-v6', 'rack7-v4'],
    ['rack?-v4', 'rack-v4'],
    ['rack[7-9]-v4', 'rack6-v4'],
    ['rack[9-7]-v4', 'rack8-v4'],
    ['rack[^7]-v4', 'rack7-v4'],
    ['[^a]', ''],
    ['Rack*', 'rack7'],
    ['a*b*c', 'abcb'],
  ])('%j does not match %j', (pattern, name) => {
    expect(matches(pattern, name)).toBe(false);
  });

  it.each([
    ['rack[', 'has a "[" without "]"'],
    ['rack[7', 'has a "[" without "]"'],
    ['rack[7-', 'has a "[" without "]"'],
    ['rack[^', 'has a "[" without "]"'],
    ['rack[]', 'has an empty set or an open range in "[…]"'],
    ['rack[^]', 'has an empty set or an open range in "[…]"'],
    ['rack[]7]', 'has an empty set or an open range in "[…]"'],
    ['rack[7-]', 'has an empty set or an open range in "[…]"'],
    ['rack[-7]', 'has a "-" in "[…]" that is no range: write "\\-"'],
    ['rack[1-3-5]', 'has a "-" in "[…]" that is no range: write "\\-"'],
    ['rack\\', 'ends with "\\"'],
    ['rack[\\', 'ends with "\\"'],
    ['*[', 'has a "[" without "]"'],
  ])('%j is malformed: it %s', (pattern, problem) => {
    expect(parseGlob(pattern)).toEqual({ outcome: 'malformed', problem });
  });

  it('is known by its characters, and no name of a pool has them', () => {
    expect(['rack*', 'rack?', 'rack[7]', 'rack\\7', 'rack['].every(isGlob)).toBe(true);
    expect(['rack7-v4', 'a.b.c', ''].some(isGlob)).toBe(false);
  });

  it('matches what trying every way to read it matches', () => {
    const token = fc.oneof(
      fc.constantFrom('*', '?', 'a', 'b', '-', '\\*', '\\a'),
      fc.constantFrom('[ab]', '[^a]', '[a-b]', '[b-a]', '[^\\-]', '[ac-]'),
    );
    const patterns = fc.array(token, { maxLength: 8 }).map((tokens) => tokens.join(''));
    const names = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-', '*'), maxLength: 8 });
    fc.assert(
      fc.property(patterns, names, (pattern, name) => {
        const glob = parseGlob(pattern);
        const expected = readEveryWay(pattern, name);
        expect(glob.outcome === 'glob' ? globMatches(glob.tokens, name) : 'malformed').toBe(expected);
      }),
    );
  });

  it('costs little, whatever somebody writes', () => {
    const name = 'a'.repeat(253);
    expect(matches(`${'*a'.repeat(200)}*b`, name)).toBe(false);
    expect(matches(`${'*a'.repeat(200)}*`, name)).toBe(true);
    expect(matches(`${'*'.repeat(100_000)}b`, name)).toBe(false);
  });
});

/** The model: a pattern as a text, read by recursion over every length that a "*" may have. */
function readEveryWay(pattern: string, name: string): boolean | 'malformed' {
  if (pattern.includes('[ac-]')) return 'malformed'; // the only malformed token of the property
  const match = (pattern: string, name: string): boolean => {
    if (pattern === '') return name === '';
    const set = /^\[(\^?)([^\]]+)\](.*)$/s.exec(pattern);
    if (pattern.startsWith('*')) {
      return Array.from({ length: name.length + 1 }, (_, length) => length).some((length) =>
        match(pattern.slice(1), name.slice(length)),
      );
    }
    if (name === '') return false;
    if (pattern.startsWith('?')) return match(pattern.slice(1), name.slice(1));
    if (set) {
      const [, negation, members = '', rest = ''] = set;
      const isIn = { ab: 'ab', a: 'a', 'a-b': 'ab', 'b-a': '', '\\-': '-' }[members]?.includes(name[0] ?? '');
      return isIn === (negation === '') && match(rest, name.slice(1));
    }
    const literal = pattern.startsWith('\\') ? pattern[1] : pattern[0];
    return literal === name[0] && match(pattern.slice(pattern.startsWith('\\') ? 2 : 1), name.slice(1));
  };
  return match(pattern, name);
}
