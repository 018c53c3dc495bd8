import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolPath } from '../toolchain/parts.ts';
import { type Authority, type Certificate, kubeconfigText } from './certificates.ts';
import { insideApiServer } from './control-plane.ts';
import { flags } from './flags.ts';
import { type NodeLayout, type NodePaths, ports } from './layout.ts';
import type { Place } from './place.ts';
import type { StackProcess } from './stack-process.ts';

/** Starts the node's kubelet, with a certificate for the node's name. Its container runtime must be there. */
export async function startKubelet(node: NodeLayout, place: Place, authority: Authority): Promise<StackProcess> {
  const { name, address, paths } = node;
  const files = { config: join(paths.root, 'kubelet.json'), kubeconfig: join(paths.root, 'kubelet.kubeconfig') };
  await mkdir(staticPodsOf(paths), { recursive: true });
  const [certificate, serving] = await Promise.all([
    authority.issue(`kubelet-${name}`, `/O=system:nodes/CN=system:node:${name}`, 'clientAuth'),
    authority.issue(`kubelet-${name}-serving`, `/CN=${name}`, 'serverAuth', [`IP:${address}`, `DNS:${name}`]),
  ]);
  await writeFile(files.kubeconfig, await kubeconfigText(insideApiServer, authority, { certificate }), { mode: 0o600 });
  await writeFile(files.config, JSON.stringify(configuration(node, authority, serving), null, 2));
  return place.spawn(`${name}/kubelet`, [
    toolPath('kubelet'),
    ...flags({ ...files, 'hostname-override': name, 'node-ip': address, v: 2 }),
  ]);
}

/** Manifests in this directory become static pods of the node. */
export const staticPodsOf = ({ root }: NodePaths): string => join(root, 'static-pods');

const configuration = (
  { address, cgroup, paths }: NodeLayout,
  authority: Certificate,
  serving: Certificate,
): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address,
  port: ports.kubelet,
  healthzBindAddress: '127.0.0.1',
  tlsCertFile: serving.certificateFile,
  tlsPrivateKeyFile: serving.keyFile,
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: authority.certificateFile },
  },
  authorization: { mode: 'Webhook' },
  containerRuntimeEndpoint: `unix://${paths.criSocket}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: cgroup,
  staticPodPath: staticPodsOf(paths),
  fileCheckFrequency: '1s',
  syncFrequency: '10s',
  failCgroupV1: false,
  failSwapOn: false,
  makeIPTablesUtilChains: false,
  resolvConf: '', // the host's name servers are out of reach
  clusterDomain: 'cluster.local',
  clusterDNS: ['10.96.0.10'],
  evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  imageGCHighThresholdPercent: 100,
  serializeImagePulls: false,
  nodeStatusUpdateFrequency: '2s',
});
