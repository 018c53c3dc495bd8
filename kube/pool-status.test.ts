import { describe, expect, it } from '@jest/globals';
import type { SpiderIPPool, SpiderIPPoolSpec } from '../contracts/crds/spiderippool.ts';
import { toJson } from './int64-json.ts';
import { type CountedClaim, mostRecords, poolStatus, totalIPCount } from './pool-status.ts';
import { pauseMs } from './publish-pool-status.ts';

const pool = (spec: Partial<SpiderIPPoolSpec>): SpiderIPPool => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name: 'rack7-v4' },
  spec: { subnet: '10.70.8.0/22', ...spec },
});
const claim = (address: string, pod = 'pay/api-0', podUID = 'uid-0'): CountedClaim => ({
  address,
  holders: [{ pod, podUID }],
});
const claims = (count: number): ReadonlySet<CountedClaim> =>
  new Set(Array.from({ length: count }, (_, at) => claim(`10.70.${8 + (at >> 8)}.${at & 255}/22`)));

describe('the size of a pool', () => {
  it('is ips less excludeIPs; gateway and reservations are not subtracted', () => {
    const spec = {
      ips: ['10.70.8.20-10.70.8.90', '10.70.9.4'],
      excludeIPs: ['10.70.8.33'],
      gateway: '10.70.8.40',
    };
    expect(totalIPCount(pool(spec))).toBe(71);
    expect(totalIPCount(pool({}))).toBe(0);
  });

  it('of more addresses than an int64 counts is the largest int64, as it is written', () => {
    const huge = totalIPCount(pool({ subnet: 'fd00::/48', ips: ['fd00::1-fd00:0:0:ffff::1'] }));
    expect(toJson(huge)).toBe('9223372036854775807');
  });

  it('is not known of a pool that cannot be read', () => {
    expect(totalIPCount(pool({ ips: ['10.70.8.300'] }))).toBeUndefined();
    expect(poolStatus(undefined, claims(1))).not.toHaveProperty('totalIPCount');
  });
});

describe('the status of a pool', () => {
  it('has the records of its claims as Spiderpool writes them, sorted as text', () => {
    const two = new Set([claim('10.70.8.9/22', 'pay/api-1', 'uid-1'), claim('10.70.8.20/22')]);
    expect(poolStatus(71, two)).toEqual({
      totalIPCount: 71,
      allocatedIPCount: 2,
      allocatedIPs:
        '{"10.70.8.20":{"pod":"pay/api-0","podUid":"uid-0"},"10.70.8.9":{"pod":"pay/api-1","podUid":"uid-1"}}',
    });
  });

  it('of an IPv6 pool names addresses in their short form', () => {
    expect(poolStatus(1, new Set([claim('fd00:70::1f/64')])).allocatedIPs).toContain('"fd00:70::1f"');
  });

  it('has no records without claims, and none when there are too many', () => {
    expect(poolStatus(71, new Set())).toEqual({ totalIPCount: 71, allocatedIPCount: 0 });
    expect(poolStatus(9999, claims(mostRecords))).toHaveProperty('allocatedIPs');
    expect(poolStatus(9999, claims(mostRecords + 1))).toEqual({
      totalIPCount: 9999,
      allocatedIPCount: mostRecords + 1,
    });
  });
});

describe('the pause after a write', () => {
  it('is a second, and for a large pool what keeps it at 4 KB a second', () => {
    expect(pauseMs(700)).toBe(1000);
    expect(pauseMs(4096)).toBe(1000);
    expect(pauseMs(65_536)).toBe(16_000);
  });
});
