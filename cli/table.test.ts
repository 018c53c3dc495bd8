import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { table } from './table.ts';

describe('a table', () => {
  it('aligns its columns and ends no line with blanks', () => {
    expect(
      table(
        ['POD', 'NIC'],
        [
          ['api-0', 'eth0'],
          ['a', 'net1'],
        ],
      ),
    ).toBe('POD    NIC\napi-0  eth0\na      net1');
  });

  it('never exceeds the width given, however long its cells are', () => {
    const cells = fc.array(fc.array(fc.stringMatching(/^[a-z0-9.:/-]{0,150}$/), { minLength: 8, maxLength: 8 }), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(cells, fc.integer({ min: 80, max: 160 }), (rows, columns) => {
        const head = ['NAMESPACE', 'POD', 'NODE', 'NIC', 'ADDRESS', 'POOL', 'PHASE', 'SANDBOX'];
        for (const line of table(head, rows, columns).split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
      }),
    );
  });

  it('cuts only what does not fit', () => {
    const printed = table(['A', 'B'], [['x'.repeat(200), 'kept']], 40);
    expect(printed.split('\n')[1]).toMatch(/^x+… {2}kept$/);
  });

  it('has a line for each row, also when cells are empty', () => {
    expect(
      table(
        ['A', 'B'],
        [
          ['', ''],
          ['', 'x'],
        ],
      ).split('\n'),
    ).toEqual(['A  B', '', '   x']);
  });
});
