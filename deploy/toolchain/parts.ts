import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bringPart } from './part-cache.ts';
import type { ReportProgress } from './progress.ts';
import { type GoRecipe, outputsOf, type Recipe } from './recipe.ts';

/** One program, or a few that are released together, at the version we run. */
export interface Part {
  readonly version: string;
  /** Wall time of a first build with empty Go caches on two cores; told to whoever waits. */
  readonly coldBuildSeconds: number;
  readonly recipe: Recipe;
}

const stripped = '-s -w';
const containerd = 'github.com/containerd/containerd/v2';
const cniPlugins = 'github.com/containernetworking/plugins';
const multus = 'gopkg.in/k8snetworkplumbingwg/multus-cni.v4';
const criTools = 'sigs.k8s.io/cri-tools';
const temporal = 'github.com/temporalio/cli';

/** Everything of Kubernetes, and the etcd that it was tested with, builds from the one module, so the parts share the Go build cache. */
const kubernetes = <const Packages extends GoRecipe['packages']>(packages: Packages) =>
  ({
    kind: 'go',
    module: 'k8s.io/kubernetes',
    version: 'v1.36.3',
    packages,
    ldflags: `${stripped} ${versionFlags('k8s.io/component-base/version')} ${versionFlags('k8s.io/client-go/pkg/version')}`,
    tags: ['grpcnotrace'], // as upstream's release build: kube-apiserver 105 -> 89 MB
    localReplacesAt: 'v0.36.3',
  }) as const satisfies GoRecipe;

/** Without these, /version is empty and kubectl cannot tell the skew between client and server. */
const versionFlags = (variables: string): string =>
  Object.entries({
    gitVersion: 'v1.36.3',
    gitMajor: '1',
    gitMinor: '36',
    gitCommit: 'unknown',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
  })
    .map(([name, value]) => `-X ${variables}.${name}=${value}`)
    .join(' ');

/** Names between blanks. */
const debianPackages = (names: string): readonly string[] => names.trim().split(/\s+/);

