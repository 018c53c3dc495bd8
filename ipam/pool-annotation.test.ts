import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type AnnotationReading, readIppoolAnnotation } from './pool-annotation.ts';

describe('the annotation ipam.spidernet.io/ippool', () => {
  it.each([
    ['{"ipv4":["p1","p-backup"],"ipv6":["p6"]}', ['p1', 'p-backup'], ['p6']],
    ['{"ipv4":["p1"]}', ['p1'], []],
    ['{"ipv6":["p6"],"ipv4":[]}', [], ['p6']],
    ['{"IPv4":["p1"],"IPV6":["p6"]}', ['p1'], ['p6']],
    ['{"ipv4":["p1"],"ipv6":null}', ['p1'], []],
    ['{"ipv4":["p1"],"interface":"eth0","ipv5":7}', ['p1'], []],
    ['{"ipv4":["p1"],"IPV4":["p2"]}', ['p2'], []],
    ['{"ipv4":["p1"],"__proto__":{"ipv6":["p6"]}}', ['p1'], []],
  ])('reads %s', (text, ipv4, ipv6) => {
    expect(readIppoolAnnotation(text)).toEqual({ outcome: 'pools', pools: { 4: ipv4, 6: ipv6 } });
  });

  it.each([
    ['', 'it is not JSON'],
    ['p1', 'it is not JSON'],
    ['{"ipv4":["p1"]', 'it is not JSON'],
    ['null', 'it is not an object'],
    ['["p1"]', 'it is not an object'],
    ['"p1"', 'it is not an object'],
    ['{"ipv4":"p1"}', '"ipv4" is not a list of pool names'],
    ['{"ipv4":["p1"],"IPv6":{"0":"p6"}}', '"IPv6" is not a list of pool names'],
    ['{"ipv4":["p1",7]}', '"ipv4" is not a list of pool names'],
    ['{"ipv4":["p1"],"ipv6":[""]}', '"ipv6" is not a list of pool names'],
    ['{"ipv4":["p1"],"ipv6":[null]}', '"ipv6" is not a list of pool names'],
    ['{}', 'it names no pool'],
    ['{"ipv4":[],"ipv6":null}', 'it names no pool'],
  ])('refuses %j: %s', (text, problem) => {
    expect(readIppoolAnnotation(text)).toEqual({
      outcome: 'refused',
      failure: {
        type: 'InvalidAnnotation',
        message: `Cannot read pod annotation ipam.spidernet.io/ippool: ${problem}. Found: ${text}`,
        remedy:
          'Write it as in this example: ipam.spidernet.io/ippool: \'{"ipv4": ["pool-a", "pool-b"], "ipv6": ["pool-c"]}\'',
      },
    });
  });

  it('answers any text with pools or with one line', () => {
    const almost = fc.jsonValue().map((value) => JSON.stringify({ ipv4: value }));
    const isSound = (reading: AnnotationReading): boolean =>
      reading.outcome === 'pools'
        ? [...reading.pools[4], ...reading.pools[6]].every((name) => typeof name === 'string' && name.length > 0)
        : reading.failure.type === 'InvalidAnnotation' && !/\p{Cc}/u.test(reading.failure.message);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), almost), (text) => {
        expect(isSound(readIppoolAnnotation(text))).toBe(true);
      }),
    );
  });

  it('answers a large one with one short line', () => {
    const reading = readIppoolAnnotation(`{"ipv4":${'['.repeat(100_000)}`);
    expect(reading.outcome === 'refused' && reading.failure.message.length).toBeLessThan(400);
    expect(readIppoolAnnotation('['.repeat(100_000) + ']'.repeat(100_000)).outcome).toBe('refused');
  });
});
