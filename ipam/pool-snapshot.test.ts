import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderReservedIP } from '../contracts/crds/spiderreservedip.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { formatCidr } from './cidr.ts';
import { contains, intervalSet, nth } from './interval-set.ts';
import { readReservations } from './pool-catalogue.ts';
import { isMalformed, offers, type PoolObject, type PoolSnapshot, readPool } from './pool-snapshot.ts';

const none = { 4: intervalSet([]), 6: intervalSet([]) };
const rack7: SpiderIPPool = {
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name: 'rack7-v4' },
  spec: {
    subnet: '10.70.8.0/22',
    ips: ['10.70.8.20-10.70.8.90', '10.70.9.4'],
    excludeIPs: ['10.70.8.33'],
    gateway: '10.70.8.1',
  },
};
const withSpec = (spec: Partial<PoolObject['spec']>): PoolObject => ({ ...rack7, spec: { ...rack7.spec, ...spec } });
const reservation = (ips: readonly string[]): SpiderReservedIP => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderReservedIP',
  metadata: { name: 'r' },
  spec: { ips },
});
const reserved = (...ips: string[]) => readReservations([reservation(ips)]).addresses;
const address = (text: string): Address => parseAddress(text) ?? { family: 4, value: -1n };

function usable(object: PoolObject, reservedAddresses = none): PoolSnapshot {
  const pool = readPool(object, reservedAddresses);
  if (isMalformed(pool)) throw new Error(pool.problem);
  return pool;
}
function problemOf(object: PoolObject): string {
  const pool = readPool(object, none);
  if (!isMalformed(pool)) throw new Error(`${pool.name} is usable`);
  return pool.problem;
}

describe('readPool', () => {
  it('counts ips less excludeIPs, as the published status does', () => {
    const pool = usable(rack7);
    expect(pool).toMatchObject({
      name: 'rack7-v4',
      family: 4,
      total: 71n,
      isDefault: false,
      isDisabled: false,
      isTerminating: false,
    });
    expect(formatCidr(pool.subnet)).toBe('10.70.8.0/22');
    expect(pool.gateway).toEqual(address('10.70.8.1'));
    expect(pool.candidates.size).toBe(71n);
    expect(contains(pool.candidates, address('10.70.8.33').value)).toBe(false);
  });

  it('gives neither reserved addresses nor the gateway, and still counts them', () => {
    const pool = usable(
      withSpec({ gateway: '10.70.8.20' }),
      reserved('10.70.8.0-10.70.8.25', '10.70.9.4', '10.99.0.1', '::1'),
    );
    expect(pool.total).toBe(71n);
    expect(pool.candidates.size).toBe(64n);
    expect(nth(pool.candidates, 0n)).toBe(address('10.70.8.26').value);
    expect(usable(withSpec({ gateway: '10.70.8.20' })).candidates.size).toBe(70n);
  });

  it('derives the family from the subnet', () => {
    expect(usable({ metadata: { name: 'six' }, spec: { subnet: '2001:db8::/64', ips: ['2001:db8::1'] } }).family).toBe(
      6,
    );
    expect(usable(withSpec({ ipVersion: 4 })).family).toBe(4);
  });

  it('costs nothing for a /64', () => {
    const pool = usable({
      metadata: { name: 'six' },
      spec: { subnet: '2001:db8::/64', ips: ['2001:db8::-2001:db8::ffff:ffff:ffff:ffff'], excludeIPs: ['2001:db8::'] },
    });
    expect(pool.candidates.size).toBe((1n << 64n) - 1n);
  });

  it('has no address while nothing is listed', () => {
    expect(usable({ metadata: { name: 'empty' }, spec: { subnet: '10.0.0.0/8' } }).candidates.size).toBe(0n);
  });

  it('reads overlapping entries once', () => {
    expect(
      usable(withSpec({ ips: ['10.70.8.20-10.70.8.40', '10.70.8.30-10.70.8.50', '10.70.8.30'], excludeIPs: [] })).total,
    ).toBe(31n);
  });

  it('knows a default, a disabled and a terminating pool', () => {
    const pool = usable({
      metadata: { name: 'p', deletionTimestamp: '2026-11-21T10:00:00Z' },
      spec: { ...rack7.spec, default: true, disable: true },
    });
    expect(pool).toMatchObject({ isDefault: true, isDisabled: true, isTerminating: true });
  });

  it.each<[string, Partial<PoolObject['spec']>]>([
    ['spec.subnet "10.70.8.0" is not a CIDR', { subnet: '10.70.8.0' }],
    ['spec.subnet "10.70.8.1/22" has host bits set', { subnet: '10.70.8.1/22' }],
    ['spec.ipVersion 6 contradicts spec.subnet "10.70.8.0/22"', { ipVersion: 6 }],
    ['spec.ips: "10.70.8.9-10.70.8.1" ends before it starts', { ips: ['10.70.8.9-10.70.8.1'] }],
    ['spec.ips: "10.70.12.0" is not inside spec.subnet', { ips: ['10.70.12.0'] }],
    ['spec.ips: "10.70.7.255-10.70.8.4" is not inside spec.subnet', { ips: ['10.70.7.255-10.70.8.4'] }],
    ['spec.ips: "::a46:814" is not inside spec.subnet', { ips: ['::a46:814'] }],
    ['spec.excludeIPs: "10.70.8.x" is neither an address nor a range start-end', { excludeIPs: ['10.70.8.x'] }],
    ['spec.gateway "10.70.12.1" is not an address of spec.subnet', { gateway: '10.70.12.1' }],
    ['spec.gateway "" is not an address of spec.subnet', { gateway: '' }],
    ['spec.routes: dst "10.64.0.0" is not an IPv4 CIDR', { routes: [{ dst: '10.64.0.0', gw: '10.70.8.9' }] }],
    ['spec.routes: dst "::/0" is not an IPv4 CIDR', { routes: [{ dst: '::/0', gw: '10.70.8.9' }] }],
    [
      'spec.routes: dst "0.0.0.0/0" is the default route, which is spec.gateway\'s',
      { routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.9' }] },
    ],
    [
      'spec.routes: gw "10.1.1.1" is not an address of spec.subnet',
      { routes: [{ dst: '10.64.0.0/10', gw: '10.1.1.1' }] },
    ],
    [
      'spec.ips: "a" is neither an address nor a range start-end; spec.gateway "b" is not an address of spec.subnet',
      { ips: ['a'], gateway: 'b' },
    ],
  ])('is malformed: %s', (problem, spec) => {
    expect(problemOf(withSpec(spec))).toBe(problem);
  });

  it('reads what its annotation says of probes, and is malformed when that cannot be read', () => {
    const saying = (text: string): PoolObject => ({
      ...rack7,
      metadata: { name: 'rack7-v4', annotations: { 'ipam.orbweaver.io/detection': text } },
    });
    expect(usable(rack7).probes).toBeUndefined();
    expect(usable(saying('{"detectIPConflict": true}')).probes).toEqual({ conflicts: true });
    expect(problemOf(saying('{"detectIPConflict": 1}'))).toBe(
      'annotation ipam.orbweaver.io/detection has detectIPConflict 1, allowed: true, false',
    );
  });

  it('keeps the family of a malformed pool when its subnet can be read', () => {
    expect(readPool(withSpec({ ips: ['x'], default: true }), none)).toMatchObject({ family: 4, isDefault: true });
    expect(readPool(withSpec({ subnet: 'x' }), none)).not.toHaveProperty('family');
  });

  it('never throws, whatever the strings', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('10.70.8.0/22', '10.70.8.1', '10.70.8.1-10.70.8.9', '::/64', '::1'),
    );
    fc.assert(
      fc.property(
        fc.record({
          subnet: text,
          ips: fc.array(text),
          excludeIPs: fc.array(text),
          gateway: text,
          routes: fc.array(fc.record({ dst: text, gw: text })),
        }),
        (spec) => {
          expect(readPool({ metadata: { name: 'p' }, spec }, none).name).toBe('p');
        },
      ),
    );
  });
});

