/** CPU of each process in one stretch of time, ms per second, by process ID. */
export type CpuRates = ReadonlyMap<number, number>;

const quietMsPerSecond = 250; // all processes together: a quarter of one core
const noiseMsPerSecond = 6; // CPU time is counted in ticks of 10 ms, user and system apart
const noiseShare = 0.3; // what Temporal and the API server do by themselves comes in bursts

/**
 * Whether the stack is at rest, from what its processes did in two stretches of some seconds, one after the other: together they do
 * little, and each does as much as before. One that does less or more is at work on something, and its rate is no rate at rest.
 */
export function isAtRest(before: CpuRates, now: CpuRates): boolean {
  const total = now.values().reduce((sum, rate) => sum + rate, 0);
  const isEven = [...now].every(([pid, rate]) => {
    const earlier = before.get(pid) ?? 0;
    return Math.abs(earlier - rate) <= Math.max(noiseMsPerSecond, noiseShare * Math.max(earlier, rate));
  });
  return total <= quietMsPerSecond && isEven;
}

/** CPU per second between two readings of the CPU time of processes. */
export const ratesBetween = (before: ReadonlyMap<number, number>, after: typeof before, seconds: number): CpuRates =>
  new Map([...after].map(([pid, ms]) => [pid, (ms - (before.get(pid) ?? 0)) / seconds]));
