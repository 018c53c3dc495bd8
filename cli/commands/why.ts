import type { PodIdentity } from '../../contracts/attachment.ts';
import { type ClusterSettings, readClusterSettings } from '../../contracts/cluster-settings.ts';
import type { NetworkConf } from '../../contracts/pod-network.ts';
import { findPodNetwork } from '../../ipam/pod-networks.ts';
import { readPoolCatalogue } from '../../ipam/pool-catalogue.ts';
import type { PoolRequest } from '../../ipam/pool-request.ts';
import { explainSelection } from '../../ipam/select-pools.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { PodReader } from '../../kube/pod-reader.ts';
import type { PodView } from '../../kube/pod-view.ts';
import { Surroundings } from '../../kube/surroundings.ts';
import { notFound, usageError } from '../cli-error.ts';
import { openCluster } from '../cluster.ts';
import { readNetworkDefinition } from '../network-definition.ts';
import { checkInterface, checkObjectName, type PodName, parsePodName } from '../pod-name.ts';
import { podRows } from '../pod-table.ts';
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

/** The workers' settings come from the same variables; whoever has others there sets them here, too. */
function readSettings(network: string | undefined): ClusterSettings {
  const problems: string[] = [];
  const named = network === undefined ? {} : { MULTUS_CLUSTER_NETWORK: network };
  const settings = readClusterSettings({ ...process.env, ...named }, problems);
  if (problems.length === 0) return settings;
  throw usageError(problems.join('; '), 'Set these variables as the workers have them, --network as namespace/name');
}

async function findPod(api: ApiClient, { namespace, name }: PodName): Promise<PodView> {
  const identity: PodIdentity = { namespace, name, uid: '' };
  const found = await new PodReader({ api, node: '', log: silent }).findLive(identity);
  if (found !== undefined) return found;
  throw notFound(`There is no pod ${namespace}/${name}`, `Pods: kubectl -n ${namespace} get pods`);
}

interface Around {
  readonly request: Omit<PoolRequest, 'ifName'>;
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
  const node = options.node ?? pod.node;
  const around = new Surroundings({ api, node });
  const { namespace, name, labels, annotations } = pod;
  const [marks, nodeLabels, application, network] = await Promise.all([
    around.namespace(namespace),
    node === '' ? {} : around.nodeLabels(),
    around.controllerOf(pod),
    readNetwork(api, pod, ifName, settings),
  ]);
  return {
    request: {
      pod: { namespace, name, labels, annotations, controller: application },
      namespace: { name: namespace, ...marks },
      node: { name: node, labels: nodeLabels },
      network: network.conf,
      cluster: settings,
      masterAddresses: { problem: "the PF's addresses are on the node, where orb cannot look" },
    },
    application,
    ...(network.name === undefined ? {} : { network: network.name }),
    warnings: [
      ...network.warnings,
      ...(node === ''
        ? ['The pod is on no node yet: pools of certain nodes are left out. Name a node to try: --node NAME']
        : []),
      ...(pod.isAlive
        ? []
        : ['The pod is finished or being deleted: an ADD of it would be refused before any pool is chosen']),
    ],
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

async function readDefinition(api: ApiClient, namespace: string, name: string): Promise<string | undefined> {
  const collection = `/apis/k8s.cni.cncf.io/v1/namespaces/${encodeURIComponent(namespace)}/network-attachment-definitions`;
  try {
    const path = `${collection}/${encodeURIComponent(name)}`;
    const { spec } = await api.request<{ readonly spec?: { readonly config?: string } }>({
      method: 'GET',
      path,
      timeoutMs: 3000,
    });
    return spec?.config ?? '';
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

function gather(
  pod: PodView,
  ifName: string,
  view: Awaited<ReturnType<typeof readPoolView>>,
  { request, application, network, warnings }: Around,
): WhyPage {
  const { namespace, name } = pod;
  const trace = explainSelection({ ...request, ifName }, readPoolCatalogue(view.pools, view.reservations));
  return whyPage({
    namespace,
    pod: name,
    interface: ifName,
    node: request.node.name,
    ...(network === undefined ? {} : { network }),
    application,
    claims: podRows(view.claims, { namespace, pod: name })
      .filter((row) => row.interface === ifName)
      .map(({ address, pool, phase }) => ({ address, pool, phase })),
    warnings,
    trace,
    free: new Map(poolRows(view).flatMap((row) => (row.free === undefined ? [] : [[row.name, row.free] as const]))),
  });
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
