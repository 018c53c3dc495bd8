import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { canonicalPrefix, formatAddress, networkOf, parseAddress, parsePrefix, prefixContains } from './ip-prefix.ts';

describe('an address with its prefix length', () => {
  it('is written in one way only', () => {
    expect(canonicalPrefix('FD00:0070:0:0:0:0:0:14/64')).toBe('fd00:70::14/64');
    expect(canonicalPrefix('10.70.8.20/22')).toBe('10.70.8.20/22');
  });

  it.each(['10.1', '0x7f.0.0.1', '10.0.0.256', 'fe80::1%eth0x/', '', 'eth0', '::g'])(
    'refuses %j as an address',
    (text) => {
      expect(() => parseAddress(text)).toThrow(RangeError);
    },
  );

  it.each(['10.0.0.1', '10.0.0.1/', '10.0.0.1/33', 'fd00::1/129', '10.0.0.1/-1', '10.0.0.1/8x'])(
    'refuses %j as a prefix',
    (text) => {
      expect(() => parsePrefix(text)).toThrow(RangeError);
    },
  );

  it('keeps the network and drops the host', () => {
    expect(networkOf('10.70.11.20/22')).toBe('10.70.8.0/22');
    expect(networkOf('fd00:70::ff14/120')).toBe('fd00:70::ff00/120');
    expect(networkOf('10.70.11.20/0')).toBe('0.0.0.0/0');
  });

  const addresses = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes('.')),
  );

  it('survives being written and read', () => {
    fc.assert(
      fc.property(addresses, (text) => {
        const bytes = parseAddress(text);
        expect(parseAddress(formatAddress(bytes))).toEqual(bytes);
      }),
    );
  });

  it('contains exactly the addresses that share its network', () => {
    const v4 = fc.record({ address: fc.ipV4(), other: fc.ipV4(), length: fc.integer({ min: 0, max: 32 }) });
    fc.assert(
      fc.property(v4, ({ address, other, length }) => {
        const isInside = prefixContains(parsePrefix(`${address}/${length}`), parseAddress(other));
        expect(isInside).toBe(networkOf(`${address}/${length}`) === networkOf(`${other}/${length}`));
      }),
    );
  });

  it('contains no address of the other family', () => {
    expect(prefixContains(parsePrefix('0.0.0.0/0'), parseAddress('::'))).toBe(false);
  });
});
