/** Prints times for people: local, the date only where it is not today's. */
export interface WallClock {
  /** "12:03:11", or "2026-11-20 12:03:11". */
  time(atMs: number): string;
  /** "12:03:11.430", or with the date. */
  precise(atMs: number): string;
}

/** `timeZone`: an IANA name; absent: the local one (TZ). */
export function wallClock(nowMs: number, timeZone?: string): WallClock {
  const format = new Intl.DateTimeFormat('en-CA', {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    ...(timeZone === undefined ? {} : { timeZone }),
  });
  const parts = (atMs: number): { day: string; time: string } => {
    const [day = '', time = ''] = format.format(atMs).split(', ');
    return { day, time };
  };
  const today = parts(nowMs).day;
  const withDay = ({ day, time }: { day: string; time: string }): string => (day === today ? time : `${day} ${time}`);
  return {
    time: (atMs) => withDay(parts(atMs)),
    precise: (atMs) => `${withDay(parts(atMs))}.${String(Math.floor(atMs) % 1000).padStart(3, '0')}`,
  };
}

/** "0.8 ms", "14 ms", "2.5 s", "3 min 20 s", "2 h 13 min", "5 d 2 h". */
export function duration(ms: number): string {
  if (ms < 9.95) return `${Math.max(0, ms).toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const units = [
    { name: 'd', seconds: 86_400 },
    { name: 'h', seconds: 3600 },
    { name: 'min', seconds: 60 },
    { name: 's', seconds: 1 },
  ];
  const seconds = Math.round(ms / 1000);
  const largest = units.findIndex((unit) => seconds >= unit.seconds);
  let rest = seconds;
  return units
    .slice(largest, largest + 2)
    .map((unit) => {
      const count = Math.floor(rest / unit.seconds);
      rest -= count * unit.seconds;
      return count === 0 ? '' : `${count} ${unit.name}`;
    })
    .filter((text) => text !== '')
    .join(' ');
}
