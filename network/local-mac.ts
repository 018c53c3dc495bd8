/** Names that are the same whenever they are asked for, made of a text. FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
export function fnv1a(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text))
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}

/** A MAC, the same for the same text: locally administered, one station (IEEE 802). */
export function localMac(text: string): string {
  const hash = fnv1a(text);
  const bytes = Array.from({ length: 6 }, (_, index) => Number((hash >> BigInt(16 + index * 8)) & 0xffn));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return formatMac(bytes);
}

export const formatMac = (bytes: Iterable<number>): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
