import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../toolchain/parts.ts';
import type { ControlPlane } from './control-plane.ts';
import type { NodePaths } from './layout.ts';

/** A CNI configuration: one plugin (`type`) or a list (`plugins`). */
export type NetworkConfiguration = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly cniVersion: string;
};

/** The cluster's network unless a test asks for another one. */
export const orbweaverNetwork: NetworkConfiguration = {
  cniVersion: '1.1.0',
  name: 'underlay',
  type: 'orbweaver',
  kind: 'macvlan',
  master: ['underlay0'],
  mode: 'bridge',
};

/** NetworkAttachmentDefinition of the network that every pod gets. */
export const clusterNetwork = { namespace: 'orbweaver-system', name: 'underlay' };

/** Makes thin Multus the CNI plugin of one node. It asks the API server for the cluster's network on every call. */
export async function configureMultus(paths: NodePaths, kubeconfigText: string, logFile: string): Promise<void> {
  const kubeconfig = join(paths.root, 'multus.kubeconfig');
  await writeFile(kubeconfig, kubeconfigText, { mode: 0o600 });
  const configuration = {
    cniVersion: '1.1.0', // from this version on, kubelet's STATUS comes as far as the delegate
    name: 'multus',
    type: 'multus',
    kubeconfig,
    clusterNetwork: clusterNetwork.name,
    multusNamespace: clusterNetwork.namespace,
    cniDir: '/var/lib/cni/multus', // the node's own
    binDir: paths.cniBin,
    logFile,
    logLevel: 'error',
  };
  await writeFile(join(paths.cniConf, '00-multus.conf'), JSON.stringify(configuration, null, 2));
}

/** Applies our CRDs, the one of Multus, and the rights of the node workers and of Multus. Returns when the new resources can be used. */
export async function applyDefinitions({ kubectl }: ControlPlane): Promise<void> {
  const folders = ['deploy/crds', 'deploy/multus', 'deploy/rbac'].map((folder) => join(repositoryRoot, folder));
  const files = (
    await Promise.all(
      folders.map(async (folder) => (await readdir(folder).catch(() => [])).map((name) => join(folder, name))),
    )
  ).flat();
  const manifests = files.filter((file) => file.endsWith('.yaml'));
  await kubectl(['apply', '--server-side', ...manifests.flatMap((file) => ['--filename', file])]);
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
}

/**
 * Makes `network` the one that every pod gets.
 *
 * A single plugin is written as a list of one: Multus 4.2.3 hands STATUS to its delegate only from a list (observed), and without it a
 * node would count as Ready while its worker is away.
 */
export async function applyClusterNetwork({ kubectl }: ControlPlane, network: NetworkConfiguration): Promise<void> {
  const { cniVersion, name, ...plugin } = network;
  const list = 'plugins' in network ? network : { cniVersion, name, plugins: [plugin] };
  const definition = {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: clusterNetwork,
    spec: { config: JSON.stringify(list) },
  };
  await kubectl(['apply', '--server-side', '--filename', '-'], JSON.stringify(definition));
}
