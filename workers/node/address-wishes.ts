import type { AddressWish } from '../../contracts/pod-network.ts';
import { invalid } from './conf-refusal.ts';
import type { Conf } from './network-conf.ts';

/**
 * The exact addresses that a call asks for, by each way in which it can: the capability "ips", for which a runtime or Multus
 * fills in `runtimeConfig`; `args.cni.ips`; and IP of CNI_ARGS, a list with commas (CNI CONVENTIONS.md). Whether they are
 * addresses, and of whom, is decided later, with the pools.
 */
export function addressWishes({ json }: Conf, args: ReadonlyMap<string, string>): readonly AddressWish[] {
  const fromArgs = (args.get('IP') ?? '').split(',').filter((text) => text !== '');
  return [
    { source: 'runtimeConfig.ips', ips: list('runtimeConfig.ips', at(json['runtimeConfig'], 'ips')) },
    { source: 'args.cni.ips', ips: list('args.cni.ips', at(at(json['args'], 'cni'), 'ips')) },
    { source: 'IP of CNI_ARGS', ips: fromArgs },
  ].filter(({ ips }) => ips.length > 0);
}

/** Runtimes put what they like beside these keys, so anything else than an object has no such key. */
const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;

function list(key: string, value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((text) => typeof text === 'string') || value.length > mostAddresses) {
    throw invalid(key, value, `a list of at most ${mostAddresses} addresses`);
  }
  return value;
}

/** One of each family is what an interface gets. */
const mostAddresses = 16;
