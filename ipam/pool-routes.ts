import type { ClaimedAddress } from '../contracts/pod-network.ts';
import { type Address, formatAddress } from './address.ts';
import { cidrContains, formatCidr } from './cidr.ts';
import type { PodRoute } from './pod-routes.ts';
import type { PoolSnapshot } from './pool-snapshot.ts';

/** What decides the routes of a NIC, besides its pool. */
export interface RouteConf {
  /** No default route through the pool's gateway. */
  readonly cleanGateway: boolean;
  /** All routes that the pod asks for, of whichever NIC. */
  readonly podRoutes?: readonly PodRoute[];
}

const defaultRoute = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/**
 * Routes that come with an address of this pool: the pool's and the pod's, then the default route. Of two routes to one
 * destination the pod's wins over the pool's, and among equals the first; so a default route of the pod's replaces the
 * gateway's, also a cleaned one. Source: spec/ipam.md §8; docs/decisions/014-choices-about-selection.md.
 */
export function routesOf(pool: PoolSnapshot, { cleanGateway, podRoutes = [] }: RouteConf): ClaimedAddress['routes'] {
  const ofPod = podRoutes.filter(({ gw }) => cidrContains(pool.subnet, gw));
  const byDestination = new Map<string, string>();
  for (const { dst, gw } of [...ofPod, ...pool.routes]) {
    const destination = formatCidr(dst);
    if (!byDestination.has(destination)) byDestination.set(destination, formatAddress(gw));
  }
  const lastResort = defaultRoute[pool.family];
  const gateway = pool.gateway && !cleanGateway ? formatAddress(pool.gateway) : undefined;
  const defaultGateway = byDestination.get(lastResort) ?? gateway;
  byDestination.delete(lastResort);
  if (defaultGateway !== undefined) byDestination.set(lastResort, defaultGateway);
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
