import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** Names, addresses and paths of one stack: all that its id, its directory and its nodes decide. Nothing here touches the machine. */
export interface StackLayout {
  readonly id: string;
  readonly directory: string;
  /** Network namespaces, as `ip netns` lists them. */
  readonly netns: { readonly control: string; readonly fabric: string; readonly outside: string };
  readonly logs: string;
  /** One file per process: its line of /proc/<pid>/stat, written before the process becomes what it is. */
  readonly processes: string;
  readonly pki: string;
  readonly nodes: readonly NodeLayout[];
}

/** Where a node's parts are. The paths are the same inside the node and on the host. */
export interface NodeLayout {
  readonly name: string;
  readonly netns: string;
  /** Address on the management network, IPv4. */
  readonly address: string;
  /** Absolute cgroup path, in every hierarchy of the machine. */
  readonly cgroup: string;
  readonly paths: NodePaths;
}

export interface NodePaths {
  readonly root: string;
  readonly cniBin: string;
  readonly cniConf: string;
  /** Run directory of the node worker: its socket, `alive`, lock and records. */
  readonly run: string;
  /** Queue directory: what waits on disk for the node worker. */
  readonly queue: string;
  /** Whatever else the node worker keeps across restarts. */
  readonly state: string;
  readonly criSocket: string;
  /** Stands for /proc/sys/kernel/random/boot_id in the node; writing another id into it is the node's reboot. */
  readonly bootIdFile: string;
  /** Stands for the machine's product UUID. */
  readonly machineIdFile: string;
  /** Kubeconfig of the node worker, for use inside the node. */
  readonly workerKubeconfig: string;
}

/** Management network: control, then the nodes in order. It ends at the fabric's bridge. */
export const management = {
  prefixLength: 24,
  control: '10.222.0.254',
  node: (index: number) => `10.222.0.${index + 1}`,
} as const;

/** Underlay network, where pods get their addresses. The gateway is the fabric, `outside` is a machine without Kubernetes. */
export const underlay = {
  v4: { subnet: '10.70.0.0/16', gateway: '10.70.0.1', outside: '10.70.255.2', prefixLength: 16 },
  v6: { subnet: 'fd00:70::/64', gateway: 'fd00:70::1', outside: 'fd00:70::ff02', prefixLength: 64 },
} as const;

/** Where Services get their addresses. */
export const serviceRanges = { v4: '10.96.0.0/16', v6: 'fd00:96::/108' } as const;

/** Ports inside the `control` namespace: the same in every stack. */
export const ports = {
  etcd: 2379,
  etcdPeer: 2380,
  apiServer: 6443,
  controllerManager: 10257,
  scheduler: 10259,
  kubelet: 10250,
  temporal: 7233,
  temporalUi: 8233,
  webhooks: 9443,
} as const;

const directoryName = 'orbweaver-';
const longestUnixSocketPath = 99; // containerd refuses more; the kernel's own limit is 107 (sun_path, unix(7))

/** A stack's directory: `/tmp/orbweaver-<id>`, or below $TMPDIR, unless another place is named. */
export const stackDirectory = (id: string, under = tmpdir()): string => join(under, `${directoryName}${id}`);

/** The id in a directory's name, or undefined if it is not named like a stack's. */
export function idOfDirectory(path: string): string | undefined {
  const id = basename(path).slice(directoryName.length);
  return basename(path).startsWith(directoryName) && isStackId(id) ? id : undefined;
}

/** An id goes into names of network namespaces, cgroups and directories, so it is short and plain. */
export const isStackId = (text: string): boolean => /^[a-z0-9]{1,12}$/.test(text);

/** What the names of a stack's network namespaces and cgroups begin with. */
export const namePrefix = (id: string): string => `ow-${id}-`;

/** @throws {RangeError} when a name or path cannot be used. */
export function layoutOf(id: string, directory: string, nodeNames: readonly string[]): StackLayout {
  if (!isStackId(id)) throw new RangeError(`Stack id "${id}" is not 1 to 12 lower-case letters and digits`);
  // A node has its own /run, /var/lib and /var/log: a stack below them would be invisible inside its own nodes.
  const hidden = overlaid.find((path) => directory === path || directory.startsWith(`${path}/`));
  if (hidden !== undefined)
    throw new RangeError(`Stack directory ${directory} is below ${hidden}, which every node replaces by its own`);
  const names = new Set(['control', 'fabric', 'outside']);
  for (const name of nodeNames) {
    if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name))
      throw new RangeError(`Node name "${name}" is not a DNS label of up to 32 characters`);
    if (names.has(name)) throw new RangeError(`Node name "${name}" is taken`);
    names.add(name);
  }
  const prefix = namePrefix(id);
  return {
    id,
    directory,
    netns: { control: `${prefix}control`, fabric: `${prefix}fabric`, outside: `${prefix}outside` },
    logs: join(directory, 'logs'),
    processes: join(directory, 'processes'),
    pki: join(directory, 'pki'),
    nodes: nodeNames.map((name, index) => nodeLayout(name, index, prefix, join(directory, name))),
  };
}

/** Directories whose places are fixed in containerd, kubelet and Multus; every node has its own in their stead. */
export const overlaid = ['/run', '/var/lib', '/var/log'] as const;

function nodeLayout(name: string, index: number, prefix: string, root: string): NodeLayout {
  const criSocket = join(root, 'containerd.sock');
  if (criSocket.length > longestUnixSocketPath) {
    throw new RangeError(
      `Socket path ${criSocket} has ${criSocket.length} characters, at most ${longestUnixSocketPath} work`,
    );
  }
  return {
    name,
    netns: `${prefix}${name}`,
    address: management.node(index),
    cgroup: `/${prefix}${name}`,
    paths: {
      root,
      cniBin: join(root, 'bin'),
      cniConf: join(root, 'conf'),
      run: join(root, 'run'),
      queue: join(root, 'queue'),
      state: join(root, 'state'),
      criSocket,
      bootIdFile: join(root, 'boot-id'),
      machineIdFile: join(root, 'machine-id'),
      workerKubeconfig: join(root, 'worker.kubeconfig'),
    },
  };
}