it('offers an address while the pool lives, is enabled and has it', () => {
  const wanted = address('10.70.8.20');
  const pool = usable(rack7);
  expect(offers(pool, wanted)).toBe(true);
  expect(offers(pool, address('10.70.8.33'))).toBe(false);
  expect(offers(pool, { family: 6, value: wanted.value })).toBe(false);
  expect(offers({ ...pool, isDisabled: true }, wanted)).toBe(false);
  expect(offers({ ...pool, isTerminating: true }, wanted)).toBe(false);
  expect(offers(readPool(withSpec({ gateway: 'x' }), none), wanted)).toBe(false);
});

describe('readReservations', () => {
  it('reserves by family, from every object that is not being deleted', () => {
    const { addresses, warnings } = readReservations([
      { metadata: { name: 'a' }, spec: { ipVersion: 4, ips: ['10.0.0.1-10.0.0.3', '10.0.0.3'] } },
      { metadata: { name: 'b' }, spec: { ips: ['2001:db8::1'] } },
      { metadata: { name: 'gone', deletionTimestamp: '2026-11-21T10:00:00Z' }, spec: { ips: ['10.0.0.9', 'x'] } },
      { metadata: { name: 'empty' }, spec: { ipVersion: 4 } },
    ]);
    expect([addresses[4].size, addresses[6].size, warnings]).toEqual([3n, 1n, []]);
  });

  it('keeps what it can read of a malformed one, and says what it cannot', () => {
    const { addresses, warnings } = readReservations([
      { metadata: { name: 'vips' }, spec: { ipVersion: 4, ips: ['10.0.0.9-10.0.0.1', '10.0.0.5', '2001:db8::1'] } },
    ]);
    expect([addresses[4].size, addresses[6].size]).toEqual([1n, 1n]);
    expect(warnings).toEqual([
      'SpiderReservedIP "vips": "10.0.0.9-10.0.0.1" ends before it starts; the entry is ignored',
      'SpiderReservedIP "vips": "2001:db8::1" is not of its ipVersion 4; it is reserved all the same',
    ]);
  });
});

it('prints a snapshot without losing a value', () => {
  const pool = usable(rack7);
  expect(
    pool.candidates.intervals.map(({ first, last }) =>
      [first, last].map((value) => formatAddress({ family: 4, value })).join('-'),
    ),
  ).toEqual(['10.70.8.20-10.70.8.32', '10.70.8.34-10.70.8.90', '10.70.9.4-10.70.9.4']);
});
