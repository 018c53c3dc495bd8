import type { Failure } from '../contracts/failures.ts';
import { type Family, familyName } from './address.ts';
import { labelText } from './auto-pools/pool-identity.ts';
import { applicationKey } from './automatic-pool.ts';
import { findPodNetwork } from './pod-networks.ts';
import {
  ippoolAnnotation,
  ippoolsAnnotation,
  type NamedPools,
  type NicPools,
  namesAny,
  namesProblem,
  namespacePoolAnnotations,
  readIppoolAnnotation,
  readIppoolsAnnotation,
  readNamespacePools,
  refused,
} from './pool-annotation.ts';
import type { PoolCatalogue } from './pool-catalogue.ts';
import type { Application, PoolRequest } from './pool-request.ts';
import { shownValue } from './shown-value.ts';
import {
  type NicSubnets,
  readSubnetWish,
  subnetAnnotation,
  subnetRefusal,
  subnetsAnnotation,
} from './subnet-annotation.ts';

/** One place where pools can be named. The first level that names any decides both families (spec/ipam.md §2.4, §4.1). */
export interface PoolLevel {
  /** As a message names it: "Cannot choose an IPv4 pool from <source>". */
  readonly source: string;
  readonly read: (request: PoolRequest, catalogue: PoolCatalogue) => LevelReading;
}

export type LevelReading =
  | {
      readonly outcome: 'pools';
      /** Families that are asked for; one that is enabled is never dropped. */
      readonly families: readonly Family[];
      /** As they are written: names and wildcards. */
      readonly pools: NamedPools;
      /** Replaces that of the network configuration. */
      readonly cleanGateway?: boolean;
      readonly warnings?: readonly string[];
    }
  | {
      readonly outcome: 'absent';
      /** Why it does not count although something is written there. */
      readonly because?: string;
    }
  | { readonly outcome: 'refused'; readonly failure: Failure }
  /** The pool is made for the application and not there yet. */
  | { readonly outcome: 'awaited'; readonly failure: Failure };

/** Both subnet annotations are one wish: `subnet` has no effect next to `subnets`. */
const subnetLevel = (annotation: string): PoolLevel => ({
  source: `pod annotation ${annotation}`,
  read(request, catalogue) {
    const { pod, cluster, ifName } = request;
    if (pod.annotations[annotation] === undefined) return { outcome: 'absent' };
    if (!cluster.subnets) return { outcome: 'absent', because: 'SpiderSubnets are switched off in this cluster' };
    if (!cluster.automaticPools) return { outcome: 'refused', failure: automaticPoolsOff(annotation) };
    const reading = readSubnetWish(pod.annotations);
    if (reading.outcome !== 'wish') return reading;
    const { nics, warnings } = reading.wish;
    const nic = nics.find((nic) => nic.ifName === ifName);
    if (nic === undefined) {
      const several = annotation === subnetAnnotation ? `: ${subnetsAnnotation} is for several NICs` : '';
      return subnetRefusal(annotation, pod.annotations, `it names no subnet for NIC ${ifName}${several}`);
    }
    if (pod.controller === undefined || pod.controller.kind === 'Pod') {
      return { outcome: 'refused', failure: noApplication(annotation, request) };
    }
    const reached = automaticPoolsOf(pod.controller, nic, cluster.families, catalogue);
    return reached.outcome === 'pools' ? { ...reached, warnings } : reached;
  },
});

function automaticPoolsOf(
  application: Application,
  { ifName, subnets }: NicSubnets,
  enabled: readonly Family[],
  { automatic }: PoolCatalogue,
): LevelReading {
  const made = automatic.get(applicationKey(application)) ?? [];
  const families = ([4, 6] as const).filter((family) => subnets[family] !== undefined);
  const pools: Record<Family, readonly string[]> = { 4: [], 6: [] };
  for (const family of families.filter((family) => enabled.includes(family))) {
    const subnet = subnets[family] ?? '';
    const ofNic = made.filter(
      (pool) =>
        pool.family === family && pool.automatic?.ifName === ifName && pool.automatic.subnet === labelText(subnet),
    );
    // One of an earlier application of that name is about to go, or to be taken over.
    pools[family] = ofNic.filter((pool) => pool.automatic?.applicationUID === application.uid).map(({ name }) => name);
    if (pools[family].length === 0) {
      const { kind, namespace, name } = application;
      const whose = `the automatic ${familyName(family)} pool of ${kind} ${namespace}/${name} for NIC ${ifName} from SpiderSubnet "${shownValue(subnet)}"`;
      return { outcome: 'awaited', failure: poolAwaited(whose, subnet, ofNic[0]?.name) };
    }
  }
  return { outcome: 'pools', families, pools };
}

