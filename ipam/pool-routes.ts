import type { ClaimedAddress, NetworkConf } from '../contracts/pod-network.ts';
import { type Address, formatAddress } from './address.ts';
import { formatCidr } from './cidr.ts';
import type { PoolSnapshot } from './pool-snapshot.ts';

type RouteConf = Pick<NetworkConf, 'cleanGateway'>;

const defaultRoute = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/**
 * Routes that come with an address of this pool: the pool's own, then the default route through its gateway unless it is
 * cleaned. Of two routes to one destination the first stays. Source: spec/ipam.md §8.
 */
export function routesOf(
  { family, gateway, routes }: PoolSnapshot,
  { cleanGateway }: RouteConf,
): ClaimedAddress['routes'] {
  const byDestination = new Map<string, string>();
  for (const { dst, gw } of routes) {
    const destination = formatCidr(dst);
    if (!byDestination.has(destination)) byDestination.set(destination, formatAddress(gw));
  }
  if (gateway && !cleanGateway) byDestination.set(defaultRoute[family], formatAddress(gateway));
  return Array.from(byDestination, ([dst, gw]) => ({ dst, gw }));
}

/** The claimed address as it crosses processes. The gateway is named even when the default route is cleaned: spec/ipam.md §8.2. */
export function toClaimedAddress(pool: PoolSnapshot, address: Address, conf: RouteConf): ClaimedAddress {
  return {
    family: pool.family,
    address: formatCidr({ address, prefixLength: pool.subnet.prefixLength }),
    pool: pool.name,
    ...(pool.gateway && { gateway: formatAddress(pool.gateway) }),
    routes: routesOf(pool, conf),
  };
}
