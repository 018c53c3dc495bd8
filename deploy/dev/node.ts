import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imagePath, parts, repositoryRoot, toolPath } from '../toolchain/parts.ts';
import { type Authority, kubeconfigText } from './certificates.ts';
import { createCgroup } from './cgroups.ts';
import { type ControlPlane, insideApiServer } from './control-plane.ts';
import { eventually } from './eventually.ts';
import { flags } from './flags.ts';
import { type NodeLayout, type NodePaths, overlaid, ports, type StackLayout } from './layout.ts';
import { multusConfiguration } from './multus.ts';
import { Place } from './place.ts';
import { type StackProcess, untilReady } from './stack-process.ts';

/** A running node: its own network, mounts, cgroups, containerd and kubelet. */
export class StackNode extends Place {
  readonly name: string;
  /** Address on the management network. */
  readonly address: string;
  readonly paths: NodePaths;
  readonly containerd: StackProcess;
  readonly kubelet: StackProcess;
  readonly #kubectl: ControlPlane['kubectl'];

  constructor(layout: StackLayout, node: NodeLayout, started: NodeParts, kubectl: ControlPlane['kubectl']) {
    super(layout, node.netns, started.mounts);
    this.name = node.name;
    this.address = node.address;
    this.paths = node.paths;
    this.containerd = started.containerd;
    this.kubelet = started.kubelet;
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

  /** Waits until the Node is Ready, which with our plugin takes a running node worker: kubelet believes the plugin's STATUS. */
  async untilReady(seconds = 60): Promise<void> {
    await eventually(`Node ${this.name} Ready`, seconds, async () => {
      const condition = await this.#kubectl([
        'get',
        'node',
        this.name,
        '-o',
        'jsonpath={.status.conditions[?(@.type=="Ready")]}',
      ]);
      return condition.includes('"status":"True"') ? { value: true } : { state: condition };
    });
  }
}

interface NodeParts {
  readonly mounts: StackProcess;
  readonly containerd: StackProcess;
  readonly kubelet: StackProcess;
}

/** What all nodes of a stack have from its control plane. */
export interface NodeContext {
  readonly layout: StackLayout;
  readonly controlPlane: ControlPlane;
  /** Kubeconfig text for Multus. */
  readonly multusKubeconfig: string;
}

/** Starts one node and waits until it is registered. It becomes Ready once its CNI plugin says so: `untilReady`. */
export async function startNode(
  { layout, controlPlane, multusKubeconfig }: NodeContext,
  node: NodeLayout,
): Promise<StackNode> {
  await writeFiles(layout, node, multusKubeconfig);
  await createCgroup(node.cgroup);
  const [mounts] = await Promise.all([
    holdMounts(layout, node),
    issueKubeletCertificates(controlPlane.authority, node),
  ]);
  const place = new Place(layout, node.netns, mounts);
  const containerd = await startContainerd(node, place);
  const kubelet = place.spawn(`${node.name}/kubelet`, kubeletCommand(node));
  const token = await untilReady(kubelet, 60, async () => ({
    value: await controlPlane.kubectl(tokenRequest(node.name)),
  }));
  await writeFile(
    node.paths.workerKubeconfig,
    await kubeconfigText(insideApiServer, controlPlane.authority, { token: token.trim() }),
    { mode: 0o600 },
  );
  return new StackNode(layout, node, { mounts, containerd, kubelet }, controlPlane.kubectl);
}

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

/** kubelet sets these for the whole machine unless it finds them so: the node is shown that they are (container_manager_linux.go, setupKernelTunables). */
const kernelTunables = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

async function writeFiles(layout: StackLayout, { name, paths }: NodeLayout, multusKubeconfig: string): Promise<void> {
  const below = (path: string): string => join(paths.root, path);
  const directories = [
    paths.cniBin,
    paths.cniConf,
    paths.run,
    paths.queue,
    paths.state,
    below('sys'),
    ...overlaid.map((path) => below(`own${path}`)),
  ];
  for (const directory of directories) await mkdir(directory, { recursive: true });
  await writeFile(paths.bootIdFile, `${randomUUID()}\n`);
  await writeFile(paths.machineIdFile, `${randomUUID()}\n`);
  for (const [tunable, value] of Object.entries(kernelTunables))
    await writeFile(below(tunable.replaceAll('/', '.')), `${value}\n`);
  await writeFile(below('mounts.sh'), mountScript(paths));
  await writeFile(below('containerd.toml'), containerdConfiguration(paths, parts['pause-image'].recipe.reference));
  await writeFile(below('kubelet.json'), JSON.stringify(kubeletConfiguration(layout, name), null, 2));
  await installCni(paths);
  await writeFile(below('multus.kubeconfig'), multusKubeconfig, { mode: 0o600 });
  const multus = multusConfiguration({
    kubeconfig: below('multus.kubeconfig'),
    binDir: paths.cniBin,
    logFile: join(layout.logs, `${name}.multus.log`),
  });
  await writeFile(join(paths.cniConf, '00-multus.conf'), JSON.stringify(multus, null, 2));
}

