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
  const dotted = parseDottedDecimal(text);
  if (dotted !== undefined) return { family: 4, value: BigInt(dotted) };
  const groups = parseGroups(text);
  return groups === undefined || groups >> 32n === mappedPrefix ? undefined : { family: 6, value: groups };
}

/** Prints the one canonical text of an address: dotted decimal, or RFC 5952. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) {
    const bits = Number(value);
    return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
  }
  return formatGroups(groupsOf({ family, value }));
}

/** Name of the `IPClaim` that takes this address: "10.70.8.20", or all 8 groups of an IPv6 address joined by "-". */
export function toClaimName(address: Address): string {
  return address.family === 4 ? formatAddress(address) : groupsOf(address).join('-');
}

/** The address that a claim's name stands for; `undefined` for a name that `toClaimName` does not give. */
export function fromClaimName(name: string): Address | undefined {
  if (/^[0-9a-f]{4}(-[0-9a-f]{4}){7}$/.test(name)) return { family: 6, value: BigInt(`0x${name.replaceAll('-', '')}`) };
  const address = parseAddress(name);
  return address?.family === 4 ? address : undefined;
}

/** `::ffff:0:0/96` (RFC 4291, section 2.5.5.2). */
const mappedPrefix = 0xffffn;

const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const longestDotted = '255.255.255.255'.length;

// By hand, both families: a pool may list 65,536 addresses one by one, and admission reads each of them (docs/decisions/027).
function parseDottedDecimal(text: string): number | undefined {
  if (text.length > longestDotted) return undefined;
  let value = 0;
  let parts = 0;
  let part = 0;
  let digits = 0;
  for (let at = 0; at <= text.length; at += 1) {
    const code = at === text.length ? dot : text.charCodeAt(at);
    if (code === dot) {
      if (digits === 0) return undefined;
      value = value * 256 + part;
      parts += 1;
      part = 0;
      digits = 0;
    } else {
      const hasLeadingZero = digits > 0 && part === 0;
      if (code < zero || code > nine || hasLeadingZero) return undefined;
      part = part * 10 + code - zero;
      digits += 1;
      if (part > 255) return undefined;
    }
  }
  return parts === 4 ? value : undefined;
}

/** Eight groups of one to four digits, or fewer with one "::" for those that are zero (RFC 4291, section 2.2). */
function parseGroups(text: string): bigint | undefined {
  const [head = '', tail, another] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const left = 8 - before.length - after.length;
  if (another !== undefined || (tail === undefined ? left !== 0 : left < 1)) return undefined;
  let digits = '';
  for (const group of before) digits += group.padStart(4, '0');
  digits += '0000'.repeat(left);
  for (const group of after) digits += group.padStart(4, '0');
  const isWhole = digits.length === 32 && !before.includes('') && !after.includes('');
  return isWhole && /^[0-9a-fA-F]+$/.test(digits) ? BigInt(`0x${digits}`) : undefined;
}

/** RFC 5952, section 4: no leading zeros, lower case, "::" for the first of the longest runs of two groups or more that are zero. */
function formatGroups(padded: readonly string[]): string {
  const groups = padded.map((group) => Number.parseInt(group, 16).toString(16));
  let run = { at: 0, length: 1 };
  for (let at = 0; at < groups.length; at += 1) {
    let length = 0;
    while (groups[at + length] === '0') length += 1;
    if (length > run.length) run = { at, length };
    at += length;
  }
  if (run.length === 1) return groups.join(':');
  return `${groups.slice(0, run.at).join(':')}::${groups.slice(run.at + run.length).join(':')}`;
}

/** All groups of an IPv6 address, four digits each. */
const groupsOf = ({ value }: Address): readonly string[] => {
  const digits = value.toString(16).padStart(32, '0');
  const groups: string[] = [];
  for (let at = 0; at < digits.length; at += 4) groups.push(digits.slice(at, at + 4));
  return groups;
};
