import type { SpiderCoordinatorSpec, SpiderCoordinatorStatus } from '../../contracts/crds/spidercoordinator.ts';
import { type CidrList, cidrList, unknown } from './cidr-list.ts';
import { clusterCidrs } from './cluster-cidrs.ts';
import type { CalicoPool, NetworkSources } from './network-sources.ts';

/** What of a SpiderCoordinator decides about the lists. */
export type CidrWish = Pick<SpiderCoordinatorSpec, 'podCIDRType' | 'overlayPodCIDR' | 'serviceCIDR'>;

/**
 * The status of a SpiderCoordinator: the CIDRs of the cluster's own pods and of Services, each by itself, so that one that is not
 * known takes nothing from the other. A list in the spec is not looked for anywhere else.
 */
export function discoverCidrs(wish: CidrWish, sources: NetworkSources): SpiderCoordinatorStatus {
  const pods = given('overlayPodCIDR', wish) ?? podCidrs(wish.podCIDRType, sources);
  const services = given('serviceCIDR', wish) ?? serviceCidrs(sources);
  const reasons = [
    ...(pods.outcome === 'unknown' ? [reason('pods', 'overlayPodCIDR', pods.why)] : []),
    ...(services.outcome === 'unknown' ? [reason('Services', 'serviceCIDR', services.why)] : []),
  ];
  return {
    phase: reasons.length === 0 ? 'Synced' : 'NotReady',
    ...(reasons.length > 0 && { reason: reasons.join('. ') }),
    ...(pods.outcome === 'known' && { overlayPodCIDR: pods.cidrs, podCIDRSource: pods.source }),
    ...(services.outcome === 'known' && { serviceCIDR: services.cidrs, serviceCIDRSource: services.source }),
  };
}

const reason = (whose: string, field: string, why: string): string =>
  `CIDRs of ${whose} are not known: ${why}. Write them into spec.${field}, or an empty list where there are none`;

function given(field: 'overlayPodCIDR' | 'serviceCIDR', wish: CidrWish): CidrList | undefined {
  const list = wish[field];
  return list && cidrList(`spec.${field}`, list);
}

/** Cluster-wide objects first: they are what the API server itself goes by, and more can be added while it runs. */
function serviceCidrs(sources: NetworkSources): CidrList {
  const { serviceCIDRs } = sources;
  const ranges = serviceCIDRs.outcome === 'read' ? serviceCIDRs.content : [];
  // One that is being deleted counts: Services have its addresses until it is gone.
  if (ranges.length > 0)
    return cidrList(
      'ServiceCIDR objects',
      byAge(ranges).flatMap(({ spec }) => spec?.cidrs ?? []),
    );
  const ofCluster = clusterCidrs('services', sources);
  if (ofCluster.outcome === 'known' || serviceCIDRs.outcome !== 'unreadable') return ofCluster;
  return unknown(`ServiceCIDR objects cannot be read (${serviceCIDRs.why}), ${ofCluster.why}`);
}

function podCidrs(type: CidrWish['podCIDRType'], sources: NetworkSources): CidrList {
  switch (type) {
    case 'cluster':
      return clusterCidrs('pods', sources);
    case 'calico':
      return calicoCidrs(sources);
    case 'cilium':
      return ciliumCidrs(sources);
    case 'none':
      return { outcome: 'known', cidrs: [], source: 'spec.podCIDRType none' };
    case 'auto':
      return cidrsOfDetected(sources);
    case undefined:
      return unknown('spec.podCIDRType is missing');
  }
}

/**
 * Which network gives pods their first interface, told by what it keeps in the cluster (decision 025). Cilium goes first, as its
 * file does in the CNI directory; its ConfigMap goes with it, while Calico's pools stay where Calico once was.
 */