/** Makes the node's view of the file system: what is fixed in other people's programs points into the node's own directory. */
function mountScript(paths: NodePaths): string {
  const at = (path: string): string => join(paths.root, path);
  const binds = [
    ...overlaid.map((path) => [at(`own${path}`), path] as const),
    [paths.bootIdFile, '/proc/sys/kernel/random/boot_id'] as const,
    ...Object.keys(kernelTunables).map(
      (tunable) => [at(tunable.replaceAll('/', '.')), `/proc/sys/${tunable}`] as const,
    ),
    ...(existsSync('/etc/machine-id') ? [[paths.machineIdFile, '/etc/machine-id'] as const] : []),
  ];
  return [
    'set -e',
    // A sysfs shows the network devices of the namespace that mounted it.
    `mount -t sysfs sysfs ${at('sys')}`,
    `mount --rbind /sys/fs/cgroup ${at('sys/fs/cgroup')}`,
    `mount --rbind ${at('sys')} /sys`,
    ...binds.map(([from, to]) => `mount --bind ${from} ${to}`),
    `: >${at('mounted')}`,
    'exec sleep infinity',
    '',
  ].join('\n');
}

/** Starts the process that holds the node's mount namespace. Nothing mounted there is seen outside, and all of it goes with the last process inside. */
async function holdMounts(layout: StackLayout, node: NodeLayout): Promise<StackProcess> {
  const { root } = node.paths;
  const holder = new Place(layout, node.netns).spawn(`${node.name}/mounts`, [
    'unshare',
    '--mount',
    '--propagation',
    'slave',
    'sh',
    join(root, 'mounts.sh'),
  ]);
  await untilReady(holder, 10, async () =>
    existsSync(join(root, 'mounted')) ? { value: true } : { state: 'not mounted' },
  );
  return holder;
}

async function startContainerd({ name, paths }: NodeLayout, place: Place): Promise<StackProcess> {
  const containerd = place.spawn(`${name}/containerd`, [
    toolPath('containerd'),
    '--config',
    join(paths.root, 'containerd.toml'),
  ]);
  const ctr = [toolPath('ctr'), '--address', paths.criSocket, '--namespace', 'k8s.io'];
  await untilReady(containerd, 30, async () => ({ value: await place.exec([...ctr, 'version']) }));
  await Promise.all(images.map((image) => place.exec([...ctr, 'images', 'import', imagePath(image)])));
  return containerd;
}

const images = ['pause', 'busybox'] as const;

const containerdConfiguration = (paths: NodePaths, sandboxImage: string): string => `version = 3
root = "${paths.root}/containerd/root"
state = "${paths.root}/containerd/state"
disabled_plugins = [${['nri.v1.nri', ...['blockfile', 'btrfs', 'devmapper', 'erofs', 'zfs'].map((name) => `snapshotter.v1.${name}`)].map((name) => `"io.containerd.${name}"`).join(', ')}]
[grpc]
  address = "${paths.criSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${paths.root}/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${sandboxImage}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${paths.cniBin}"]
    conf_dir = "${paths.cniConf}"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = "${toolPath('containerd-shim-runc-v2')}"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "${toolPath('runc')}"
        SystemdCgroup = false
`;

async function issueKubeletCertificates(authority: Authority, { name, address, paths }: NodeLayout): Promise<void> {
  const [certificate] = await Promise.all([
    authority.issue(`kubelet-${name}`, `/O=system:nodes/CN=system:node:${name}`, 'clientAuth'),
    authority.issue(`kubelet-${name}-serving`, `/CN=${name}`, 'serverAuth', [`IP:${address}`, `DNS:${name}`]),
  ]);
  await writeFile(
    join(paths.root, 'kubelet.kubeconfig'),
    await kubeconfigText(insideApiServer, authority, { certificate }),
    { mode: 0o600 },
  );
}

const kubeletCommand = ({ name, address, paths }: NodeLayout): string[] => [
  toolPath('kubelet'),
  ...flags({
    config: join(paths.root, 'kubelet.json'),
    kubeconfig: join(paths.root, 'kubelet.kubeconfig'),
    'hostname-override': name,
    'node-ip': address,
    v: 2,
  }),
];

function kubeletConfiguration({ pki, nodes }: StackLayout, name: string): object {
  const node = nodes.find((other) => other.name === name);
  if (node === undefined) throw new RangeError(`No node ${name}`);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.address,
    port: ports.kubelet,
    healthzBindAddress: '127.0.0.1',
    tlsCertFile: join(pki, `kubelet-${name}-serving.crt`),
    tlsPrivateKeyFile: join(pki, `kubelet-${name}-serving.key`),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(pki, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${node.paths.criSocket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: node.cgroup,
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
  };
}

const ourPlugins = ['orbweaver', 'spiderpool', 'coordinator', 'ifacer'];

/** Installs the CNI executables; ours by copy and rename, as on a real node, with the file that tells them where their worker is. */
async function installCni(paths: NodePaths): Promise<void> {
  for (const plugin of ['multus', 'loopback', 'bridge', 'macvlan', 'ptp', 'host-local'] as const)
    await symlink(toolPath(plugin), join(paths.cniBin, plugin));
  await writeFile(join(paths.cniBin, 'orbweaver.conf'), `run = ${paths.run}\nqueue = ${paths.queue}\n`);
  const executable = join(repositoryRoot, '.tools/bin/orbweaver-cni');
  if (!existsSync(executable)) return;
  for (const plugin of ourPlugins) {
    const arriving = join(paths.cniBin, `.${plugin}`);
    await copyFile(executable, arriving);
    await rename(arriving, join(paths.cniBin, plugin));
  }
}
