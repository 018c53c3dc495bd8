import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../toolchain/parts.ts';
import type { ControlPlane } from './control-plane.ts';

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

const clusterNetwork = { namespace: 'orbweaver-system', name: 'underlay' };

/** Configuration of thin Multus on one node. It asks the API server for the cluster's network on every call. */
export const multusConfiguration = (where: {
  readonly kubeconfig: string;
  readonly binDir: string;
  readonly logFile: string;
}): object => ({
  cniVersion: '1.1.0', // from this version on, kubelet's STATUS reaches the delegate
  name: 'multus',
  type: 'multus',
  clusterNetwork: clusterNetwork.name,
  multusNamespace: clusterNetwork.namespace,
  cniDir: '/var/lib/cni/multus',
  logLevel: 'error',
  ...where,
});

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
