import { describe, expect, it } from '@jest/globals';
import { duration, wallClock } from './wall-clock.ts';

describe('a wall clock', () => {
  const noon = Date.UTC(2026, 10, 21, 12, 3, 11, 43);

  it('leaves the date out for today', () => {
    const clock = wallClock(noon, 'UTC');
    expect(clock.time(noon - 60_000)).toBe('12:02:11');
    expect(clock.precise(noon + 0.7)).toBe('12:03:11.043');
    expect(clock.time(noon - 86_400_000)).toBe('2026-11-20 12:03:11');
  });

  it('shows local time, and begins the day there at midnight', () => {
    const clock = wallClock(noon, 'Asia/Tokyo');
    expect(clock.time(noon)).toBe('21:03:11');
    expect(clock.time(Date.UTC(2026, 10, 20, 15, 0, 0))).toBe('00:00:00');
    expect(clock.time(Date.UTC(2026, 10, 20, 14, 59, 59))).toBe('2026-11-20 23:59:59');
  });
});

describe('a duration', () => {
  it.each([
    [-0.2, '0.0 ms'],
    [0.84, '0.8 ms'],
    [9.94, '9.9 ms'],
    [9.96, '10 ms'],
    [14.4, '14 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [59_949, '59.9 s'],
    [59_999, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [8_000_000, '2 h 13 min'],
    [5 * 86_400_000 + 7_200_000, '5 d 2 h'],
  ])('of %d ms reads %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});
