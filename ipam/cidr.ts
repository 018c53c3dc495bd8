import { type Address, addressBits, formatAddress, parseAddress } from './address.ts';
import type { Interval } from './interval-set.ts';

/** An address with a prefix length: a subnet ("10.70.8.0/22"), or an address in one ("10.70.8.20/22"). */
export interface Cidr {
  readonly address: Address;
  readonly prefixLength: number;
}

/** Reads `address/prefix length`; host bits may be set. `undefined` when it is not one. */
export function parseCidr(text: string): Cidr | undefined {
  const [, addressText, prefixText] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const address = addressText === undefined ? undefined : parseAddress(addressText);
  const prefixLength = Number(prefixText);
  return address && prefixLength <= addressBits[address.family] ? { address, prefixLength } : undefined;
}

export const formatCidr = ({ address, prefixLength }: Cidr): string => `${formatAddress(address)}/${prefixLength}`;

/** The same subnet with its host bits zero. */
export const networkOf = (cidr: Cidr): Cidr => ({
  address: { family: cidr.address.family, value: intervalOf(cidr).first },
  prefixLength: cidr.prefixLength,
});

/** Every value of the subnet, its first and last address included. */
export function intervalOf({ address, prefixLength }: Cidr): Interval {
  const hostBits = BigInt(addressBits[address.family] - prefixLength);
  const first = (address.value >> hostBits) << hostBits;
  return { first, last: first + (1n << hostBits) - 1n };
}

export function cidrContains(cidr: Cidr, { family, value }: Address): boolean {
  const { first, last } = intervalOf(cidr);
  return family === cidr.address.family && first <= value && value <= last;
}
