import ipaddr from 'ipaddr.js';

/** An address with its prefix length, as an interface or a route carries it. */
export interface IpPrefix {
  readonly family: 4 | 6;
  /** Network byte order: 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** Bytes of an address in its usual notation. Throws a RangeError for anything else, also for IPv4's old short forms ("10.1"). */
export function parseAddress(text: string): Uint8Array {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return Uint8Array.from(ipaddr.IPv4.parse(text).toByteArray());
  if (ipaddr.IPv6.isValid(text)) return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
  throw new RangeError(`"${text}" is not an IP address`);
}

/** The one way in which we write an address: IPv6 in lower case, longest run of zeros left out (RFC 5952). */
export const formatAddress = (bytes: Uint8Array): string =>
  bytes.length === 4 ? bytes.join('.') : ipaddr.fromByteArray([...bytes]).toString();

/** Parses "10.70.8.20/22" or "fd00:70::14/64". Throws a RangeError for anything else. */
export function parsePrefix(text: string): IpPrefix {
  const [address = '', length = ''] = text.split('/', 2);
  const bytes = parseAddress(address);
  if (!/^\d{1,3}$/.test(length) || Number(length) > bytes.length * 8) {
    throw new RangeError(`"${text}" has no prefix length from 0 to ${bytes.length * 8}`);
  }
  return { family: bytes.length === 4 ? 4 : 6, bytes, length: Number(length) };
}

export const formatPrefix = ({ bytes, length }: Pick<IpPrefix, 'bytes' | 'length'>): string =>
  `${formatAddress(bytes)}/${length}`;

/** Writes a prefix as `formatPrefix` does, so that equal prefixes are equal strings. */
export const canonicalPrefix = (text: string): string => formatPrefix(parsePrefix(text));

/** The network an address is in: its prefix with the host bits zero. */
export function networkOf(text: string): string {
  const { bytes, length } = parsePrefix(text);
  return formatPrefix({ bytes: bytes.map((byte, index) => byte & networkMask(length, index)), length });
}

export function prefixContains(prefix: IpPrefix, address: Uint8Array): boolean {
  return (
    prefix.bytes.length === address.length &&
    prefix.bytes.every((byte, index) => ((byte ^ (address[index] ?? 0)) & networkMask(prefix.length, index)) === 0)
  );
}

/** Bits of byte `index` that belong to the network. */
const networkMask = (length: number, index: number): number =>
  (0xff00 >> Math.min(8, Math.max(0, length - index * 8))) & 0xff;
