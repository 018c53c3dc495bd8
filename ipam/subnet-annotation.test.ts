import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Labels } from './pool-request.ts';
import {
  poolSizeAnnotation,
  readPoolSize,
  readSubnetWish,
  reclaimAnnotation,
  type SubnetWish,
  subnetAnnotation,
  subnetsAnnotation,
} from './subnet-annotation.ts';

function wishOf(annotations: Labels): SubnetWish {
  const reading = readSubnetWish(annotations);
  if (reading.outcome !== 'wish') throw new Error(JSON.stringify(reading));
  return reading.wish;
}
function refusalOf(annotations: Labels): string {
  const reading = readSubnetWish(annotations);
  if (reading.outcome !== 'refused') throw new Error(`It is ${reading.outcome}`);
  expect(reading.failure.type).toBe('InvalidAnnotation');
  expect(reading.failure.remedy).toMatch(/^Write it as in this example: ipam\.spidernet\.io\/[a-z-]+: '.+'$/);
  return reading.failure.message;
}

describe('what an application asks of automatic pools', () => {
  it('is a subnet for each NIC and family', () => {
    const text = '[{"interface":"eth0","ipv4":["sub-a"]},{"interface":"net1","ipv4":["sub-b"],"ipv6":["sub-b6"]}]';
    expect(wishOf({ [subnetsAnnotation]: text })).toEqual({
      annotation: subnetsAnnotation,
      nics: [
        { ifName: 'eth0', subnets: { 4: 'sub-a' } },
        { ifName: 'net1', subnets: { 4: 'sub-b', 6: 'sub-b6' } },
      ],
      isReclaimed: true,
      warnings: [],
    });
  });

  it('is for eth0 when the annotation of one NIC does not say which', () => {
    const nicsOf = (text: string) => wishOf({ [subnetAnnotation]: text }).nics;
    expect(nicsOf('{"ipv4":["sub-a"],"ipv6":["sub-a6"]}')).toEqual([
      { ifName: 'eth0', subnets: { 4: 'sub-a', 6: 'sub-a6' } },
    ]);
    expect(nicsOf('{"Interface":"net1","IPv4":["sub-a"],"ipv6":null}')).toEqual([
      { ifName: 'net1', subnets: { 4: 'sub-a' } },
    ]);
  });

  it('comes from "subnets" alone where both are written, also when that is wrong', () => {
    const subnet = '{"ipv4":["sub-z"]}';
    const both = { [subnetsAnnotation]: '[{"interface":"eth0","ipv4":["sub-a"]}]', [subnetAnnotation]: subnet };
    expect(wishOf(both).nics).toEqual([{ ifName: 'eth0', subnets: { 4: 'sub-a' } }]);
    expect(refusalOf({ [subnetsAnnotation]: '[]', [subnetAnnotation]: subnet })).toContain(subnetsAnnotation);
  });

  it('is absent without a subnet, whatever else is written', () => {
    expect(readSubnetWish({ [poolSizeAnnotation]: 'x', [reclaimAnnotation]: 'x' })).toEqual({ outcome: 'absent' });
  });

  it('takes the first of several subnets, and says that the others have no effect', () => {
    const { nics, warnings } = wishOf({ [subnetAnnotation]: '{"ipv4":["sub-a","sub-b","sub-c"]}' });
    expect(nics).toEqual([{ ifName: 'eth0', subnets: { 4: 'sub-a' } }]);
    expect(warnings).toEqual(['eth0: of several IPv4 subnets only the first counts, not "sub-b", "sub-c"']);
  });

  it('holds a size and whether the pool goes with its application', () => {
    const subnet = { [subnetAnnotation]: '{"ipv4":["sub-a"]}' };
    expect(wishOf({ ...subnet, [poolSizeAnnotation]: '+2', [reclaimAnnotation]: 'false' })).toMatchObject({
      size: { kind: 'surplus', count: 2 },
      isReclaimed: false,
    });
    expect(wishOf({ ...subnet, [reclaimAnnotation]: 'T' }).isReclaimed).toBe(true);
    expect(wishOf(subnet)).not.toHaveProperty('size');
  });

  it.each([
    ['it is not JSON', { [subnetsAnnotation]: 'sub-a' }],
    ['it is not a list of at least one item', { [subnetsAnnotation]: '[]' }],
    ['it is not a list of at least one item', { [subnetsAnnotation]: '{"interface":"eth0","ipv4":["a"]}' }],
    ['item 0 is not an object', { [subnetsAnnotation]: '["a"]' }],
    ['item 0 has no "interface" that names a NIC', { [subnetsAnnotation]: '[{"ipv4":["a"]}]' }],
    ['item 0 has no "interface" that names a NIC', { [subnetsAnnotation]: '[{"interface":"","ipv4":["a"]}]' }],
    ['item 0 has no "interface" that names a NIC', { [subnetsAnnotation]: '[{"interface":7,"ipv4":["a"]}]' }],
    ['item 0 names no subnet', { [subnetsAnnotation]: '[{"interface":"eth0"}]' }],
    ['"ipv4" of item 0 is not a list of subnet names', { [subnetsAnnotation]: '[{"interface":"eth0","ipv4":[""]}]' }],
    ['"ipv6" of item 0 is not a list of subnet names', { [subnetsAnnotation]: '[{"interface":"eth0","ipv6":"a"}]' }],
    [
      'it names NIC eth0 twice',
      { [subnetsAnnotation]: '[{"interface":"eth0","ipv4":["a"]},{"interface":"eth0","ipv4":["b"]}]' },
    ],
    [
      'it names a as IPv4 twice',
      { [subnetsAnnotation]: '[{"interface":"eth0","ipv4":["a"]},{"interface":"net1","ipv4":["a"]}]' },
    ],
    ['it is not an object', { [subnetAnnotation]: '[{"ipv4":["a"]}]' }],
    ['it names no subnet', { [subnetAnnotation]: '{}' }],
    ['it is no boolean', { [subnetAnnotation]: '{"ipv4":["a"]}', [reclaimAnnotation]: 'yes' }],
    ['it is no boolean', { [subnetAnnotation]: '{"ipv4":["a"]}', [reclaimAnnotation]: 'toString' }],
  ])('is refused: %s', (problem, annotations) => {
    expect(refusalOf(annotations)).toContain(`: ${problem}. Found: `);
  });

  it.each([
    ['4', { kind: 'fixed', count: 4 }],
    ['0', { kind: 'fixed', count: 0 }],
    ['+2', { kind: 'surplus', count: 2 }],
    ['+0', { kind: 'surplus', count: 0 }],
  ])('reads the size %j', (text, size) => {
    expect(readPoolSize(text)).toEqual(size);
  });

  it.each(['3+2', '++2', '+', '', '-1', '+-1', ' 4', '4 ', '4.0', '1e3', '0x4', '٤', '99999999'])(
    '§12.3 #32: the size %j is refused, and not read as the part that can be read',
    (text) => {
      expect(readPoolSize(text)).toBeUndefined();
      const annotations = { [subnetAnnotation]: '{"ipv4":["sub-a"]}', [poolSizeAnnotation]: text };
      expect(refusalOf(annotations)).toContain('it is neither a number "4" nor a surplus "+2"');
    },
  );

  it('is a wish or one sentence, whatever the texts', () => {
    const item = fc.record(
      { interface: fc.jsonValue(), ipv4: fc.jsonValue(), ipv6: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.array(item).map((items) => JSON.stringify(items)),
    );
    const annotations = fc.record(
      {
        [subnetsAnnotation]: text,
        [subnetAnnotation]: text,
        [poolSizeAnnotation]: text,
        [reclaimAnnotation]: fc.string(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(annotations, (annotations) => {
        const reading = readSubnetWish(annotations);
        if (reading.outcome === 'wish') expect(reading.wish.nics.length).toBeGreaterThan(0);
        if (reading.outcome === 'refused') expect(reading.failure.message).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});
