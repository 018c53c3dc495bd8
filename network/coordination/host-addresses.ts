import type { ObservedLink } from '../observed-namespace.ts';
import type { ObservedNode } from './observed-coordination.ts';

/** Links of container networks and of load balancers: their addresses are not the node's to its pods. */
const foreignNames =
  /^(docker|cbr|dummy|nodelocaldns|virbr|lxcbr|veth|cali|flannel|kube-ipvs|kube-bridge|cni|vx-submariner|cilium|lxc)/;

/**
 * The node's addresses as its pods see them, without prefix length: those that it would use toward the pod first, then every
 * other one (spec/connectivity.md §1.5 step 8). The first of each family is the gateway for what the pod hands to its node.
 */
export function hostAddresses(node: ObservedNode): string[] {
  const foreign = new Set(node.links.filter(isForeign).map(({ ifIndex }) => ifIndex));
  const own = node.addresses
    .filter(({ ifIndex, isLinkLocal }) => !isLinkLocal && !foreign.has(ifIndex))
    .map(({ address }) => address.replace(/\/.*/, ''));
  return [...new Set([...node.sourcesToPod, ...own])];
}

const isForeign = ({ ifName, isLoopback }: ObservedLink): boolean => isLoopback || foreignNames.test(ifName);
