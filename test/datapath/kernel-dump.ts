import { execFileSync } from 'node:child_process';
import { familyJson, nameOf } from './two-nodes.ts';

/**
 * Everything of a namespace that an attachment may change: links with their kinds and VF settings, addresses, routes of all tables,
 * rules, neighbours that do not age, nftables. Less what changes by itself, so that dumps before and after may be compared.
 */
export function kernelDump(netns: string): unknown {
  const both = ['addr show', 'route show table all', 'rule show', 'neigh show nud permanent', 'neigh show proxy'];
  const lists = [familyJson(netns, 4, 'link show', ...both), familyJson(netns, 6, ...both)];
  const ruleset = ['netns', 'exec', nameOf(netns), 'nft', '-j', '-s', 'list', 'ruleset'];
  const nftables = JSON.parse(execFileSync('ip', ruleset, { encoding: 'utf8' })) as unknown;
  return JSON.parse(JSON.stringify({ lists, nftables }), lasting) as unknown;
}

/** Leaves out lifetimes, counters, carriers, and the link-local addresses that come a second after a carrier, with their routes. */
function lasting(key: string, value: unknown): unknown {
  if (volatile.has(key)) return undefined;
  if (!Array.isArray(value)) return value;
  return value.filter((entry) => !carrier.has(String(entry)) && !followsCarrier(entry as unknown));
}

const followsCarrier = (entry: unknown): boolean => {
  const { dst, local } = (entry ?? {}) as { readonly dst?: unknown; readonly local?: unknown };
  return [dst, local].some((address) => typeof address === 'string' && /^(fe80|ff00):/.test(address));
};

const carrier = new Set(['NO-CARRIER', 'LOWER_UP', 'M-DOWN']);
const volatile = new Set(
  [
    ['valid_life_time', 'preferred_life_time', 'expires', 'promiscuity', 'allmulti', 'metainfo', 'handle'],
    ['operstate', 'tentative', 'hello_timer', 'tcn_timer', 'topology_change_timer', 'gc_timer'],
  ].flat(),
);
