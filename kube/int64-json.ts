declare global {
  interface JSON {
    /** ECMAScript proposal "JSON.parse source text access": a value that `stringify` writes as this text. In V8 since 11.4. */
    rawJSON(text: string): unknown;
  }
}

/** What an int64 holds at most, as the number that `JSON.parse` makes of it: the nearest double is one more. */
export const int64Max = 2 ** 63;

/**
 * JSON for the API server. A whole number is written digit by digit, and one that is too large for an int64 as the largest:
 * `JSON.stringify` alone rounds beyond 2^53, and makes of the largest int64 that was read one that the server refuses.
 */
export const toJson = (body: unknown): string => JSON.stringify(body, exact);

const exact = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && value > Number.MAX_SAFE_INTEGER && Number.isInteger(value)
    ? JSON.rawJSON(String(value < int64Max ? BigInt(value) : 2n ** 63n - 1n))
    : value;
