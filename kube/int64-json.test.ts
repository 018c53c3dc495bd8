import { describe, expect, it } from '@jest/globals';
import { int64Max, toJson } from './int64-json.ts';

describe('JSON for the API server', () => {
  it('has the largest int64 digit by digit, also one that was read and goes back', () => {
    expect(toJson({ total: int64Max })).toBe('{"total":9223372036854775807}');
    const read: unknown = JSON.parse('{"total":9223372036854775807}');
    expect(toJson(read)).toBe('{"total":9223372036854775807}');
  });

  it('ends at an int64, whatever is larger', () => {
    expect(toJson([2 ** 64, 1e300])).toBe('[9223372036854775807,9223372036854775807]');
  });

  it('rounds no large number: the addresses of a /70', () => {
    expect(toJson(2 ** 58)).toBe('288230376151711744');
    expect(JSON.stringify(2 ** 58)).toBe('288230376151711740');
  });

  it('is otherwise what it always is', () => {
    const body = { a: [1, -1, 0.5, 1e15, null, true, '9223372036854775807'], b: { c: undefined }, at: new Date(0) };
    expect(toJson(body)).toBe(JSON.stringify(body));
  });
});
