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
  const invalid = (problem: string): RangeReading => ({ outcome: 'invalid', problem: `"${entry}" ${problem}` });
  if (/\s/.test(entry)) return invalid('contains blanks');
  if (entry.includes('/')) return invalid('has a prefix length: write it as start-end');
  const ends = entry.split('-');
  const start = parseAddress(ends[0] ?? '');
  const end = ends.length === 1 ? start : parseAddress(ends[1] ?? '');
  if (ends.length > 2 || !start || !end) return invalid('is neither an address nor a range start-end');
  if (start.family !== end.family)
    return invalid(`starts as ${familyName(start.family)} and ends as ${familyName(end.family)}`);
  if (start.value > end.value) return invalid('ends before it starts');
  return { outcome: 'range', family: start.family, interval: { first: start.value, last: end.value } };
}

/** One range as `parseRange` reads it: "10.70.8.20-10.70.8.90", and a single address without a dash. */
export function formatRange({ first, last }: Interval, family: Family): string {
  const start = formatAddress({ family, value: first });
  return first === last ? start : `${start}-${formatAddress({ family, value: last })}`;
}

/** The one text of a set: ranges that are sorted and neither overlap nor touch. */
export const formatRanges = ({ intervals }: IntervalSet, family: Family): readonly string[] =>
  intervals.map((interval) => formatRange(interval, family));
