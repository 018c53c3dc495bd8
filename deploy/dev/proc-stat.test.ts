import { describe, expect, it } from '@jest/globals';
import { parseProcStat } from './proc-stat.ts';

/** What follows the name in a line of /proc/<pid>/stat, from a real one. */
const tail = 'S 1 4711 4711 0 -1 4194560 1017 0 0 0 3 1 0 0 20 0 1 0 188372 2859008 400 18446744073709551615';

describe('a line of /proc/<pid>/stat', () => {
  it.each(['sh', 'a b', ') S 1 2 3', '(sd-pam)', 'line\nbreak'])(
    'gives state and start of a process named %j',
    (name) => {
      expect(parseProcStat(`4711 (${name}) ${tail}`)).toEqual({ pid: 4711, state: 'S', startTicks: '188372' });
    },
  );

  it.each(['', '4711', '4711 (sh', '4711 (sh) S', '4711 (sh) S 1 4711 4711 0 -1'])('is not half-read: %j', (line) => {
    expect(parseProcStat(line)).toBeUndefined();
  });
});
