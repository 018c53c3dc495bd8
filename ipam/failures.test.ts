import { describe, expect, it } from '@jest/globals';
import { ProvisionError } from '../contracts/failures.ts';
import { poolExhausted } from './failures.ts';
import { intervalSet } from './interval-set.ts';

const pool = (name: string, capacity: bigint) => ({
  name,
  candidates: intervalSet(capacity === 0n ? [] : [{ first: 1n, last: capacity }]),
});

describe('poolExhausted', () => {
  it('says how many addresses the pool has, and who can tell more', () => {
    const failure = poolExhausted(4, [pool('rack7-v4', 71n)]);
    expect(failure).toBeInstanceOf(ProvisionError);
    expect(failure.type).toBe('PoolExhausted');
    expect(failure.message).toBe('Cannot claim an IPv4 address from pool "rack7-v4": all 71 are in use');
    expect(failure.remedy).toBe(
      'Extend spec.ips of SpiderIPPool "rack7-v4", or see who holds them: orb pools rack7-v4',
    );
  });

  it('gives each pool that was tried its own number', () => {
    const failure = poolExhausted(6, [pool('a', 2n), pool('b', 1n), pool('c', 0n)]);
    expect(failure.message).toBe(
      'Cannot claim an IPv6 address: of pool "a" all 2 are in use; of pool "b" the only one is in use; ' +
        'of pool "c" none can be given: spec.ips is empty, or all of it is excluded or reserved',
    );
    expect(failure.remedy).toBe(
      'Extend spec.ips of SpiderIPPool "a" or "b" or "c", or see who holds them: orb pools a; orb pools b; orb pools c',
    );
  });

  it('says of each other pool that was named why it was not tried', () => {
    const skipped = [{ name: 'old', reason: 'is disabled' }];
    expect(poolExhausted(4, [pool('a', 1n)], skipped).message).toBe(
      'Cannot claim an IPv4 address from pool "a": the only one is in use. Not tried: "old" is disabled',
    );
  });
});
