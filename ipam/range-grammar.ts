import { type Family, familyName, formatAddress, parseAddress } from './address.ts';
import type { Interval, IntervalSet } from './interval-set.ts';

export type RangeReading =
  | { readonly outcome: 'range'; readonly family: Family; readonly interval: Interval }
  | { readonly outcome: 'invalid'; readonly problem: string };

/**
 * Reads one entry of `spec.ips` or `spec.excludeIPs`: "10.70.8.20" or "10.70.8.20-10.70.8.90". One dash, no blanks, no
 * prefix length, both ends of one family, start not after end (spec/ipam.md §1.5). A problem names the entry.
 */
export function parseRange(entry: string): RangeReading {
  const dash = entry.indexOf('-');
  const start = parseAddress(dash < 0 ? entry : entry.slice(0, dash));
  const end = dash < 0 ? start : parseAddress(entry.slice(dash + 1));
  if (!start || !end) return { outcome: 'invalid', problem: `"${entry}" ${problemOf(entry)}` };
  if (start.family !== end.family) {
    const problem = `"${entry}" starts as ${familyName(start.family)} and ends as ${familyName(end.family)}`;
    return { outcome: 'invalid', problem };
  }
  if (start.value > end.value) return { outcome: 'invalid', problem: `"${entry}" ends before it starts` };
  return { outcome: 'range', family: start.family, interval: { first: start.value, last: end.value } };
}

function problemOf(entry: string): string {
  if (/\s/.test(entry)) return 'contains blanks';
  if (entry.includes('/')) return 'has a prefix length: write it as start-end';
  return 'is neither an address nor a range start-end';
}

/** One range as `parseRange` reads it: "10.70.8.20-10.70.8.90", and a single address without a dash. */
export function formatRange({ first, last }: Interval, family: Family): string {
  const start = formatAddress({ family, value: first });
  return first === last ? start : `${start}-${formatAddress({ family, value: last })}`;
}

/** The one text of a set: ranges that are sorted and neither overlap nor touch. */
export const formatRanges = ({ intervals }: IntervalSet, family: Family): readonly string[] =>
  intervals.map((interval) => formatRange(interval, family));
