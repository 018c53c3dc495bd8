import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imagePath, parts, toolPath } from '../toolchain/parts.ts';
import { flags } from './flags.ts';
import type { NodeLayout, NodePaths } from './layout.ts';
import type { Place } from './place.ts';
import { type StackProcess, untilReady } from './stack-process.ts';

/** Starts the node's containerd and gives it the images: there is no registry. */
export async function startContainerd({ name, paths }: NodeLayout, place: Place): Promise<StackProcess> {
  const configFile = join(paths.root, 'containerd.toml');
  await writeFile(configFile, configuration(paths));
  const containerd = place.spawn(`${name}/containerd`, [toolPath('containerd'), ...flags({ config: configFile })]);
  const ctr = (...args: string[]): Promise<string> =>
    place.exec([toolPath('ctr'), ...flags({ address: paths.criSocket, namespace: 'k8s.io' }), ...args]);
  await untilReady(containerd, 30, async () => ({ value: await ctr('version') }));
  for (const image of ['pause', 'busybox'] as const) await ctr('images', 'import', imagePath(image));
  return containerd;
}

/** Plugins that ask for kernel modules or file systems that a machine may lack, and that nobody here needs. */
const disabledPlugins = [
  'nri.v1.nri',
  ...['blockfile', 'btrfs', 'devmapper', 'erofs', 'zfs'].map((name) => `snapshotter.v1.${name}`),
];

const configuration = ({ root, criSocket, cniBin, cniConf }: NodePaths): string => `version = 3
root = "${root}/containerd/root"
state = "${root}/containerd/state"
disabled_plugins = [${disabledPlugins.map((name) => `"io.containerd.${name}"`).join(', ')}]
[grpc]
  address = "${criSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${root}/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${parts['pause-image'].recipe.reference}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${cniBin}"]
    conf_dir = "${cniConf}"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = "${toolPath('containerd-shim-runc-v2')}"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "${toolPath('runc')}"
        SystemdCgroup = false
`;
