const mask = (1n << 64n) - 1n;

/**
 * Spreads a text over 0 … 2^64 − 1; not for secrets. FNV-1a over UTF-16 code units, then MurmurHash3's 64-bit finalizer: the
 * low bits of FNV-1a alone depend on the low bits of the characters only, and a modulus looks at them first.
 */
export function hash64(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let index = 0; index < text.length; index++) {
    hash = ((hash ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n) & mask;
  }
  hash = ((hash ^ (hash >> 33n)) * 0xff51afd7ed558ccdn) & mask;
  hash = ((hash ^ (hash >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
  return hash ^ (hash >> 33n);
}
