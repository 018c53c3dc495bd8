import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type AnnotationReading,
  ippoolsAnnotation,
  namesProblem,
  namespacePoolAnnotations,
  readIppoolAnnotation,
  readIppoolsAnnotation,
  readNamespacePools,
} from './pool-annotation.ts';

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
    ['{"ipv4":["p1"],"IPv6":{"0":"p6"}}', '"ipv6" is not a list of pool names'],
    ['{"ipv4":["p1",7]}', '"ipv4" is not a list of pool names'],
    ['{"ipv4":["p1"],"ipv6":[""]}', '"ipv6" is not a list of pool names'],
    ['{"ipv4":["p1"],"ipv6":[null]}', '"ipv6" is not a list of pool names'],
    ['{"ipv4":["rack[7"]}', '"ipv4" has a malformed wildcard: "rack[7" has a "[" without "]"'],
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

describe('the annotation ipam.spidernet.io/ippools', () => {
  it('names the pools of each NIC, and whether it has a default route', () => {
    const text =
      '[{"interface":"eth0","ipv4":["p1","p2"]},{"interface":"net1","IPv4":["q*"],"ipv6":["q6"],"cleanGateway":true}]';
    expect(readIppoolsAnnotation(text)).toEqual({
      outcome: 'nics',
      nics: [
        { ifName: 'eth0', pools: { 4: ['p1', 'p2'], 6: [] }, cleanGateway: false },
        { ifName: 'net1', pools: { 4: ['q*'], 6: ['q6'] }, cleanGateway: true },
      ],
    });
  });

  it('goes by place where no item has an interface; an empty one is none, as in Go', () => {
    expect(readIppoolsAnnotation('[{"ipv4":["p1"]},{"interface":"","ipv4":["p2"],"cleangateway":null}]')).toEqual({
      outcome: 'nics',
      nics: [
        { pools: { 4: ['p1'], 6: [] }, cleanGateway: false },
        { pools: { 4: ['p2'], 6: [] }, cleanGateway: false },
      ],
    });
  });

  it.each([
    ['', 'it is not JSON'],
    ['{"ipv4":["p1"]}', 'it is not a list'],
    ['null', 'it is not a list'],
    ['[]', 'it has no item'],
    ['["p1"]', 'item 0 is not an object'],
    ['[null]', 'item 0 names no pool'],
    ['[{"interface":"eth0"}]', 'item 0 names no pool'],
    ['[{"interface":"eth0","ipv4":["p1"]},{"interface":"net1","ipv4":[]}]', 'item 1 names no pool'],
    ['[{"interface":7,"ipv4":["p1"]}]', '"interface" of item 0 is not the name of a NIC'],
    ['[{"ipv4":"p1"}]', '"ipv4" of item 0 is not a list of pool names'],
    ['[{"ipv4":["p1",""]}]', '"ipv4" of item 0 is not a list of pool names'],
    ['[{"ipv6":["p["]}]', '"ipv6" of item 0 has a malformed wildcard: "p[" has a "[" without "]"'],
    ['[{"ipv4":["p1"],"cleangateway":"true"}]', '"cleangateway" of item 0 is neither true nor false'],
    ['[{"interface":"eth0","ipv4":["p1"]},{"ipv4":["p2"]}]', 'some items have an "interface" and some have none'],
    [
      '[{"interface":"eth0","ipv4":["p1"]},{"interface":"net1","ipv4":["p2"]},{"interface":"eth0","ipv4":["p3"]}]',
      'NIC "eth0" has two items',
    ],
  ])('refuses %j: %s', (text, problem) => {
    const reading = readIppoolsAnnotation(text);
    expect(reading.outcome === 'refused' && reading.failure).toMatchObject({
      type: 'InvalidAnnotation',
      message: `Cannot read pod annotation ${ippoolsAnnotation}: ${problem}. Found: ${text}`,
      remedy: `Write it as in this example: ${ippoolsAnnotation}: '[{"interface": "eth0", "ipv4": ["pool-a"]}, {"interface": "net1", "ipv4": ["pool-b"]}]'`,
    });
  });

  it('answers any text with NICs or with one line', () => {
    const item = fc.record(
      { interface: fc.jsonValue(), ipv4: fc.jsonValue(), ipv6: fc.jsonValue(), cleangateway: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.array(item).map((list) => JSON.stringify(list)),
    );
    fc.assert(
      fc.property(text, (text) => {
        const reading = readIppoolsAnnotation(text);
        if (reading.outcome === 'nics') expect(reading.nics.length).toBeGreaterThan(0);
        else expect(reading.failure.message).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe('the annotations of a namespace', () => {
  const [v4, v6] = [namespacePoolAnnotations[4], namespacePoolAnnotations[6]];

  it('name the pools of its pods', () => {
    expect(readNamespacePools('pay', { [v4]: '["team-a-v4","shared-*"]', [v6]: '["team-a-v6"]' })).toEqual({
      outcome: 'pools',
      pools: { 4: ['team-a-v4', 'shared-*'], 6: ['team-a-v6'] },
    });
    expect(readNamespacePools('pay', { [v6]: '["team-a-v6"]' })).toMatchObject({ pools: { 4: [], 6: ['team-a-v6'] } });
  });

  it('are absent when they name nothing', () => {
    for (const annotations of [{}, { [v4]: '[]' }, { [v4]: 'null', [v6]: '[]' }]) {
      expect(readNamespacePools('pay', annotations)).toEqual({ outcome: 'absent' });
    }
  });

  it.each([
    ['', 'it is not JSON'],
    ['team-a', 'it is not JSON'],
    ['{"ipv4":["p"]}', 'it is not a list of pool names'],
    ['[""]', 'it is not a list of pool names'],
    ['["p\\\\"]', 'it has a malformed wildcard: "p\\" ends with "\\"'],
  ])('are refused: %j, with the namespace that has them', (text, problem) => {
    expect(readNamespacePools('pay', { [v4]: '["p"]', [v6]: text })).toMatchObject({
      outcome: 'refused',
      failure: {
        type: 'InvalidAnnotation',
        message: `Cannot read annotation ${v6} of namespace "pay": ${problem}. Found: ${text}`,
        remedy: expect.stringContaining(`${v6}: '[`),
      },
    });
  });
});

it('bounds the wildcards of one list: each is held against every pool', () => {
  const wildcards = Array.from({ length: 17 }, (_, index) => `rack${index}-*`);
  expect(namesProblem(wildcards)).toBe('has 17 wildcards, more than 16');
  expect(namesProblem([...wildcards.slice(1), ...wildcards.slice(1), 'p1', 'p2'])).toBeUndefined();
});
