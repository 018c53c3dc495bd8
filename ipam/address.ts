import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** An address as a number: the text stays at the edges, arithmetic happens on `value`. */
export interface Address {
  readonly family: Family;
  /** Below 2^32 for IPv4, below 2^128 for IPv6. */
  readonly value: bigint;
}

export const addressBits = { 4: 32, 6: 128 } as const satisfies Record<Family, number>;

/** "IPv4" or "IPv6", as messages name a family. */
export const familyName = (family: Family): string => `IPv${family}`;

/**
 * Reads one address strictly: four decimal parts without leading zeros, or RFC 4291 groups. Anything with a zone, a mask,
 * a blank, or IPv4 inside IPv6 (`::ffff:10.0.0.1` would be a second name for an IPv4 address) is `undefined`.
 */
export function parseAddress(text: string): Address | undefined {
  const parts = dottedDecimal.exec(text)?.slice(1);
  if (parts) return { family: 4, value: BigInt(parts.reduce((value, part) => value * 256 + Number(part), 0)) };
  if (!/^[0-9a-fA-F:]+$/.test(text) || !ipaddr.IPv6.isValid(text)) return undefined;
  const parsed = ipaddr.IPv6.parse(text);
  return parsed.isIPv4MappedAddress() ? undefined : fromBytes(6, parsed.toByteArray());
}

/** Prints the one canonical text of an address: dotted decimal, or RFC 5952. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24, 16, 8, 0].map((shift) => (Number(value) >>> shift) & 255).join('.');
  const hex = toHex({ family, value });
  return ipaddr.fromByteArray(Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))).toString();
}

/** Name of the `IPClaim` that takes this address: "10.70.8.20", or all 8 groups of an IPv6 address joined by "-". */
export function toClaimName(address: Address): string {
  return address.family === 4 ? formatAddress(address) : (toHex(address).match(/.{4}/g) ?? []).join('-');
}

/** The address that a claim's name stands for; `undefined` for a name that `toClaimName` does not give. */
export function fromClaimName(name: string): Address | undefined {
  if (/^[0-9a-f]{4}(-[0-9a-f]{4}){7}$/.test(name)) return { family: 6, value: BigInt(`0x${name.replaceAll('-', '')}`) };
  const address = parseAddress(name);
  return address?.family === 4 ? address : undefined;
}

/** By hand: a pool may list 65,536 addresses one by one. */
const dottedDecimal = new RegExp(`^${Array(4).fill('(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])').join('\\.')}$`);

const fromBytes = (family: Family, bytes: readonly number[]): Address => ({
  family,
  value: bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n),
});

const toHex = ({ family, value }: Address): string => value.toString(16).padStart(addressBits[family] / 4, '0');