function cidrsOfDetected(sources: NetworkSources): CidrList {
  const { ciliumConfig, calicoPools, flannel } = sources;
  if (ciliumConfig.outcome === 'unreadable') return untold('Cilium', ciliumConfig.why);
  if (ciliumConfig.outcome === 'read' && !isChained(ciliumConfig.content)) return ciliumCidrs(sources);
  if (calicoPools.outcome === 'unreadable') return untold('Calico', calicoPools.why);
  if (calicoPools.outcome === 'read' && calicoPools.content.some(givesPods)) return calicoCidrs(sources);
  if (flannel.outcome === 'unreadable') return untold('Flannel', flannel.why);
  if (flannel.outcome === 'read') return clusterCidrs('pods', sources);
  return { outcome: 'known', cidrs: [], source: 'neither Cilium, Calico nor Flannel was found' };
}

const untold = (network: string, why: string): CidrList =>
  unknown(`it cannot be told whether ${network} is there (${why})`);

/** In chaining mode another plugin gives the addresses. */
const isChained = ({ 'cni-chaining-mode': mode = '' }: Readonly<Record<string, string>>): boolean =>
  mode !== '' && mode !== 'none';

function calicoCidrs({ calicoPools }: NetworkSources): CidrList {
  if (calicoPools.outcome === 'unreadable') return unknown(`IPPools of Calico cannot be read (${calicoPools.why})`);
  if (calicoPools.outcome === 'absent') return unknown('there is no IPPool of Calico (crd.projectcalico.org/v1)');
  const cidrs = byAge(calicoPools.content.filter(givesPods)).map(({ spec }) => spec?.cidr ?? '');
  return nonEmpty(cidrList('IPPools of Calico', cidrs), 'no IPPool of Calico gives addresses to pods');
}

const givesPods = ({ metadata, spec }: CalicoPool): boolean =>
  metadata.deletionTimestamp === undefined &&
  spec?.disabled !== true &&
  (spec?.allowedUses ?? ['Workload']).includes('Workload');

function ciliumCidrs(sources: NetworkSources): CidrList {
  const { ciliumConfig, ciliumPools } = sources;
  if (ciliumConfig.outcome === 'unreadable') {
    return unknown(`the ConfigMap of Cilium cannot be read (${ciliumConfig.why})`);
  }
  if (ciliumConfig.outcome === 'absent') return unknown('there is no ConfigMap of Cilium');
  const { content: config } = ciliumConfig;
  const mode = config['ipam'] ?? '';
  switch (mode) {
    case 'cluster-pool':
    case 'cluster-pool-v2beta':
      return nonEmpty(
        cidrList('the ConfigMap of Cilium', [
          config['cluster-pool-ipv4-cidr'] ?? '',
          config['cluster-pool-ipv6-cidr'] ?? '',
        ]),
        'the ConfigMap of Cilium has neither cluster-pool-ipv4-cidr nor cluster-pool-ipv6-cidr',
      );
    case 'multi-pool':
      return ciliumPoolCidrs(ciliumPools);
    case 'kubernetes':
      return clusterCidrs('pods', sources);
    default:
      return unknown(`the cluster does not say what Cilium gives with ipam "${mode}"`);
  }
}

function ciliumPoolCidrs(pools: NetworkSources['ciliumPools']): CidrList {
  if (pools.outcome === 'unreadable') return unknown(`CiliumPodIPPools cannot be read (${pools.why})`);
  const cidrs = byAge(pools.outcome === 'read' ? pools.content : []).flatMap(({ spec }) => [
    ...(spec?.ipv4?.cidrs ?? []),
    ...(spec?.ipv6?.cidrs ?? []),
  ]);
  return nonEmpty(cidrList('CiliumPodIPPools', cidrs), 'there is no CiliumPodIPPool (cilium.io) with a CIDR');
}

const nonEmpty = (list: CidrList, why: string): CidrList =>
  list.outcome === 'known' && list.cidrs.length === 0 ? unknown(why) : list;

/** Oldest first, so that a list changes at its end. */
const byAge = <One extends { readonly metadata: { readonly name: string; readonly creationTimestamp?: string } }>(
  objects: readonly One[],
): readonly One[] => {
  const key = ({ metadata }: One) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  return objects.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
};
