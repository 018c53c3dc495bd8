import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import { type Failure, ProvisionError } from '../contracts/failures.ts';
import type { AddRequest, AddressWish, NetworkConf } from '../contracts/pod-network.ts';
import { formatAddress } from '../ipam/address.ts';
import { formatCidr, parseCidr } from '../ipam/cidr.ts';
import { nicIdentities } from '../ipam/nic-identities.ts';
import { defaultNetworkAnnotation, networksAnnotation, readPodNetworks } from '../ipam/pod-networks.ts';
import type { PoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { PoolRequest } from '../ipam/pool-request.ts';
import { needsController, type PoolSelection, selectPools } from '../ipam/select-pools.ts';
import { listSkipped } from '../ipam/skipped-pool.ts';
import { narrowTo, readWishes, type WantedCandidates } from '../ipam/wanted-address.ts';
import type { AttachmentRecords, Kernel, Log, NodeIdentity, Pod, PoolReader, Surroundings } from './node-ports.ts';
import type { Patience } from './patience.ts';
import { stepLog } from './step-log.ts';

export interface ChoosePorts {
  readonly records: Pick<AttachmentRecords, 'list'>;
  readonly pools: PoolReader;
  readonly surroundings: Surroundings;
  readonly kernel: Pick<Kernel, 'masterAddresses'>;
  readonly node: NodeIdentity;
  /** The same on every node. */
  readonly cluster: ClusterSettings;
  readonly log: Log;
}

export interface Choice {
  readonly families: readonly Candidates[];
  /** All of the cluster, as they were seen. */
  readonly pools: PoolCatalogue['pools'];
}

/** The pools of one family. */
export interface Candidates extends WantedCandidates {
  /** Why no new address of them may be claimed: only one that the pod has kept may be used. */
  readonly refusal?: Failure;
}

/**
 * Chooses the pools of one NIC as the cluster stands now, and narrows them to the exact addresses that are asked for. Waits
 * for an automatic pool that is being made, as long as the caller does. Throws the reason when there is none.
 */
export async function choosePools(
  ports: ChoosePorts,
  request: AddRequest,
  pod: Pod,
  patience: Patience,
): Promise<Choice> {
  const log = stepLog(ports.log, request);
  const shared = claimOfSeveralNics(pod, request.attachment.ifName, ports.cluster);
  if (shared !== undefined) throw new ProvisionError(shared);
  const { selection, catalogue } = await untilSelected(ports, request, pod, patience);
  const isSticky = nicIdentities(pod, request.attachment.ifName, ports.cluster).length > 0;
  if (selection.outcome === 'refused' && selection.named !== undefined && isSticky) {
    const named = selection.named.map((candidates) => ({ ...candidates, refusal: selection.failure }));
    return { families: await withoutRoutesOfOthers(ports, request, named), pools: catalogue.pools };
  }
  if (selection.outcome !== 'selected') throw new ProvisionError(selection.failure);
  const { source, warnings } = selection;
  for (const { skipped } of selection.families) {
    if (skipped.length > 0) log.warn({ skipped: listSkipped(skipped), source }, 'pools skipped');
  }
  for (const warning of warnings) log.warn({ warning, source }, 'part of what is asked for has no effect');

  const wishes = readWishes([...(request.wishes ?? []), ...(await wishesOfPod(ports, request, pod))]);
  if (wishes.outcome === 'refused') throw new ProvisionError(wishes.failure);
  const narrowing = narrowTo(wishes.wanted, selection.families, catalogue.reserved, source);
  if (narrowing.outcome === 'refused') throw new ProvisionError(narrowing.failure);
  return { families: await withoutRoutesOfOthers(ports, request, narrowing.families), pools: catalogue.pools };
}

interface Chosen {
  readonly selection: PoolSelection;
  readonly catalogue: PoolCatalogue;
}

async function untilSelected(ports: ChoosePorts, request: AddRequest, pod: Pod, patience: Patience): Promise<Chosen> {
  const choose = async (catalogue: PoolCatalogue): Promise<Chosen> => ({
    selection: selectPools(await poolRequestOf(ports, request, pod, catalogue), catalogue),
    catalogue,
  });
  let chosen = await choose(await ports.pools.recent());
  if (chosen.selection.outcome === 'awaited') {
    await patience.until(async () => {
      chosen = await choose(await ports.pools.recent('newer'));
      return chosen.selection.outcome === 'awaited' ? undefined : chosen;
    });
  }
  return chosen;
}

/** What selection looks at; what costs a read of its own only where something in this cluster asks for it. */
async function poolRequestOf(
  { surroundings, kernel, node, cluster }: ChoosePorts,
  request: AddRequest,
  pod: Pod,
  catalogue: PoolCatalogue,
): Promise<PoolRequest> {
  const { attachment, network } = request;
  const { namespace, name, labels, annotations } = pod;
  const [marks, nodeLabels, masterAddresses] = await Promise.all([
    surroundings.namespace(namespace),
    catalogue.asksForNodeLabels ? surroundings.nodeLabels() : undefined,
    network.matchMasterSubnet === true ? addressesOfMaster(kernel, network, placeOf(request)) : undefined,
  ]);
  const asked: PoolRequest = {
    pod: { namespace, name, labels, annotations },
    namespace: { name: namespace, ...marks },
    node: { name: node.name, ...(nodeLabels && { labels: nodeLabels }) },
    ifName: attachment.ifName,
    network,
    cluster,
    ...(masterAddresses && { masterAddresses }),
  };
  if (!needsController(asked, catalogue)) return asked;
  return { ...asked, pod: { ...asked.pod, controller: await surroundings.controllerOf(pod) } };
}

const placeOf = ({ attachment: { ifName }, netns, netnsCookie }: AddRequest) => ({ netns, netnsCookie, ifName });

/**
 * Addresses on the node of the PF behind the VF that the network's configuration names, else the one that is in the pod at `place`;
 * or why they are not known.
 */
export async function addressesOfMaster(
  kernel: ChoosePorts['kernel'],
  { madeBy = 'nobody', device }: Pick<NetworkConf, 'madeBy' | 'device'>,
  place: { readonly netns: string; readonly netnsCookie: string; readonly ifName: string } | undefined,
): Promise<NonNullable<PoolRequest['masterAddresses']>> {
  if (madeBy !== '"sriov"' && madeBy !== '"ib-sriov"') {
    return { problem: `match_master_subnet is for SR-IOV, and ${madeBy} makes this interface` };
  }
  const spec = device?.kind === 'sriov' ? { pciAddress: device.pciAddress } : place;
  if (spec === undefined) return { problem: 'the pod gets its VF when it is placed' };
  const found = await kernel.masterAddresses(spec);
  return found.outcome === 'found' ? found.addresses.flatMap((text) => parseCidr(text) ?? []) : { problem: found.why };
}

/** What the pod's annotations ask for this NIC. Multus passes it on only to networks that have the capability "ips". */
async function wishesOfPod(
  { surroundings, cluster }: ChoosePorts,
  { attachment }: AddRequest,
  { namespace, annotations }: Pod,
): Promise<readonly AddressWish[]> {
  const reading = readPodNetworks({ namespace, annotations }, cluster);
  if (reading.outcome === 'refused') return []; // Multus attaches none of them, and selection says so where it needs to know
  const nic = reading.networks.find(({ ifName }) => ifName === attachment.ifName);
  const { index, ips = [], ipamClaimReference: claim } = nic ?? {};
  const annotation = index === 0 ? defaultNetworkAnnotation : networksAnnotation;
  return [
    ...(ips.length > 0 ? [{ source: `ips of ${attachment.ifName} in pod annotation ${annotation}`, ips }] : []),
    ...(claim === undefined
      ? []
      : [{ source: `IPAMClaim "${claim}"`, ips: await surroundings.ipamClaimIPs(namespace, claim) }]),
  ];
}

/**
 * `InvalidAnnotation` for a NIC whose IPAMClaim another NIC of the pod names, too. Also when its pools may give no new address: it could
 * still get what is kept for the IPAMClaim.
 */
export function claimOfSeveralNics(
  pod: Pick<Pod, 'namespace' | 'annotations'>,
  ifName: string,
  cluster: ClusterSettings,
): Failure | undefined {
  const reading = readPodNetworks(pod, cluster);
  const networks = reading.outcome === 'networks' ? reading.networks : [];
  const nic = networks.find((network) => network.ifName === ifName);
  const claim = nic?.ipamClaimReference;
  const other = networks.find((network) => network !== nic && network.ipamClaimReference === claim);
  if (claim === undefined || other === undefined) return undefined;
  return {
    type: 'InvalidAnnotation',
    message: `Cannot give ${ifName} the addresses of IPAMClaim "${claim}": ${other.ifName} of the pod names it too, and its addresses are of one interface`,
    remedy: `Make an IPAMClaim for each interface, and name it in pod annotation ${networksAnnotation}`,
  };
}

/** A route of the pod goes to one NIC: the first that has its gateway in its network. The kernel takes no second one. */
async function withoutRoutesOfOthers<Some extends WantedCandidates>(
  { records }: ChoosePorts,
  { attachment }: AddRequest,
  families: readonly Some[],
): Promise<readonly Some[]> {
  if (!families.some(({ routes }) => (routes.podRoutes ?? []).length > 0)) return families;
  const others = (await records.list(attachment.containerID))
    .filter((record) => record.attachment.ifName !== attachment.ifName)
    .flatMap(({ addresses }) => addresses.flatMap(({ routes }) => routes));
  return families.map((candidates) => ({
    ...candidates,
    routes: {
      ...candidates.routes,
      podRoutes: (candidates.routes.podRoutes ?? []).filter(
        ({ dst, gw }) => !others.some((route) => route.dst === formatCidr(dst) && route.gw === formatAddress(gw)),
      ),
    },
  }));
}