/** In the order in which tests need them. Versions: notes of the release that each was tried with, on Debian 12 and Go 1.26. */
export const parts = {
  'orbweaver-cni': {
    version: '0.1.0',
    coldBuildSeconds: 1,
    recipe: {
      kind: 'c',
      compiler: 'musl-gcc',
      flags: ['-Os', '-static', '-Wall', '-Wextra', '-Werror'],
      source: 'plugins/shim/shim.c',
      output: 'orbweaver-cni',
    },
  },
  'fleet-launcher': {
    version: '1',
    coldBuildSeconds: 1,
    recipe: {
      kind: 'c',
      compiler: 'musl-gcc', // its posix_spawn is a vfork
      flags: ['-O2', '-static', '-Wall', '-Wextra', '-Werror'],
      source: 'test/fleet/launcher.c', // for tests and benchmarks only: test/fleet brings it
      output: 'fleet-launcher',
    },
  },
  temporal: {
    version: '1.8.2',
    coldBuildSeconds: 110,
    recipe: {
      kind: 'go',
      module: temporal,
      version: 'v1.8.2',
      packages: { temporal: `${temporal}/cmd/temporal` },
      ldflags: `${stripped} -X ${temporal}/internal/temporalcli.Version=1.8.2`,
      localReplacesAt: 'v0.0.0-20260731000218-c579925f193f', // cliext has no tags: the commit of v1.8.2
    },
  },
  etcd: { version: '3.6.8', coldBuildSeconds: 50, recipe: kubernetes({ etcd: 'go.etcd.io/etcd/server/v3' }) },
  'kube-apiserver': {
    version: '1.36.3',
    coldBuildSeconds: 190,
    recipe: kubernetes({ 'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver' }),
  },
  kubectl: {
    version: '1.36.3',
    coldBuildSeconds: 20,
    recipe: kubernetes({ kubectl: 'k8s.io/kubernetes/cmd/kubectl' }),
  },
  'kube-controller-manager': {
    version: '1.36.3',
    coldBuildSeconds: 50,
    recipe: kubernetes({ 'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager' }),
  },
  'kube-scheduler': {
    version: '1.36.3',
    coldBuildSeconds: 5,
    recipe: kubernetes({ 'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler' }),
  },
  kubelet: {
    version: '1.36.3',
    coldBuildSeconds: 15,
    recipe: kubernetes({ kubelet: 'k8s.io/kubernetes/cmd/kubelet' }),
  },
  'kube-proxy': {
    version: '1.36.3',
    coldBuildSeconds: 10,
    recipe: kubernetes({ 'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy' }),
  },
  containerd: {
    version: '2.4.2',
    coldBuildSeconds: 90,
    recipe: {
      kind: 'go',
      module: containerd,
      version: 'v2.4.2',
      packages: {
        containerd: `${containerd}/cmd/containerd`,
        'containerd-shim-runc-v2': `${containerd}/cmd/containerd-shim-runc-v2`,
        ctr: `${containerd}/cmd/ctr`,
      },
      ldflags: `${stripped} -X ${containerd}/version.Version=v2.4.2`,
    },
  },
  runc: {
    version: '1.5.2',
    coldBuildSeconds: 12,
    recipe: {
      kind: 'go',
      module: 'github.com/opencontainers/runc',
      version: 'v1.5.2',
      packages: { runc: 'github.com/opencontainers/runc' },
      ldflags: `${stripped} -linkmode external -extldflags -static -X main.version=1.5.2`,
      tags: ['seccomp', 'netgo', 'osusergo'],
      cgo: true,
    },
  },
  'cni-plugins': {
    version: '1.9.1',
    coldBuildSeconds: 5,
    recipe: {
      kind: 'go',
      module: cniPlugins,
      version: 'v1.9.1',
      packages: {
        macvlan: `${cniPlugins}/plugins/main/macvlan`,
        bridge: `${cniPlugins}/plugins/main/bridge`,
        ptp: `${cniPlugins}/plugins/main/ptp`,
        loopback: `${cniPlugins}/plugins/main/loopback`,
        'host-local': `${cniPlugins}/plugins/ipam/host-local`,
      },
      ldflags: stripped,
    },
  },
  multus: {
    version: '4.2.3',
    coldBuildSeconds: 50,
    recipe: {
      kind: 'go',
      module: multus,
      version: 'v4.2.3',
      packages: { multus: `${multus}/cmd/multus` },
      ldflags: stripped,
    },
  },
  crictl: {
    version: '1.36.0',
    coldBuildSeconds: 25,
    recipe: {
      kind: 'go',
      module: criTools,
      version: 'v1.36.0',
      packages: { crictl: `${criTools}/cmd/crictl` },
      ldflags: `${stripped} -X ${criTools}/pkg/version.Version=v1.36.0`,
    },
  },
  'pause-image': {
    version: '1',
    coldBuildSeconds: 1,
    recipe: {
      kind: 'image',
      reference: 'kube.local/pause:1',
      command: ['/pause'],
      rootfs: {
        kind: 'c',
        compiler: 'gcc',
        flags: ['-Os', '-static', '-Wall', '-Wextra', '-Werror'],
        source: 'deploy/toolchain/pause.c',
        output: 'pause',
      },
      output: 'pause.tar',
    },
  },
  'busybox-image': {
    version: '1',
    coldBuildSeconds: 1,
    recipe: {
      kind: 'image',
      reference: 'kube.local/busybox:1',
      command: ['/bin/sh'],
      rootfs: { kind: 'busybox', source: '/bin/busybox' },
      output: 'busybox.tar',
    },
  },
  guest: {
    version: '1',
    coldBuildSeconds: 90,
    recipe: {
      kind: 'guest',
      release: 'bookworm',
      kernelSuites: ['trixie-backports', 'trixie'],
      programs: debianPackages(`
        kmod busybox-static pciutils libpci3 ethtool iputils-ping iputils-arping tcpdump libpcap0.8 nftables
        libnftables1 libnftnl11 libmnl0 libjansson4 libedit2 rdma-core ibverbs-utils ibverbs-providers
        rdmacm-utils perftest libibverbs1 librdmacm1 libibumad3 libibmad5 libnl-3-200 libnl-route-3-200
        libxtables12 libgmp10
      `),
      modules: [
        {
          name: 'rdma_rxe',
          folder: 'drivers/infiniband/sw/rxe',
          option: 'CONFIG_RDMA_RXE',
          patches: [
            { file: 'deploy/toolchain/guest/patches/rxe-netns.patch' },
            {
              file: 'deploy/toolchain/guest/patches/rxe-disassociate.patch',
              unless: { file: 'rxe_verbs.c', has: 'disassociate_ucontext' },
            },
          ],
          without: 'an rxe device cannot move between namespaces',
        },
        {
          name: 'siw',
          folder: 'drivers/infiniband/sw/siw',
          option: 'CONFIG_RDMA_SIW',
          patches: [],
          without: 'there is no iWARP device',
        },
        {
          name: 'netdevsim',
          folder: 'drivers/net/netdevsim',
          option: 'CONFIG_NETDEVSIM',
          patches: [],
          without: 'there is no NIC that accepts every VF setting',
        },
      ],
      sources: ['deploy/toolchain/guest/init.sh'],
      output: 'guest',
    },
  },
} as const satisfies Record<string, Part>;

