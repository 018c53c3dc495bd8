import { expect, it } from '@jest/globals';
import { labelHash } from './label-hash.ts';

it('makes a label value of any name, always the same', () => {
  expect(labelHash('rack7-v4')).toBe('b9e3a7f8c0cd67344152');
  expect(labelHash('a'.repeat(253))).toMatch(/^[0-9a-f]{20}$/);
  expect(labelHash('rack7-v4')).not.toBe(labelHash('rack7-v6'));
});
