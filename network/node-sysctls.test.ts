import { describe, expect, it } from '@jest/globals';
import { nodeSysctls, sysctlsToSet } from './node-sysctls.ts';

const asWanted = Object.fromEntries(nodeSysctls.map(({ key, value }) => [key, value]));
const keysToSet = (found: Record<string, string>) => sysctlsToSet(nodeSysctls, found).map(({ key }) => key);

describe('settings of the node', () => {
  it('are set where they are otherwise, and left alone where they are as they should be', () => {
    expect(keysToSet(asWanted)).toEqual([]);
    expect(keysToSet({ ...asWanted, 'net.ipv4.conf.all.forwarding': '0', 'net.ipv4.conf.all.rp_filter': '1' })).toEqual(
      ['net.ipv4.conf.all.forwarding', 'net.ipv4.conf.all.rp_filter'],
    );
  });

  it('are never made smaller where more is as good', () => {
    expect(keysToSet({ ...asWanted, 'net.ipv4.neigh.default.gc_thresh3': '60000' })).toEqual([]);
    expect(keysToSet({ ...asWanted, 'net.ipv6.neigh.default.gc_thresh3': '1024' })).toEqual([
      'net.ipv6.neigh.default.gc_thresh3',
    ]);
  });

  it('are not missed where the kernel has them not: no IPv6, or a namespace of its own', () => {
    expect(keysToSet({})).toEqual([]);
  });
});
