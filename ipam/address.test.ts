import { isIPv4, isIPv6 } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Address, formatAddress, fromClaimName, parseAddress, toClaimName } from './address.ts';

const addresses: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ family: fc.constant(4 as const), value: fc.bigInt(0n, (1n << 32n) - 1n) }),
  fc.record({ family: fc.constant(6 as const), value: fc.bigInt(0n, (1n << 128n) - 1n) }),
  // Few bits set: the runs of zero groups that RFC 5952 shortens.
  fc
    .uniqueArray(fc.integer({ min: 0, max: 127 }), { maxLength: 5 })
    .map((bits) => ({ family: 6 as const, value: bits.reduce((value, bit) => value | (1n << BigInt(bit)), 0n) })),
);
const isMapped = ({ family, value }: Address): boolean => family === 6 && value >> 32n === 0xffffn;

describe('parseAddress', () => {
  it.each([
    ['10.70.8.20', 4, 0x0a460814n],
    ['255.255.255.255', 4, 0xffffffffn],
    ['::', 6, 0n],
    ['2001:DB8::0001', 6, 0x20010db8000000000000000000000001n],
    ['1:2:3:4:5:6:7:8', 6, 0x00010002000300040005000600070008n],
  ] as const)('reads %s', (text, family, value) => {
    expect(parseAddress(text)).toEqual({ family, value });
  });

  it.each([
    '',
    ' 10.0.0.1',
    '10.0.0.1\n',
    '10.0.0',
    '10',
    '167772161',
    '010.0.0.1',
    '0x0a.0.0.1',
    '10.0.0.256',
    '10.0.0.1/24',
    'fe80::1%eth0',
    '[::1]',
    ':::',
    '1::2::3',
    '1::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '::12345',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '::10.0.0.1',
    'eth0',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('reads of almost-addresses those that inet_pton(3) reads, as the same address', () => {
    const group = fc.stringMatching(/^([0-9a-fA-F]{1,4}|[0-9a-f]{5}|g|)$/);
    const colons = fc.array(group, { maxLength: 9 }).map((groups) => groups.join(':'));
    const dots = fc.array(fc.stringMatching(/^[0-9]{0,3}$/), { maxLength: 5 }).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.oneof(colons, dots), (text) => {
        const address = parseAddress(text);
        const canonical = isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
        const isReadable = isIPv4(text) || (isIPv6(text) && !/^::ffff:[^:]+:[^:]+$/.test(canonical));
        expect(address && formatAddress(address)).toBe(isReadable ? canonical : undefined);
      }),
    );
  });

  it('reads back what formatAddress prints, and never a second family', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(isMapped(address) ? undefined : address);
      }),
    );
  });
});

describe('formatAddress', () => {
  it('prints IPv6 as the WHATWG URL serializer does, which follows RFC 5952', () => {
    fc.assert(
      fc.property(
        addresses.filter(({ family }) => family === 6),
        (address) => {
          const groups = toClaimName(address).replaceAll('-', ':');
          expect(`[${formatAddress(address)}]`).toBe(new URL(`http://[${groups}]`).hostname);
        },
      ),
    );
  });
});

describe('the name of a claim', () => {
  it('is the address itself for IPv4, and every digit of it for IPv6', () => {
    expect(toClaimName({ family: 4, value: 0x0a460814n })).toBe('10.70.8.20');
    expect(toClaimName({ family: 6, value: 0x20010db8000000000000000000000a01n })).toBe(
      '2001-0db8-0000-0000-0000-0000-0000-0a01',
    );
  });

  it('is an object name, and stands for one address', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        const name = toClaimName(address);
        expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/); // RFC 1123 subdomain
        expect(fromClaimName(name)).toEqual(address);
      }),
    );
  });

  it.each([
    '',
    'rack7-v4',
    '2001:db8::1',
    '2001-db8-0-0-0-0-0-1',
    '2001-0DB8-0000-0000-0000-0000-0000-0001',
    '10.70.8.020',
  ])('is not %j', (name) => {
    expect(fromClaimName(name)).toBeUndefined();
  });
});
