import { describe, expect, it } from '@jest/globals';
import type { PoolObject } from '../ipam/pool-snapshot.ts';
import { toJSON } from './commands/terminal.ts';
import { plain } from './paint.ts';
import { poolPage, poolRows, renderPoolPage, renderPools } from './pool-table.ts';
import { claimOf } from './testing/claims.ts';
import { golden } from './testing/golden.ts';
import { wallClock } from './wall-clock.ts';

const clock = wallClock(Date.parse('2026-11-21T11:00:00Z'), 'UTC');

const pool = (
  name: string,
  spec: Partial<PoolObject['spec']>,
  metadata: Partial<PoolObject['metadata']> = {},
): PoolObject => ({
  metadata: { name, ...metadata },
  spec: { subnet: '10.70.8.0/22', ...spec },
});
const pools = [
  pool('rack7-v4', {
    ips: ['10.70.8.20-10.70.8.90', '10.70.9.4'],
    excludeIPs: ['10.70.8.33'],
    gateway: '10.70.8.1',
    default: true,
  }),
  pool('rack7-v6', {
    subnet: '2001:db8:70:8::/64',
    ips: ['2001:db8:70:8::-2001:db8:70:8:ffff:ffff:ffff:ffff'],
    gateway: '2001:db8:70:8::1',
  }),
  pool('rack7-overlap', { ips: ['10.70.8.20-10.70.8.23'] }),
  pool('rack10', { ips: ['10.70.8.20'] }),
  pool('rack7-off', { ips: ['10.70.8.200'], disable: true }),
  pool('rack7-going', { ips: ['10.70.8.201'] }, { deletionTimestamp: '2026-11-21T12:00:00Z' }),
  pool('rack7-typo', { subnet: '10.70.8.0/2x' }),
];
const reservations = [{ metadata: { name: 'routers' }, spec: { ips: ['10.70.8.21-10.70.8.22'] } }];
const claims = [
  claimOf('10.70.8.20', {}, { pod: 'api-0' }),
  claimOf('10.70.8.24', { phase: 'Held', identity: 'StatefulSet/pay/api/1' }, { pod: 'api-1' }),
  claimOf('10.70.8.25', { phase: 'Cooling', until: '2026-11-21T12:00:00Z' }, { pod: 'api-2' }),
  claimOf('10.70.8.26', { phase: 'Suspect', until: '2026-11-21T12:30:00Z' }, { pod: 'api-3', node: 'r7-n2' }),
  claimOf('10.70.8.27', { phase: 'Conflicted', until: '2026-11-22T12:00:00Z' }, { pod: 'api-4' }),
  claimOf('2001-0db8-0070-0008-0000-0000-0000-0014', { address: '2001:db8:70:8::14/64', pool: 'rack7-v6' }),
];
const view = { pools, reservations, claims };
const row = (name: string) => poolRows(view).find((one) => one.name === name);

describe('the pools', () => {
  it('count what is used, kept, blocked, reserved and still free', () => {
    // 71 + 1 less 1 excluded; less 2 reserved and 5 claimed.
    expect(row('rack7-v4')).toMatchObject({
      family: 4,
      used: 1n,
      held: 1n,
      cooling: 1n,
      suspect: 1n,
      conflicted: 1n,
      reserved: 2n,
      free: 64n,
      total: 71n,
      isDefault: true,
      state: 'Ready',
    });
  });

  it('are exact for an IPv6 /64: the gateway and one claim are not free', () => {
    expect(row('rack7-v6')).toMatchObject({ family: 6, used: 1n, total: 2n ** 64n, free: 2n ** 64n - 2n });
  });

  it('add up: what is free, claimed by anybody and reserved is all there is', () => {
    for (const { free = 0n, reserved = 0n, total = 0n, name } of poolRows(view)) {
      const claimedByAnybody = { 'rack7-v4': 5n, 'rack7-v6': 1n, 'rack7-overlap': 1n, rack10: 1n }[name] ?? 0n;
      expect({ name, sum: free + reserved + claimedByAnybody }).toEqual({ name, sum: total });
    }
  });

  it('do not call an address free that an overlapping pool has claimed', () => {
    // 4 less 2 reserved, less the one that rack7-v4 gave to api-0.
    expect(row('rack7-overlap')).toMatchObject({ used: 0n, free: 1n, total: 4n });
    expect(row('rack10')).toMatchObject({ used: 0n, free: 0n, state: 'Exhausted' });
  });

  it('say why one gives nothing', () => {
    expect(row('rack7-off')?.state).toBe('Disabled');
    expect(row('rack7-going')?.state).toBe('Terminating');
    expect(row('rack7-typo')).toMatchObject({
      state: 'Malformed',
      problem: 'spec.subnet "10.70.8.0/2x" is not a CIDR',
    });
  });

  it('print as a table', async () => {
    const printed = renderPools(poolRows(view));
    expect(printed).toBe(await golden('pools.txt', printed));
  });

  it('are JSON with counts as decimal text', async () => {
    const printed = toJSON({ items: poolRows(view) });
    expect(printed).toBe(await golden('pools.json', printed));
  });
});

describe('one pool', () => {
  it('shows who has which address', async () => {
    const page = poolPage(view, 'rack7-v4');
    const printed = page === undefined ? '' : renderPoolPage(page, clock, plain);
    expect(printed).toBe(await golden('pool.txt', printed));
  });

  it('that is malformed shows why and what to do', async () => {
    const page = poolPage(view, 'rack7-typo');
    const printed = page === undefined ? '' : renderPoolPage(page, clock, plain);
    expect(printed).toBe(await golden('pool-malformed.txt', printed));
  });

  it('says who reserves addresses of it', () => {
    expect(poolPage(view, 'rack7-v4')?.reservations).toEqual([{ by: 'routers', count: 2n }]);
    expect(poolPage(view, 'rack7-v6')?.reservations).toEqual([{ by: 'gateway 2001:db8:70:8::1', count: 1n }]);
  });

  it('is undefined when there is none of that name', () => {
    expect(poolPage(view, 'rack8')).toBeUndefined();
  });
});
