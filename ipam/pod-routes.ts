import type { Failure } from '../contracts/failures.ts';
import type { ClaimedAddress } from '../contracts/pod-network.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { type Cidr, cidrContains, formatCidr, networkOf, parseCidr } from './cidr.ts';
import { invalidAnnotation } from './failures.ts';
import { fieldsOf, parseJson } from './go-json.ts';
import type { Labels } from './pool-request.ts';

/** Pod annotation with routes of the pod. spec/ipam.md §2.1, §8. */
export const routesAnnotation = 'ipam.spidernet.io/routes';

/** A route that the pod asks for. It goes to the NIC whose address has `gw` in its network. */
export interface PodRoute {
  /** Host bits are zero. Unlike in a pool, it may be the default route. */
  readonly dst: Cidr;
  readonly gw: Address;
}

export type PodRoutesReading =
  | { readonly outcome: 'routes'; readonly routes: readonly PodRoute[] }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** Reads the annotation; no routes when it is absent. One wrong route refuses all, because a pod with half its routes misleads. */
export function readPodRoutes(annotations: Labels): PodRoutesReading {
  const text = annotations[routesAnnotation];
  if (text === undefined) return { outcome: 'routes', routes: [] };
  const json = parseJson(text);
  if (json.outcome === 'invalid') return refused(text, `it ${json.problem}`);
  if (!Array.isArray(json.value)) return refused(text, 'it is not a list');
  const routes: PodRoute[] = [];
  for (const [index, item] of json.value.entries()) {
    const route = readRoute(item, `item ${index}`);
    if (typeof route === 'string') return refused(text, route);
    routes.push(route);
  }
  return { outcome: 'routes', routes };
}

/**
 * What is to be said about the pod's routes after this NIC got its addresses, in sentences; nothing when each of them is used.
 * A route that leads elsewhere is no failure: the NIC that it is for may come later, or belong to another plugin.
 */
export function routeWarnings(
  routes: readonly PodRoute[],
  ifName: string,
  addresses: readonly Pick<ClaimedAddress, 'address' | 'routes'>[],
): readonly string[] {
  const networks = addresses.flatMap(({ address }) => parseCidr(address) ?? []);
  const used = addresses.flatMap((address) => address.routes);
  return routes.flatMap((route) => {
    const [dst, gw] = [formatCidr(route.dst), formatAddress(route.gw)];
    if (!networks.some((network) => cidrContains(network, route.gw))) {
      return `route ${dst} via ${gw} is left to another NIC: no address of ${ifName} has ${gw} in its network`;
    }
    const other = used.find((known) => known.dst === dst && known.gw !== gw);
    return other ? `route ${dst} via ${gw} is not used: an earlier item leads there via ${other.gw}` : [];
  });
}

/** The problem when it is none. */
function readRoute(item: unknown, what: string): PodRoute | string {
  const fields = fieldsOf(item, ['dst', 'gw']);
  if (fields === undefined) return `${what} is not an object`;
  const dst = typeof fields.dst === 'string' ? parseCidr(fields.dst) : undefined;
  const gw = typeof fields.gw === 'string' ? parseAddress(fields.gw) : undefined;
  if (dst === undefined) return `"dst" of ${what} is not a CIDR`;
  if (gw === undefined) return `"gw" of ${what} is not an address`;
  if (dst.address.family !== gw.family) return `"dst" and "gw" of ${what} are of two families`;
  return { dst: networkOf(dst), gw };
}

const refused = (text: string, problem: string): PodRoutesReading => ({
  outcome: 'refused',
  failure: invalidAnnotation({
    annotation: routesAnnotation,
    text,
    problem,
    example: '[{"dst": "10.64.0.0/10", "gw": "10.70.8.9"}]',
  }),
});
