import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot, toolPath } from '../toolchain/parts.ts';
import { kubeconfigText } from './certificates.ts';
import { createCgroup } from './cgroups.ts';
import { startContainerd } from './containerd.ts';
import { type ControlPlane, insideApiServer } from './control-plane.ts';
import { eventually } from './eventually.ts';
import { flags } from './flags.ts';
import { startKubeProxy } from './kube-proxy.ts';
import { startKubelet } from './kubelet.ts';
import type { NodeLayout, NodePaths, StackLayout } from './layout.ts';
import { configureMultus, orbweaverNetwork } from './multus.ts';
import { holdMounts } from './node-mounts.ts';
import { Place } from './place.ts';
import { runCommand } from './run-command.ts';
import { type StackProcess, untilReady } from './stack-process.ts';

/** A running node: its own network, mounts and cgroups and, unless it is a bare one, containerd and kubelet. */
export class StackNode extends Place {
  readonly name: string;
  /** Address on the management network. */
  readonly address: string;
  readonly paths: NodePaths;
  /** containerd, kubelet and, where it is asked for, kube-proxy; empty for a bare node. */
  readonly parts: readonly StackProcess[];
  readonly #kubectl: ControlPlane['kubectl'];

  constructor(
    layout: StackLayout,
    node: NodeLayout,
    mounts: StackProcess,
    parts: readonly StackProcess[],
    kubectl: ControlPlane['kubectl'],
  ) {
    super(layout, node.netns, mounts);
    this.name = node.name;
    this.address = node.address;
    this.paths = node.paths;
    this.parts = parts;
    this.#kubectl = kubectl;
  }

  /** Environment for the node worker: who the node is, where its files are, how it reaches the API server. */
  get workerEnvironment(): Record<string, string> {
    return {
      ORBWEAVER_NODE_NAME: this.name,
      ORBWEAVER_MACHINE_ID_FILE: this.paths.machineIdFile,
      KUBECONFIG: this.paths.workerKubeconfig,
    };
  }

  /**
   * Waits until the Node is Ready, which with our plugin takes a running node worker: kubelet believes the plugin's STATUS.
   * On a bare node, where nobody asks, the plugin is asked here.
   */
  async untilReady(seconds = 60): Promise<void> {
    if (this.parts.length === 0) return await this.#untilPluginReady(seconds);
    await eventually(`Node ${this.name} Ready`, seconds, async () => {
      const output = 'jsonpath={.status.conditions[?(@.type=="Ready")]}';
      const condition = await this.#kubectl(['get', 'node', this.name, '--output', output]);
      return condition.includes('"status":"True"') ? { value: true } : { state: condition };
    });
  }

  async #untilPluginReady(seconds: number): Promise<void> {
    await eventually(`Plugin of ${this.name} ready`, seconds, async () => {
      const status = this.exec([join(this.paths.cniBin, 'orbweaver')], {
        env: { CNI_COMMAND: 'STATUS', CNI_PATH: this.paths.cniBin },
        input: JSON.stringify(orbweaverNetwork),
      });
      return await status.then(
        () => ({ value: true }) as const,
        (error: unknown) => ({ state: String(error) }),
      );
    });
  }
}

/** What all nodes of a stack have from its control plane. */
export interface NodeContext {
  readonly layout: StackLayout;
  readonly controlPlane: ControlPlane;
  /** Kubeconfig text for Multus; undefined makes bare nodes: the Node object and the plugins, with neither kubelet nor containerd. */
  readonly multusKubeconfig: string | undefined;
  readonly kubeProxy?: boolean;
}

/** Starts one node and waits until it is registered. It becomes Ready once its CNI plugin says so: `untilReady`. */
export async function startNode(
  { layout, controlPlane, multusKubeconfig, kubeProxy = false }: NodeContext,
  node: NodeLayout,
): Promise<StackNode> {
  const { paths } = node;
  const { authority, kubectl } = controlPlane;
  for (const directory of [paths.cniBin, paths.cniConf, paths.run, paths.queue, paths.state])
    await mkdir(directory, { recursive: true });
  await runCommand(['mount', '-t', 'tmpfs', '-o', 'size=64m,mode=755', 'tmpfs', paths.run]); // as /run is on a real node
  await createCgroup(node.cgroup);
  const mounts = await holdMounts(node, new Place(layout, node.netns));
  const place = new Place(layout, node.netns, mounts);
  await installPlugins(paths);
  const parts: StackProcess[] = [];
  if (multusKubeconfig === undefined) {
    await kubectl(['create', '--filename', '-'], JSON.stringify(bareNode(node.name)));
  } else {
    await configureMultus(paths, multusKubeconfig, join(layout.logs, `${node.name}.multus.log`));
    parts.push(await startContainerd(node, place), await startKubelet(node, place, authority));
  }
  const registered = parts.at(-1) ?? mounts; // kubelet makes the Node object to which the token is bound
  const token = await untilReady(registered, 60, async () => ({ value: await kubectl(tokenRequest(node.name)) }));
  const kubeconfig = await kubeconfigText(insideApiServer, authority, { token: token.trim() });
  await writeFile(paths.workerKubeconfig, kubeconfig, { mode: 0o600 });
  if (kubeProxy) parts.push(await startKubeProxy(node, place, authority));
  return new StackNode(layout, node, mounts, parts, kubectl);
}

const bareNode = (name: string): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });

/** Bound to the Node object: only so does the token carry the node's name, by which admission judges what the worker writes. */
const tokenRequest = (node: string): string[] => [
  'create',
  'token',
  'orbweaver-node',
  ...flags({
    namespace: 'orbweaver-system',
    duration: '8760h',
    'bound-object-kind': 'Node',
    'bound-object-name': node,
  }),
];

/** Installs the CNI executables; ours by copy and rename, as on a real node, beside the file that tells them where their worker is. */
async function installPlugins({ cniBin, run, queue }: NodePaths): Promise<void> {
  for (const plugin of ['multus', 'loopback', 'bridge', 'macvlan', 'ptp', 'host-local'] as const) {
    await symlink(toolPath(plugin), join(cniBin, plugin));
  }
  await writeFile(join(cniBin, 'orbweaver.conf'), `run = ${run}\nqueue = ${queue}\n`);
  const executable = join(repositoryRoot, '.tools/bin/orbweaver-cni');
  if (!existsSync(executable)) return; // a stack with another network runs without ours
  for (const plugin of ['orbweaver', 'spiderpool', 'rdma', 'coordinator', 'ifacer']) {
    const arriving = join(cniBin, `.${plugin}`);
    await copyFile(executable, arriving);
    await rename(arriving, join(cniBin, plugin));
  }
}
