import { loanOf } from '../loan-mark.ts';
import { isMarked, markOf, type OwnershipMark, routeProtocol } from '../ownership-mark.ts';
import type { CoordinationOperation } from './coordination-operation.ts';
import { addressesOf, hostPrefix, withoutLength } from './coordination-site.ts';
import type { ObservedCoordination } from './observed-coordination.ts';
import { vethInPod } from './pod-layout.ts';

export interface Untying extends OwnershipMark {
  /** No other interface of the sandbox is tied: what they share goes, too. */
  readonly isLast: boolean;
}

/**
 * Plans how an interface is untied of which no record is left: by marks. Takes what only we make and only for this interface; a
 * default route that was moved has its plugin's mark and stays where it is, and what has no mark (MAC, sysctls) stays as it is.
 */
export function planUntying(
  observed: ObservedCoordination,
  { containerID, ifName, isLast }: Untying,
): readonly CoordinationOperation[] {
  const { pod, node } = observed;
  const nic = pod.links.find((link) => link.ifName === ifName);
  const addresses = new Set(nic === undefined ? [] : addressesOf(observed, nic).map(withoutLength));
  const hosts = new Set([...addresses].map(hostPrefix));
  const rules = pod.rules.filter(isOurs).filter(({ from = '' }) => isLast || hosts.has(from));
  const tables = new Set(rules.map(({ table }) => table));
  const attached = new Set(
    pod.links
      .filter(({ alias }) => markOf(alias) !== undefined || loanOf(alias) !== undefined)
      .map((link) => link.ifName),
  );
  attached.delete(vethInPod); // every other interface that we made or lent has its routes for as long as it is there
  const routes = pod.routes
    .filter(isOurs)
    .filter((route) => !attached.has(route.ifName) && (isLast || tables.has(route.table)));
  const pair = pod.links.find((link) => isMarked(link, { containerID, ifName: vethInPod }));
  return [
    ...node.podRoutes
      .filter(isOurs)
      .filter(({ dst }) => hosts.has(dst))
      .map((route) => ({ op: 'delete-route', at: 'node', route }) as const),
    ...node.neighbours
      .filter(isOurs)
      .filter(({ address }) => addresses.has(address))
      .map((entry) => ({ op: 'delete-neighbour', at: 'node', ...entry }) as const),
    ...rules.map((rule) => ({ op: 'delete-rule', rule }) as const),
    ...routes.map((route) => ({ op: 'delete-route', at: 'pod', route }) as const),
    ...(isLast && pod.hasReplyMarks ? [{ op: 'delete-reply-marks' } as const] : []),
    ...(isLast && pair !== undefined ? [{ op: 'delete-veth', ifName: pair.ifName } as const] : []),
  ];
}

const isOurs = ({ protocol }: { readonly protocol: number }): boolean => protocol === routeProtocol;
