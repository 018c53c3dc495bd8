/** A setting of the node as sysctl(8) names it. */
export interface NodeSysctl {
  readonly key: string;
  readonly value: string;
  /** A larger number is as good: somebody needed it. */
  readonly isLeast?: boolean;
}

/** What a node needs to pass on its pods' traffic, and to remember their neighbours (spec/connectivity.md §1.11). */
export const nodeSysctls: readonly NodeSysctl[] = [
  { key: 'net.ipv4.neigh.default.gc_thresh3', value: '28160', isLeast: true },
  { key: 'net.ipv6.neigh.default.gc_thresh3', value: '28160', isLeast: true },
  { key: 'net.ipv4.conf.all.arp_notify', value: '1' },
  { key: 'net.ipv4.conf.all.forwarding', value: '1' },
  { key: 'net.ipv6.conf.all.forwarding', value: '1' },
  // The pod's answer may come in by another link than the one that leads to the pod.
  { key: 'net.ipv4.conf.all.rp_filter', value: '0' },
];

/** Those that are not as they should be. A setting that the kernel has not is not missed. */
export const sysctlsToSet = (
  wanted: readonly NodeSysctl[],
  found: Readonly<Record<string, string>>,
): readonly NodeSysctl[] =>
  wanted.filter(({ key, value, isLeast = false }) => {
    const now = found[key];
    return now !== undefined && now !== value && !(isLeast && Number(now) >= Number(value));
  });
