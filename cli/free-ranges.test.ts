import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { formatAddress, parseAddress, toClaimName } from '../ipam/address.ts';
import type { PoolObject } from '../ipam/pool-snapshot.ts';
import { freeRanges, renderFree } from './free-ranges.ts';
import { plain } from './paint.ts';
import { claimOf } from './testing/claims.ts';
import { golden } from './testing/golden.ts';

const pool = (name: string, spec: Partial<PoolObject['spec']>): PoolObject => ({
  metadata: { name },
  spec: { subnet: '10.70.8.0/22', ...spec },
});
const view = {
  pools: [
    pool('rack7-v4', {
      ips: ['10.70.8.20-10.70.8.40', '10.70.9.4'],
      excludeIPs: ['10.70.8.33'],
      gateway: '10.70.8.30',
    }),
    pool('rack7-v6', { subnet: '2001:db8:70:8::/64', ips: ['2001:db8:70:8::-2001:db8:70:8:ffff:ffff:ffff:ffff'] }),
    pool('rack7-off', { ips: ['10.70.8.200'], disable: true }),
    pool('rack7-full', { ips: ['10.70.8.25'] }),
    pool('rack7-typo', { subnet: '10.70.8.0/2x' }),
  ],
  reservations: [{ metadata: { name: 'routers' }, spec: { ips: ['10.70.8.21-10.70.8.22'] } }],
  claims: [
    claimOf('10.70.8.24'),
    claimOf('10.70.8.25', { pool: 'another' }),
    claimOf('10.70.8.40', { phase: 'Held' }),
    claimOf('2001-0db8-0070-0008-0000-0000-0000-0014', { address: '2001:db8:70:8::14/64', pool: 'rack7-v6' }),
  ],
};
const printed = (name: string): string => {
  const found = freeRanges(view, name);
  return found === undefined ? '' : renderFree(found, plain);
};

describe('what is free of a pool', () => {
  it('is what nobody has, nothing reserves and the gateway is not', () => {
    expect(freeRanges(view, 'rack7-v4')).toEqual({
      name: 'rack7-v4',
      state: 'Ready',
      free: 15n,
      total: 21n,
      ranges: [
        { first: '10.70.8.20', last: '10.70.8.20', count: 1n },
        { first: '10.70.8.23', last: '10.70.8.23', count: 1n },
        { first: '10.70.8.26', last: '10.70.8.29', count: 4n },
        { first: '10.70.8.31', last: '10.70.8.32', count: 2n },
        { first: '10.70.8.34', last: '10.70.8.39', count: 6n },
        { first: '10.70.9.4', last: '10.70.9.4', count: 1n },
      ],
    });
  });

  it.each(['rack7-v4', 'rack7-v6', 'rack7-off', 'rack7-full', 'rack7-typo'])('prints for %s', async (name) => {
    expect(printed(name)).toBe(await golden(`free-${name}.txt`, printed(name)));
  });

  it('is undefined when there is no such pool', () => {
    expect(freeRanges(view, 'rack8')).toBeUndefined();
  });

  it('agrees with a count of every address', () => {
    const offsets = fc.uniqueArray(fc.integer({ min: 0, max: 63 }), { maxLength: 64 });
    fc.assert(
      fc.property(offsets, (offsets) => {
        const base = parseAddress('10.70.8.0')?.value ?? 0n;
        const address = (offset: number) => ({ family: 4 as const, value: base + BigInt(offset) });
        const found = freeRanges(
          {
            pools: [pool('p', { ips: ['10.70.8.0-10.70.8.63'] })],
            reservations: [],
            claims: offsets.map((offset) => claimOf(toClaimName(address(offset)))),
          },
          'p',
        );
        const free = Array.from({ length: 64 }, (_, offset) => offset).filter((offset) => !offsets.includes(offset));
        const listed = (found?.ranges ?? []).flatMap(({ first, count }) => {
          const from = Number((parseAddress(first)?.value ?? 0n) - base);
          return Array.from({ length: Number(count) }, (_, index) => from + index);
        });
        expect(listed).toEqual(free);
        expect(found?.free).toBe(BigInt(free.length));
        for (const { first, last, count } of found?.ranges ?? []) {
          expect(formatAddress({ family: 4, value: (parseAddress(first)?.value ?? 0n) + count - 1n })).toBe(last);
        }
      }),
    );
  });
});
