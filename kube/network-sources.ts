import { load } from 'js-yaml';
import type {
  CalicoPool,
  CiliumPool,
  KubeadmNetworking,
  NetworkSources,
  ServiceRange,
  Source,
} from '../network/cidr-discovery/network-sources.ts';
import { ApiError, hasStatus } from './api-error.ts';
import type { LeaderRequest } from './leader-writes.ts';

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>;
}

interface Pod {
  readonly spec: {
    readonly containers: readonly { readonly command?: readonly string[]; readonly args?: readonly string[] }[];
  };
}

/**
 * Reads every place that says which addresses pods and Services have. What is not there is absent, what we may not read is
 * unreadable; when the API server gives no answer, all of it throws: nothing is known anew then.
 *
 * @param ciliumConfigMap Namespace/name of Cilium's ConfigMap.
 */
export async function readNetworkSources(request: LeaderRequest, ciliumConfigMap: string): Promise<NetworkSources> {
  const [serviceCIDRs, kubeadm, calicoPools, ciliumConfig, ciliumPools, flannel] = await Promise.all([
    firstServed<ServiceRange>(
      ['v1', 'v1beta1', 'v1alpha1'].map((version) => `/apis/networking.k8s.io/${version}/servicecidrs`),
    ),
    configMap('kube-system/kubeadm-config').then(kubeadmNetworking),
    firstServed<CalicoPool>(['/apis/crd.projectcalico.org/v1/ippools']),
    configMap(ciliumConfigMap),
    firstServed<CiliumPool>(['v2', 'v2alpha1'].map((version) => `/apis/cilium.io/${version}/ciliumpodippools`)),
    flannelIsThere(),
  ]);
  const isToldByKubeadm =
    kubeadm.outcome === 'read' &&
    kubeadm.content.podSubnet !== undefined &&
    kubeadm.content.serviceSubnet !== undefined;
  const controllerManagers = isToldByKubeadm ? absent : await readControllerManagers();
  return { serviceCIDRs, kubeadm, controllerManagers, calicoPools, ciliumConfig, ciliumPools, flannel };

  async function firstServed<Item>(paths: readonly string[]): Promise<Source<readonly Item[]>> {
    for (const path of paths) {
      const source = await readSource<{ readonly items: readonly Item[] }>(path);
      if (source.outcome !== 'absent') return mapped(source, ({ items }) => items);
    }
    return absent;
  }

  async function configMap(name: string): Promise<Source<Readonly<Record<string, string>>>> {
    const path = `/api/v1/namespaces/${name.replace('/', '/configmaps/')}`;
    return mapped(await readSource<ConfigMap>(path), ({ data = {} }) => data);
  }

  /** Its manifests have a namespace of their own since 2022. */
  async function flannelIsThere(): Promise<Source<true>> {
    const found = await Promise.all(
      ['kube-flannel', 'kube-system'].map((namespace) => configMap(`${namespace}/kube-flannel-cfg`)),
    );
    const source = found.find(({ outcome }) => outcome === 'read') ?? found.find(({ outcome }) => outcome !== 'absent');
    return source === undefined ? absent : mapped(source, () => true);
  }

  async function readControllerManagers(): Promise<NetworkSources['controllerManagers']> {
    // Not the newest state, which an API server before 1.31 would look for in all pods of the namespace in etcd.
    const query = { labelSelector: 'component=kube-controller-manager', resourceVersion: '0' };
    const pods = await readSource<{ readonly items: readonly Pod[] }>('/api/v1/namespaces/kube-system/pods', query);
    return mapped(pods, ({ items }) =>
      items.map(({ spec }) => spec.containers.flatMap(({ command = [], args = [] }) => [...command, ...args])),
    );
  }

  async function readSource<Content>(
    path: string,
    query: Readonly<Record<string, string>> = {},
  ): Promise<Source<Content>> {
    try {
      return { outcome: 'read', content: await request<Content>({ method: 'GET', path, query }) };
    } catch (error) {
      if (hasStatus(error, 404)) return absent;
      if (error instanceof ApiError && error.status === 403) return { outcome: 'unreadable', why: error.message };
      throw error;
    }
  }
}

const absent = { outcome: 'absent' } as const;

const mapped = <From, To>(source: Source<From>, change: (content: From) => To): Source<To> =>
  source.outcome === 'read' ? { outcome: 'read', content: change(source.content) } : source;

function kubeadmNetworking(source: Source<Readonly<Record<string, string>>>): Source<KubeadmNetworking> {
  if (source.outcome !== 'read') return source;
  let configuration: unknown;
  try {
    configuration = load(source.content['ClusterConfiguration'] || '{}');
  } catch {
    return { outcome: 'unreadable', why: 'its ClusterConfiguration is not YAML' };
  }
  const networking = fieldOf(configuration, 'networking');
  const [podSubnet, serviceSubnet] = ['podSubnet', 'serviceSubnet'].map((key) => fieldOf(networking, key));
  return {
    outcome: 'read',
    content: {
      ...(typeof podSubnet === 'string' && podSubnet !== '' && { podSubnet }),
      ...(typeof serviceSubnet === 'string' && serviceSubnet !== '' && { serviceSubnet }),
    },
  };
}

const fieldOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
