import { describe, expect, it } from '@jest/globals';
import type { Address } from './address.ts';
import { parseAddress } from './address.ts';
import { type Cidr, cidrContains, formatCidr, intervalOf, networkOf, parseCidr } from './cidr.ts';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`not a CIDR: ${text}`);
  return parsed;
};
const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`not an address: ${text}`);
  return parsed;
};

describe('parseCidr', () => {
  it.each(['10.70.8.0/22', '10.70.8.20/22', '0.0.0.0/0', '10.0.0.1/32', '2001:db8::/64', '::/0', '::1/128'])(
    'reads %s and prints it again',
    (text) => {
      expect(formatCidr(cidr(text))).toBe(text);
    },
  );

  it.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    '/24',
    '10.0.0.0/24 ',
    'a/24',
  ])('refuses %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});

it.each([
  ['10.70.8.20/22', '10.70.8.0/22', '10.70.8.0', '10.70.11.255'],
  ['10.70.8.20/32', '10.70.8.20/32', '10.70.8.20', '10.70.8.20'],
  ['255.1.2.3/0', '0.0.0.0/0', '0.0.0.0', '255.255.255.255'],
  ['2001:db8::5/126', '2001:db8::4/126', '2001:db8::4', '2001:db8::7'],
  ['ffff::1/0', '::/0', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
])('%s is in subnet %s, from %s to %s', (text, network, first, last) => {
  expect(formatCidr(networkOf(cidr(text)))).toBe(network);
  expect(intervalOf(cidr(text))).toEqual({ first: address(first).value, last: address(last).value });
});

it('contains its own addresses, those next to it not, and never one of the other family', () => {
  const subnet = cidr('10.70.8.0/22');
  expect(cidrContains(subnet, address('10.70.8.0'))).toBe(true);
  expect(cidrContains(subnet, address('10.70.11.255'))).toBe(true);
  expect(cidrContains(subnet, address('10.70.7.255'))).toBe(false);
  expect(cidrContains(subnet, address('10.70.12.0'))).toBe(false);
  expect(cidrContains(cidr('0.0.0.0/0'), address('::1'))).toBe(false);
});
