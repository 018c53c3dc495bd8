import { describe, expect, it } from '@jest/globals';
import { isEditOpen, underEdits } from './pool-edit.ts';

const madeAtMs = Date.parse('2026-11-21T12:00:00Z');
const edit = {
  metadata: { creationTimestamp: '2026-11-21T12:00:00Z' },
  spec: { poolUID: 'u1', generation: 3, ips: ['10.70.8.20-10.70.8.29'] },
};
const pool = { metadata: { uid: 'u1', generation: 3 }, spec: { subnet: '10.70.8.0/22', excludeIPs: ['10.70.8.40'] } };

describe('an edit that is about to take addresses away', () => {
  it('excludes them already', () => {
    expect(underEdits(pool, [edit], madeAtMs).spec).toEqual({
      subnet: '10.70.8.0/22',
      excludeIPs: ['10.70.8.40', '10.70.8.20-10.70.8.29'],
    });
  });

  it.each([
    ['the pool is a later one', { ...pool, metadata: { uid: 'u1', generation: 4 } }, madeAtMs],
    ['it is about another pool of that name', { ...pool, metadata: { uid: 'u2', generation: 3 } }, madeAtMs],
    ['90 s are over', pool, madeAtMs + 90_000],
  ])('says nothing when %s', (_, now, atMs) => {
    expect(underEdits(now, [edit], atMs)).toBe(now);
  });

  it('holds until then, and for a pool that was read before an earlier edit', () => {
    expect(isEditOpen(edit, pool, madeAtMs + 89_999)).toBe(true);
    expect(isEditOpen(edit, { ...pool, metadata: { uid: 'u1', generation: 2 } }, madeAtMs)).toBe(true);
  });
});
