import type { PodIdentity } from '../contracts/attachment.ts';
import { type ClusterSettings, readClusterSettings } from '../contracts/cluster-settings.ts';
import type { Application, PoolRequest } from '../ipam/pool-request.ts';
import type { ApiClient } from '../kube/api-client.ts';
import { hasStatus } from '../kube/api-error.ts';
import { PodReader } from '../kube/pod-reader.ts';
import type { PodView } from '../kube/pod-view.ts';
import { Surroundings } from '../kube/surroundings.ts';
import { notFound, usageError } from './cli-error.ts';
import type { PodName } from './pod-name.ts';

/** The workers' settings come from the same variables; whoever has others there sets them here, too. */
export function readSettings(network: string | undefined): ClusterSettings {
  const problems: string[] = [];
  const named = network === undefined ? {} : { MULTUS_CLUSTER_NETWORK: network };
  const settings = readClusterSettings({ ...process.env, ...named }, problems);
  if (problems.length === 0) return settings;
  throw usageError(problems.join('; '), 'Set these variables as the workers have them, --network as namespace/name');
}

export async function findPod(api: ApiClient, { namespace, name }: PodName): Promise<PodView> {
  const identity: PodIdentity = { namespace, name, uid: '' };
  const found = await new PodReader({ api, node: '', log: silent }).findLive(identity);
  if (found !== undefined) return found;
  throw notFound(`There is no pod ${namespace}/${name}`, `Pods: kubectl -n ${namespace} get pods`);
}

/** What a pod's pools are chosen by, but for the interface and its network. */
export interface PodStanding extends Omit<PoolRequest, 'ifName' | 'network'> {
  readonly pod: PoolRequest['pod'] & { readonly controller: Application };
  readonly cluster: ClusterSettings;
}

export async function readStanding(
  api: ApiClient,
  pod: PodView,
  node: string,
  cluster: ClusterSettings,
): Promise<PodStanding> {
  const around = new Surroundings({ api, node });
  const { namespace, name, labels, annotations } = pod;
  const [marks, nodeLabels, controller] = await Promise.all([
    around.namespace(namespace),
    node === '' ? {} : around.nodeLabels(),
    around.controllerOf(pod),
  ]);
  return {
    pod: { namespace, name, labels, annotations, controller },
    namespace: { name: namespace, ...marks },
    node: { name: node, labels: nodeLabels },
    cluster,
    masterAddresses: { problem: "the PF's addresses are on the node, where orb plan looks" },
  };
}

/** Why an ADD of this pod may end otherwise than now foreseen. */
export const warningsOf = ({ isAlive }: PodView, node: string): readonly string[] => [
  ...(node === ''
    ? ['The pod is on no node yet: pools of certain nodes are left out. Name a node to try: --node NAME']
    : []),
  ...(isAlive ? [] : ['The pod is finished or being deleted: an ADD of it would be refused before any pool is chosen']),
];

/** `spec.config` of a NetworkAttachmentDefinition, empty when it has none; undefined when there is no such definition. */
export async function readDefinition(api: ApiClient, namespace: string, name: string): Promise<string | undefined> {
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

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
