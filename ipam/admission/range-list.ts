import type { Family } from '../address.ts';
import { intervalOf, parseCidr } from '../cidr.ts';
import type { Interval, IntervalSet } from '../interval-set.ts';
import { formatRange, formatRanges, parseRange } from '../range-grammar.ts';
import { shownValue } from '../shown-value.ts';
import { asText } from './json-object.ts';
import { invalid, type Problem } from './problem.ts';

/** One entry of `ips` or `excludeIPs` that can be read. */
export interface RangeEntry {
  readonly at: number;
  readonly text: string;
  readonly family: Family;
  readonly interval: Interval;
}

/** Reads a list of ranges (spec/ipam.md §1.5). An entry that cannot be read is a problem and left out. */
export function readRangeList(field: string, value: unknown, problems: Problem[]): readonly RangeEntry[] {
  if (value == null) return [];
  if (!Array.isArray(value)) {
    problems.push(invalid(field, value, 'is not a list', 'write a list of addresses and ranges'));
    return [];
  }
  const entries: RangeEntry[] = [];
  for (const [at, found] of (value as readonly unknown[]).entries()) {
    const text = asText(found);
    const reading = text.length <= longestRange ? parseRange(text) : undefined;
    if (reading?.outcome === 'range') {
      entries.push({ at, text, family: reading.family, interval: reading.interval });
    } else {
      problems.push(
        reading && found === text
          ? { status: 422, text: `${field}[${at}] ${shownValue(reading.problem)}: ${remedyOf(text)}` }
          : invalid(`${field}[${at}]`, found ?? 'null', 'is neither an address nor a range', example),
      );
    }
  }
  return entries;
}

/** As the mutating webhook stores a list: one entry is left as it was written (spec/ipam.md §1.5, "Merge"). */
export const mergedRanges = (value: unknown, set: IntervalSet, family: Family): unknown =>
  Array.isArray(value) && value.length > 1 ? formatRanges(set, family) : value;

/** The first ranges of a set, as a message names them. */
export function shownRanges(set: IntervalSet, family: Family): string {
  const shown = formatRanges({ ...set, intervals: set.intervals.slice(0, 3) }, family).join(', ');
  const more = set.intervals.length - 3;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

/** Two IPv6 addresses of 45 characters and the dash; the CRDs say the same. */
const longestRange = 91;

const example = 'write an address or start-end, such as "10.70.8.20-10.70.8.90"';

function remedyOf(entry: string): string {
  const cidr = parseCidr(entry);
  if (cidr) return `"${formatRange(intervalOf(cidr), cidr.address.family)}"`;
  const compact = entry.replaceAll(/\s/g, '');
  const meant = [compact, compact.split('-').toReversed().join('-')].find(
    (text) => parseRange(text).outcome === 'range',
  );
  return meant === undefined ? example : `write "${meant}"`;
}
