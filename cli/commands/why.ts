import type { ClusterSettings } from '../../contracts/cluster-settings.ts';
import type { NetworkConf } from '../../contracts/pod-network.ts';
import { nicIdentities } from '../../ipam/nic-identities.ts';
import { findPodNetwork } from '../../ipam/pod-networks.ts';
import { readPoolCatalogue } from '../../ipam/pool-catalogue.ts';
import type { PoolRequest } from '../../ipam/pool-request.ts';
import { explainSelection } from '../../ipam/select-pools.ts';
import { identityText } from '../../ipam/sticky-identity.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { PodView } from '../../kube/pod-view.ts';
import { openCluster } from '../cluster.ts';
import { keptClaims } from '../kept-claims.ts';
import { readNetworkDefinition } from '../network-definition.ts';
import { checkInterface, checkObjectName, parsePodName } from '../pod-name.ts';
import { findPod, type PodStanding, readDefinition, readSettings, readStanding, warningsOf } from '../pod-standing.ts';
import { poolRows } from '../pool-table.ts';
import { readPoolView } from '../pool-view.ts';
import { renderWhy, type WhyPage, whyPage } from '../why-page.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface WhyOptions {
  readonly kubeconfig?: string;
  readonly nic: string;
  /** Absent: the pod's own. */
  readonly node?: string;
  /** "namespace/name" of the definition; absent: as the pod's annotations, or the cluster's default, say. */
  readonly network?: string;
  readonly output: OutputFormat;
}

/** `orb why NAMESPACE/POD`: which pools an ADD of it would have now, and why. Allocates nothing. */
export async function why(text: string, options: WhyOptions, terminal: Terminal): Promise<void> {
  const pod = parsePodName(text);
  const ifName = checkInterface(options.nic);
  if (options.node !== undefined) checkObjectName('node', options.node);
  const settings = readSettings(options.network);
  const cluster = await openCluster(options.kubeconfig);
  try {
    const view = await readPoolView(cluster);
    const page = await cluster.asking('pods', async (api) => {
      const found = await findPod(api, pod);
      const surroundings = await readSurroundings(api, found, { ...options, ifName, settings });
      return gather(found, ifName, view, surroundings);
    });
    terminal.print(options.output === 'json' ? toJSON(page) : renderWhy(page, terminal.paint, terminal.columns));
  } finally {
    await cluster.close();
  }
}

interface Around {
  readonly request: Omit<PoolRequest, 'ifName'> & Pick<PodStanding, 'cluster'>;
  readonly application: WhyPage['application'];
  readonly network?: string;
  readonly warnings: readonly string[];
}

async function readSurroundings(
  api: ApiClient,
  pod: PodView,
  options: Pick<WhyOptions, 'node'> & { readonly ifName: string; readonly settings: ClusterSettings },
): Promise<Around> {
  const { settings, ifName } = options;
  const [standing, network] = await Promise.all([
    readStanding(api, pod, options.node ?? pod.node, settings),
    readNetwork(api, pod, ifName, settings),
  ]);
  return {
    request: { ...standing, network: network.conf },
    application: standing.pod.controller,
    ...(network.name === undefined ? {} : { network: network.name }),
    warnings: [...network.warnings, ...warningsOf(pod, standing.node.name)],
  };
}

interface FoundNetwork {
  readonly name?: string;
  readonly conf: Pick<NetworkConf, 'defaultIPv4Pools' | 'defaultIPv6Pools' | 'cleanGateway' | 'matchMasterSubnet'>;
  readonly warnings: readonly string[];
}

const nothingAsked = { defaultIPv4Pools: [], defaultIPv6Pools: [], cleanGateway: false };

/** What the definition of the NIC's network says; without one, that it names no pool, and a warning. */
async function readNetwork(
  api: ApiClient,
  pod: PodView,
  ifName: string,
  settings: ClusterSettings,
): Promise<FoundNetwork> {
  const finding = findPodNetwork(pod, settings, ifName);
  if (finding.outcome === 'refused') return { conf: nothingAsked, warnings: [finding.failure.message] };
  const { namespace, name } = finding.network;
  if (namespace === undefined || name === undefined) {
    const unknown = `Nobody names the network of ${ifName}, so what its configuration on the node says is left out. Name it: --network NAMESPACE/NAME, or MULTUS_CLUSTER_NETWORK`;
    return { conf: nothingAsked, warnings: [unknown] };
  }
  const full = `${namespace}/${name}`;
  const config = await readDefinition(api, namespace, name);
  if (config === undefined) {
    return { name: full, conf: nothingAsked, warnings: [`There is no NetworkAttachmentDefinition ${full}`] };
  }
  const reading = readNetworkDefinition(config, name);
  return reading.outcome === 'network'
    ? { name: full, conf: reading.network, warnings: [] }
    : { name: full, conf: nothingAsked, warnings: [`NetworkAttachmentDefinition ${full}: ${reading.problem}`] };
}

function gather(
  pod: PodView,
  ifName: string,
  view: Awaited<ReturnType<typeof readPoolView>>,
  { request, application, network, warnings }: Around,
): WhyPage {
  const { namespace, name } = pod;
  const identities = nicIdentities(pod, ifName, request.cluster);
  const trace = explainSelection({ ...request, ifName }, readPoolCatalogue(view.pools, view.reservations));
  return whyPage({
    namespace,
    pod: name,
    interface: ifName,
    node: request.node.name,
    ...(network === undefined ? {} : { network }),
    application,
    claims: keptClaims(view.claims, { podUID: pod.uid, ifName, identities }).map(({ claim: { spec }, identity }) => ({
      address: spec.address,
      pool: spec.pool,
      phase: spec.phase,
      ...(identity === undefined ? {} : { keptFor: identityText(identity) }),
    })),
    warnings,
    trace,
    free: new Map(poolRows(view).flatMap((row) => (row.free === undefined ? [] : [[row.name, row.free] as const]))),
  });
}
