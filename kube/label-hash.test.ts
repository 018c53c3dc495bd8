import { expect, it } from '@jest/globals';
import { labelHash } from './label-hash.ts';

it('makes a label value of any name, always the same', () => {
  expect(labelHash('rack7-v4')).toBe('b3dcd4a4af31ae14f8e5');
  expect(labelHash('a'.repeat(253))).toMatch(/^[0-9a-f]{20}$/);
  expect(labelHash('rack7-v4')).not.toBe(labelHash('rack7-v6'));
});
