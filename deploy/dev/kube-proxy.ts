import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolPath } from '../toolchain/parts.ts';
import { type Authority, kubeconfigText } from './certificates.ts';
import { insideApiServer } from './control-plane.ts';
import { flags } from './flags.ts';
import type { NodeLayout } from './layout.ts';
import type { Place } from './place.ts';
import type { StackProcess } from './stack-process.ts';

/** Starts the node's kube-proxy in nftables mode. It needs nft(8), and the node's Node object with its address: kubelet's. */
export async function startKubeProxy(node: NodeLayout, place: Place, authority: Authority): Promise<StackProcess> {
  const { name, paths } = node;
  const files = { config: join(paths.root, 'kube-proxy.json'), kubeconfig: join(paths.root, 'kube-proxy.kubeconfig') };
  const certificate = await authority.issue(`kube-proxy-${name}`, '/CN=system:kube-proxy', 'clientAuth');
  await writeFile(files.kubeconfig, await kubeconfigText(insideApiServer, authority, { certificate }), { mode: 0o600 });
  await writeFile(files.config, JSON.stringify(configuration(name, files.kubeconfig), null, 2));
  return place.spawn(`${name}/kube-proxy`, [toolPath('kube-proxy'), ...flags({ config: files.config, v: 2 })]);
}

const configuration = (hostnameOverride: string, kubeconfig: string): object => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'nftables',
  hostnameOverride,
  clientConnection: { kubeconfig },
  // No pod of the underlay is in it: what they ask of a Service leaves with the node's address, so the answer comes back to it.
  clusterCIDR: '10.244.0.0/16,fd00:244::/48',
  nodePortAddresses: ['0.0.0.0/0', '::/0'],
  conntrack: { maxPerCore: 0, min: 0 }, // the machine's, and no node's to set
  healthzBindAddress: '127.0.0.1:10256',
  metricsBindAddress: '127.0.0.1:10249',
});
