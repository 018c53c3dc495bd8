import type { Failure } from '../../contracts/failures.ts';
import { routeProtocol } from '../ownership-mark.ts';
import type { PolicyRule, PolicyTableRoute } from './coordination-operation.ts';
import {
  addressesOf,
  type CoordinationSite,
  hostPrefix,
  isIPv6,
  routeThroughNode,
  sourceFor,
  withoutLength,
} from './coordination-site.ts';
import type { ObservedNic, ObservedTableRoute } from './observed-coordination.ts';
import { isRival } from './plan-draft.ts';
import { mainTable, policyTable, sourceRulePriority, vethInPod } from './pod-layout.ts';

type Family = 4 | 6;

/**
 * One interface carries the pod's default route in the main table; every other has its routes in a table of its own, where
 * traffic from its addresses looks. So an answer leaves where the question came in (spec/connectivity.md §1.6).
 *
 * Which interface that is: the one that is asked for, as soon as the pod has it; else the one that has it already. A moved
 * default route keeps everything but its table, so it can be put back as it was; the other routes stay in the main table and
 * are copied.
 */
export function tuneRoutes(site: CoordinationSite): Failure | undefined {
  const { observed, request } = site;
  const wanted = request.settings.podDefaultRouteNic;
  const isThere = observed.pod.links.some(({ ifName }) => ifName === wanted);
  if (wanted !== undefined && !isThere && !request.awaitedNics.includes(wanted)) return neverComes(wanted);
  for (const family of [4, 6] as const) {
    const failure = tuneFamily(site, family, wanted);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function tuneFamily(site: CoordinationSite, family: Family, wanted: string | undefined): Failure | undefined {
  const { observed, draft, nic, request, mode } = site;
  const isOf = (text: string): boolean => isIPv6(text) === (family === 6);
  const nics = observed.pod.links.filter(({ ifName, isLoopback }) => !isLoopback && ifName !== vethInPod);
  const carries = (one: ObservedNic): boolean => defaultsOf(draft.routes, one.ifName, mainTable, family).length > 0;
  const carriers = nics.filter(carries);
  const target =
    nics.find((one) => one.ifName === wanted && (carries(one) || displacedDefaults(site, one, family).length > 0)) ??
    carriers.find(({ ifName }) => ifName === request.settings.firstNic && ifName !== nic.ifName) ??
    carriers.find(({ ifName }) => ifName !== nic.ifName) ??
    carriers[0];
  if (target === undefined) return undefined; // no default route of this family: nothing to choose from
  takeBack(site, target, family);
  for (const other of nics.filter((one) => one !== target && (one.ifName === nic.ifName || carries(one)))) {
    if (!addressesOf(observed, other).some(isOf)) continue;
    const several = defaultsOf(draft.routes, other.ifName, mainTable, family).find(({ isHop }) => isHop === true);
    if (several !== undefined) return sharedDefault(other.ifName);
    giveOwnTable(site, other, family);
  }
  // Also while it has the default route: an answer to a NodePort's client must not take another interface's route to that client.
  if (mode === 'overlay' && target.ifName === request.settings.firstNic) {
    const table = tableOf(site, target);
    for (const route of defaultsOf(draft.routes, target.ifName, mainTable, family)) copy(site, route, table);
    sourceRules(site, target, family).forEach((rule) => draft.rule(rule));
  }
  return undefined;
}

const tableOf = ({ mode, request }: CoordinationSite, nic: ObservedNic): number =>
  policyTable(mode, nic, request.settings.firstNic);

const isDefault = (dst: string, family: Family): boolean => dst === (family === 6 ? '::/0' : '0.0.0.0/0');

const defaultsOf = (routes: readonly ObservedTableRoute[], ifName: string, table: number, family: Family) =>
  routes.filter((route) => route.ifName === ifName && route.table === table && isDefault(route.dst, family));

/** Default routes of an interface that stand in its table and no longer in the main one. */
const displacedDefaults = (site: CoordinationSite, nic: ObservedNic, family: Family): ObservedTableRoute[] =>
  defaultsOf(site.draft.routes, nic.ifName, mainTable, family).length > 0
    ? []
    : defaultsOf(site.draft.routes, nic.ifName, tableOf(site, nic), family);

/** Traffic from the interface's addresses into its table. */
const sourceRules = (site: CoordinationSite, nic: ObservedNic, family: Family): PolicyRule[] =>
  addressesOf(site.observed, nic)
    .filter((address) => isIPv6(address) === (family === 6))
    .map((address) => ({
      family,
      priority: sourceRulePriority,
      table: tableOf(site, nic),
      protocol: routeProtocol,
      from: hostPrefix(withoutLength(address)),
    }));

/** The interface that is to have the default route has it in the main table, also when it had lost it before. */
function takeBack(site: CoordinationSite, nic: ObservedNic, family: Family): void {
  const { draft } = site;
  for (const route of displacedDefaults(site, nic, family)) {
    draft.addRoute({ ...withoutHop(route), table: mainTable }, 'first');
    draft.removeRoute(route);
    for (const rule of sourceRules(site, nic, family)) draft.removeRule(rule);
  }
}

function giveOwnTable(site: CoordinationSite, nic: ObservedNic, family: Family): void {
  const { draft } = site;
  const table = tableOf(site, nic);
  if (site.mode === 'underlay') routeThroughVeth(site, table, family);
  const others = draft.routes
    .filter(({ ifName, table, dst }) => ifName === nic.ifName && table === mainTable && isCopied(dst, family))
    .toSorted((one, other) => Number(one.gateway !== undefined) - Number(other.gateway !== undefined)); // links before what lies behind them
  for (const route of others) copy(site, route, table);
  for (const route of defaultsOf(draft.routes, nic.ifName, mainTable, family)) {
    const inTable = { ...withoutHop(route), table };
    for (const rival of draft.routes.filter((one) => isRival(one, inTable) && one.protocol === routeProtocol)) {
      draft.removeRoute(rival);
    }
    draft.addRoute(inTable, draft.routes.some((one) => isRival(one, inTable)) ? 'last' : undefined);
    draft.removeRoute(route);
  }
  for (const rule of sourceRules(site, nic, family)) draft.rule(rule);
}

/** The node and what is handed to it stay in reach of an underlay interface's own table. */
function routeThroughVeth(site: CoordinationSite, table: number, family: Family): void {
  const { draft, hosts, path, request, source } = site;
  const isOf = (text: string): boolean => isIPv6(text) === (family === 6);
  for (const host of hosts.filter(isOf)) {
    draft.route({ dst: hostPrefix(host), ifName: path.podIfName, table, ...sourceFor(host, source) });
  }
  for (const dst of request.settings.hijackCIDRs.filter(isOf)) {
    const route = routeThroughNode(site, dst);
    if (route !== undefined) draft.route({ ...route, table });
  }
}

const isCopied = (dst: string, family: Family): boolean =>
  isIPv6(dst) === (family === 6) && !isDefault(dst, family) && !/^(fe80:|ff)/.test(dst);

function copy({ draft }: CoordinationSite, route: ObservedTableRoute, table: number): void {
  const copied: PolicyTableRoute = { ...withoutHop(route), table, protocol: routeProtocol };
  if (!draft.routes.some((one) => isRival(one, copied))) draft.addRoute(copied);
}

function withoutHop(observed: ObservedTableRoute): PolicyTableRoute {
  const { isHop: _, ...route } = observed;
  return route;
}

const neverComes = (wanted: string): Failure => ({
  type: 'InvalidConfig',
  message: `podDefaultRouteNIC: "${wanted}" doesn't exist in pod, and none of the pod's networks brings it`,
  remedy:
    'Name one of the pod’s interfaces in annotation ipam.spidernet.io/default-route-nic, in podDefaultRouteNic of the network or in podDefaultRouteNIC of the SpiderCoordinator',
});

const sharedDefault = (ifName: string): Failure => ({
  type: 'InvalidConfig',
  message: `Cannot move the default route of "${ifName}" into its own table: it is one route of several gateways, which the kernel moves as a whole`,
  remedy: 'Give the network one gateway for each family, or set tunePodRoutes to false',
});
