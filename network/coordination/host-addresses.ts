import type { ObservedLink } from '../observed-namespace.ts';
import { hostPrefix, withoutLength } from './coordination-site.ts';
import type { ObservedNode } from './observed-coordination.ts';

/** Links of container networks and of load balancers: their addresses are not the node's to its pods. */
const foreignNames =
  /^(docker|cbr|dummy|nodelocaldns|virbr|lxcbr|veth|cali|flannel|kube-ipvs|kube-bridge|cni|vx-submariner|cilium|lxc)/;

/**
 * The node's addresses as its pods see them, without prefix length: those of its own links, of `lo` and of `nodeIfName`, the link
 * that leads to the pod, for the kernel prefers the last two when it sends to the pod by a link (inet_select_addr, net/ipv4/devinet.c);
 * then what else it would have used toward the pod (spec/connectivity.md §1.5 step 8). The first of each family is the gateway
 * for what the pod hands to its node. A pod that is tied finds the same ones again.
 */
export function hostAddresses(node: ObservedNode, nodeIfName: string, podAddresses: readonly string[]): string[] {
  const rankOf = ({ ifName, isLoopback }: ObservedLink): number | undefined => {
    if (ifName === nodeIfName) return 2;
    if (isLoopback) return 1;
    return foreignNames.test(ifName) ? undefined : 0;
  };
  const ranks = new Map(node.links.map((link) => [link.ifIndex, rankOf(link)]));
  const own = [0, 1, 2].flatMap((rank) =>
    node.addresses
      .filter(
        ({ ifIndex, isLinkLocal, address }) => !isLinkLocal && !isForLoops(address) && ranks.get(ifIndex) === rank,
      )
      .map(({ address }) => withoutLength(address)),
  );
  const hosts = new Set(podAddresses.map((address) => hostPrefix(withoutLength(address))));
  // Then the way that the node would take is ours already, and says nothing of its own ones.
  const isTied = node.podRoutes.some(({ dst, ifName }) => ifName === nodeIfName && hosts.has(dst));
  return [...new Set([...own, ...(isTied ? [] : node.sourcesToPod)])];
}

const isForLoops = (address: string): boolean => /^(127\.|::1\/)/.test(address);
