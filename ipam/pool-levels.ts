import type { Failure } from '../contracts/failures.ts';
import type { NetworkConf } from '../contracts/pod-network.ts';
import type { Family } from './address.ts';
import { ippoolAnnotation, type NamedPools, readIppoolAnnotation } from './pool-annotation.ts';
import type { PoolCatalogue } from './pool-catalogue.ts';

/** What the choice of pools depends on, besides the pools. */
export interface PoolRequest {
  readonly podAnnotations: Readonly<Record<string, string>>;
  readonly network: Pick<NetworkConf, 'defaultIPv4Pools' | 'defaultIPv6Pools'>;
}

/** One place where pools can be named. The first level that names any decides both families (spec/ipam.md §2.4). */
export interface PoolLevel {
  /** As a message names it: "Cannot choose an IPv4 pool from <source>". */
  readonly source: string;
  readonly read: (request: PoolRequest, catalogue: PoolCatalogue) => LevelReading;
}

export type LevelReading =
  | { readonly outcome: 'pools'; readonly pools: NamedPools }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'refused'; readonly failure: Failure };

const podAnnotation: PoolLevel = {
  source: `pod annotation ${ippoolAnnotation}`,
  read({ podAnnotations }) {
    const text = podAnnotations[ippoolAnnotation];
    return text === undefined ? { outcome: 'absent' } : readIppoolAnnotation(text);
  },
};

const networkConfiguration: PoolLevel = {
  source: 'default_ipv4_ippool and default_ipv6_ippool of the network configuration',
  read: ({ network }) => named({ 4: network.defaultIPv4Pools, 6: network.defaultIPv6Pools }),
};

const clusterDefault: PoolLevel = {
  source: 'the pools with spec.default: true',
  read(_request, { pools }) {
    const defaults = [...pools.values()].filter((pool) => pool.isDefault).sort((a, b) => (a.name < b.name ? -1 : 1));
    // A pool without a readable subnet asks for no family, or it would fail every pod of a cluster that has one family.
    const ofFamily = (family: Family) => defaults.filter((pool) => pool.family === family).map(({ name }) => name);
    return named({ 4: ofFamily(4), 6: ofFamily(6) });
  },
};

const named = (pools: NamedPools): LevelReading =>
  pools[4].length + pools[6].length === 0 ? { outcome: 'absent' } : { outcome: 'pools', pools };

/** Highest precedence first. */
export const poolLevels: readonly PoolLevel[] = [podAnnotation, networkConfiguration, clusterDefault];
