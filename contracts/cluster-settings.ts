import { defaultProbeTiming, mostProbePauseMs, mostProbeTries, type ProbeSettings } from './probing.ts';

/**
 * Switches of the whole cluster: every node worker and every control worker is told the same. Names and defaults are those of
 * Spiderpool's ConfigMap and chart (spec/ipam.md §0.2).
 */
export interface ClusterSettings {
  /** Families in use, IPv4 first; at least one. */
  readonly families: readonly (4 | 6)[];
  /** NetworkAttachmentDefinition of a pod's first interface, "namespace/name", unless the pod names another. */
  readonly defaultNetwork?: string;
  /** Our own: where a `multusName` without namespace is looked for. */
  readonly namespace: string;
  /** A StatefulSet's pod keeps its addresses when it is made anew. */
  readonly stickyStatefulSets: boolean;
  /** A KubeVirt machine keeps its addresses over restart and migration. */
  readonly stickyVirtualMachines: boolean;
  /** SpiderSubnets are in use; off: their annotations are ignored. */
  readonly subnets: boolean;
  /** Applications get pools of their own; on only where `subnets` are. */
  readonly automaticPools: boolean;
  /** Addresses that an automatic pool has over its replicas where its application does not say how many. */
  readonly automaticPoolSurplus: number;
  /** A pool or subnet with addresses in use cannot be deleted; off: it stays until they are back. */
  readonly refusesDeletionInUse: boolean;
  /** What is asked of the network before an address is configured, unless a network configuration says otherwise. */
  readonly probes: ProbeSettings;
  /** For so long nobody gets an address for which something else answered. */
  readonly conflictSeconds: number;
}

/** One reading for both workers, so that they never disagree. What is wrong is added to `problems`: key, value found, values allowed. */
export function readClusterSettings(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): ClusterSettings {
  const isOn = (key: string, fallback: boolean): boolean => {
    const text = environment[key] || String(fallback);
    if (text !== 'true' && text !== 'false') problems.push(`${key} is "${text}", allowed: true, false`);
    return text === 'true';
  };
  const families = ([4, 6] as const).filter((family) => isOn(`ORBWEAVER_ENABLE_IPV${family}`, true));
  if (families.length === 0)
    problems.push('ORBWEAVER_ENABLE_IPV4 and ORBWEAVER_ENABLE_IPV6 are off, allowed: one or both');
  const namespace = environment['ORBWEAVER_NAMESPACE'] || 'orbweaver-system';
  if (!namePattern.test(namespace)) {
    problems.push(`ORBWEAVER_NAMESPACE is "${namespace}", allowed: the name of a namespace`);
  }
  const defaultNetwork = environment['MULTUS_CLUSTER_NETWORK'] || undefined;
  if (defaultNetwork !== undefined && !networkPattern.test(defaultNetwork)) {
    problems.push(`MULTUS_CLUSTER_NETWORK is "${defaultNetwork}", allowed: namespace/name`);
  }
  const surplus = environment['ORBWEAVER_AUTO_POOL_DEFAULT_SURPLUS'] || '1';
  if (!/^\d{1,6}$/.test(surplus)) {
    problems.push(`ORBWEAVER_AUTO_POOL_DEFAULT_SURPLUS is "${surplus}", allowed: 0 to 999999`);
  }
  const wholeNumber = (key: string, fallback: number, least: number, most: number): number => {
    const text = environment[key] || String(fallback);
    const isAllowed = /^\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most;
    if (!isAllowed) problems.push(`${key} is "${text}", allowed: ${least} to ${most}`);
    return Number(text);
  };
  const timing = {
    tries: wholeNumber('ORBWEAVER_PROBE_TRIES', defaultProbeTiming.tries, 1, mostProbeTries),
    intervalMs: wholeNumber('ORBWEAVER_PROBE_INTERVAL_MS', defaultProbeTiming.intervalMs, 1, mostProbePauseMs),
    waitMs: wholeNumber('ORBWEAVER_PROBE_TIMEOUT_MS', defaultProbeTiming.waitMs, 1, mostProbePauseMs),
  };
  const subnets = isOn('ORBWEAVER_ENABLE_SPIDER_SUBNET', true);
  const autoPools = isOn('ORBWEAVER_ENABLE_AUTO_POOL', true);
  return {
    families,
    ...(defaultNetwork === undefined ? {} : { defaultNetwork }),
    namespace,
    stickyStatefulSets: isOn('ORBWEAVER_ENABLE_STATEFULSET', true),
    stickyVirtualMachines: isOn('ORBWEAVER_ENABLE_KUBEVIRT_STATIC_IP', true),
    subnets,
    automaticPools: subnets && autoPools,
    automaticPoolSurplus: Number(surplus),
    refusesDeletionInUse: isOn('ORBWEAVER_ENABLE_DELETE_VALIDATION', false),
    probes: {
      conflicts: isOn('ORBWEAVER_ENABLE_IP_CONFLICT_DETECTION', false),
      gateways: isOn('ORBWEAVER_ENABLE_GATEWAY_DETECTION', false),
      timing,
    },
    conflictSeconds: wholeNumber('ORBWEAVER_CONFLICT_SECONDS', 600, 1, 86_400),
  };
}

const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const networkPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/;