export type PartName = keyof typeof parts;
type Recipes = (typeof parts)[PartName]['recipe'];
type KeysOf<T> = T extends unknown ? keyof T & string : never;
/** Every executable under `.tools/bin`. */
export type ToolName = KeysOf<Extract<Recipes, { kind: 'go' }>['packages']> | Extract<Recipes, { kind: 'c' }>['output'];
/** Every archive under `.tools/images`, named as its image. */
export type ImageName = 'pause' | 'busybox';

export const partNames = Object.keys(parts) as PartName[];

/** What a cluster and its tests are made of: everything but the guest of the datapath tier. */
export const clusterParts = partNames.filter((name) => name !== 'guest');

/** Root of the repository, absolute. */
export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Absolute path of an executable that `ensureParts` brought. Throws, with the command that brings it, when it is not there. */
export const toolPath = (name: ToolName): string => linkedFile(join('.tools/bin', name));

/** Absolute path of an OCI archive that `ensureParts` brought; containerd imports it as `kube.local/<name>:1`. Throws as `toolPath`. */
export const imagePath = (name: ImageName): string => linkedFile(join('.tools/images', `${name}.tar`));

/** Absolute path of the guest that `ensureParts` brought. Throws as `toolPath`. */
export const guestPath = (): string => linkedFile('.tools/guest', 'node deploy/toolchain/build-parts.ts guest');

function linkedFile(path: string, remedy = 'make parts'): string {
  const file = join(repositoryRoot, path);
  if (!existsSync(file)) throw new Error(`${path} is not built. Run: ${remedy}`);
  return file;
}

const linkFolder = { go: '.tools/bin', c: '.tools/bin', image: '.tools/images', guest: '.tools' } as const;

/**
 * Brings the named parts, in the order of the table: from the cache, or built into it, and links them under `.tools/`.
 * Two callers at once, also in two processes, build a part once. Throws `PartFailed` with the end of the build's output.
 */
export async function ensureParts(names: readonly PartName[], report: ReportProgress): Promise<void> {
  const wanted = partNames.filter((name) => names.includes(name));
  for (const [index, name] of wanted.entries()) {
    const part: Part = parts[name];
    await bringPart({
      name,
      part,
      root: repositoryRoot,
      links: outputsOf(part.recipe).map((output) => ({ output, link: join(linkFolder[part.recipe.kind], output) })),
      report: (progress) =>
        report({ ...progress, part: `${name} ${part.version}`, index: index + 1, total: wanted.length }),
    });
  }
}