const ippools: PoolLevel = {
  source: `pod annotation ${ippoolsAnnotation}`,
  read(request) {
    const text = request.pod.annotations[ippoolsAnnotation];
    if (text === undefined) return { outcome: 'absent' };
    const reading = readIppoolsAnnotation(text);
    if (reading.outcome === 'refused') return reading;
    const nic = itemOfNic(reading.nics, text, request);
    return 'outcome' in nic ? nic : { ...named(nic.pools), cleanGateway: nic.cleanGateway };
  },
};

/** By name; where the items have none, by the NIC's place among the pod's networks, whichever of them is attached first. */
function itemOfNic(nics: readonly NicPools[], text: string, request: PoolRequest): NicPools | LevelReading {
  const { pod, cluster, ifName } = request;
  if (nics.some((nic) => nic.ifName !== undefined)) {
    const nic = nics.find((nic) => nic.ifName === ifName);
    return nic ?? refused(ippoolsAnnotation, text, `it has no item for NIC ${ifName}`);
  }
  const finding = findPodNetwork(pod, cluster, ifName);
  if (finding.outcome === 'refused') return finding;
  const { index } = finding.network;
  return nics[index] ?? refused(ippoolsAnnotation, text, `it has no item ${index}, which NIC ${ifName} needs`);
}

const ippool: PoolLevel = {
  source: `pod annotation ${ippoolAnnotation}`,
  read({ pod }) {
    const text = pod.annotations[ippoolAnnotation];
    if (text === undefined) return { outcome: 'absent' };
    const reading = readIppoolAnnotation(text);
    return reading.outcome === 'pools' ? named(reading.pools) : reading;
  },
};

const namespaceAnnotations: PoolLevel = {
  source: `namespace annotations ${namespacePoolAnnotations[4]} and ${namespacePoolAnnotations[6]}`,
  read({ namespace }) {
    const reading = readNamespacePools(namespace.name, namespace.annotations);
    return reading.outcome === 'pools' ? named(reading.pools) : reading;
  },
};

const networkConfiguration: PoolLevel = {
  source: 'default_ipv4_ippool and default_ipv6_ippool of the network configuration',
  read({ network }) {
    const pools = { 4: network.defaultIPv4Pools, 6: network.defaultIPv6Pools };
    for (const family of [4, 6] as const) {
      const problem = namesProblem(pools[family]);
      if (problem !== undefined) return { outcome: 'refused', failure: invalidConfiguration(family, problem) };
    }
    return named(pools);
  },
};

const clusterDefault: PoolLevel = {
  source: 'the pools with spec.default: true',
  // A pool without a readable subnet asks for no family, or it would fail every pod of a cluster that has one family.
  read: (_request, { defaults }) => named(defaults),
};

const named = (pools: NamedPools): Extract<LevelReading, { outcome: 'pools' | 'absent' }> =>
  namesAny(pools)
    ? { outcome: 'pools', families: ([4, 6] as const).filter((family) => pools[family].length > 0), pools }
    : { outcome: 'absent' };

/** Highest precedence first. */
export const poolLevels: readonly PoolLevel[] = [
  subnetLevel(subnetsAnnotation),
  subnetLevel(subnetAnnotation),
  ippools,
  ippool,
  namespaceAnnotations,
  networkConfiguration,
  clusterDefault,
];

const automaticPoolsOff = (annotation: string): Failure => ({
  type: 'NoPool',
  message: `Cannot choose a pool from pod annotation ${annotation}: the Auto-Pool feature is disabled in this cluster`,
  remedy: 'Switch it on with ORBWEAVER_ENABLE_AUTO_POOL, or name pools with ipam.spidernet.io/ippool instead',
});

const noApplication = (annotation: string, { pod }: PoolRequest): Failure => ({
  type: 'NoPool',
  message: `Cannot choose a pool from pod annotation ${annotation}: automatic pools are made for applications, and pod ${pod.namespace}/${pod.name} has no controller`,
  remedy: `Put the annotation on the pod template of a Deployment or another controller, or name pools with ${ippoolAnnotation}`,
});

const poolAwaited = (whose: string, subnet: string, predecessor: string | undefined): Failure => ({
  type: 'PoolAwaited',
  message: `Cannot choose a pool: ${whose} is not there yet${predecessor === undefined ? '' : `, pool "${predecessor}" is still that of an earlier application of the same name`}`,
  remedy: `See whether the SpiderSubnet is there and has free addresses: kubectl get spidersubnet ${shownValue(subnet)}. The runtime repeats the ADD`,
});

const invalidConfiguration = (family: Family, problem: string): Failure => ({
  type: 'InvalidConfig',
  message: `Key "default_ipv${family}_ippool" of the network configuration ${shownValue(problem)}`,
  remedy: `Allowed: a list of pool names, for example ["pool-a", "shared-*"]`,
});
