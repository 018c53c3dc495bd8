import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import type { ObservedDevice, ObservedRdma, ObservedVf, Place } from '../network/observed-device.ts';
import type { ObservedLink } from '../network/observed-namespace.ts';
import { NETLINK_RDMA } from './netlink-constants.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { closing, type NetworkNamespace } from './network-namespace.ts';
import { observeLinks } from './observe.ts';
import { rdmaNamesOf, readPciFunction, vfIndexOf } from './pci-device.ts';
import {
  dumpRdmaDevices,
  dumpRdmaPorts,
  getRdmaMode,
  type RdmaDevice,
  readPortLink,
  readRdmaDevice,
  readRdmaMode,
} from './rdma-message.ts';
import { SystemCallError } from './system-calls.ts';
import { getPf, readVf } from './vf-message.ts';

/** Where a device is looked for and moved: the node's namespace, and the pod's while that is there. */
export interface DeviceSite {
  readonly node: OpenPlace;
  readonly pod?: OpenPlace;
  /** Path of the pod's namespace, as commands name it. */
  readonly netns: string;
}

export interface OpenPlace {
  readonly namespace: NetworkNamespace;
  readonly socket: NetlinkSocket;
}

/** What a device is recognised by: its PCI address, else the alias that a loan gave its link, else how it was before. */
export interface DeviceKey {
  readonly pciAddress?: string | undefined;
  readonly alias?: string | undefined;
  readonly isOriginal?: ((link: ObservedLink) => boolean) | undefined;
  /** RDMA is looked at only where it matters. */
  readonly rdma?: { readonly lent: readonly string[] } | undefined;
}

export interface SeenDevice {
  readonly device: ObservedDevice;
  readonly nodeLinks: readonly ObservedLink[];
  readonly podLinks: readonly ObservedLink[];
}

export function observeDevice({ node, pod }: DeviceSite, key: DeviceKey): SeenDevice {
  const nodeLinks = observeLinks(node.socket);
  const podLinks = pod === undefined ? [] : observeLinks(pod.socket);
  const link = findLink(nodeLinks, podLinks, key);
  const pciAddress = key.pciAddress ?? link?.pciAddress;
  const pci = pciAddress === undefined ? undefined : readPciFunction(pciAddress);
  const vf = pci?.pf === undefined ? undefined : observeVf(node.socket, nodeLinks, pci.pf, pci.address);
  const rdma =
    key.rdma === undefined || pciAddress === undefined
      ? unseen
      : observeRdma(node, pod, pciAddress, link, key.rdma.lent);
  return {
    device: {
      ...(link === undefined ? {} : { link }),
      ...(pci === undefined ? {} : { pci }),
      ...(vf === undefined ? {} : { vf }),
      rdma,
    },
    nodeLinks,
    podLinks,
  };
}

const unseen: ObservedRdma = { inNode: [], inPod: [] };

function findLink(
  nodeLinks: readonly ObservedLink[],
  podLinks: readonly ObservedLink[],
  { pciAddress, alias, isOriginal }: DeviceKey,
): (ObservedLink & { place: Place }) | undefined {
  const at = (place: Place, link: ObservedLink | undefined) => link && { ...link, place };
  const find = (is: (link: ObservedLink) => boolean) => at('pod', podLinks.find(is)) ?? at('node', nodeLinks.find(is));
  if (pciAddress !== undefined) return find((link) => link.pciAddress === pciAddress);
  const marked = alias === undefined ? undefined : find((link) => link.alias === alias);
  return marked ?? (isOriginal && at('node', nodeLinks.find(isOriginal)));
}

/** What the PF's driver tells of the VF; undefined when the PF has no link in the node's namespace. */
function observeVf(
  node: NetlinkSocket,
  nodeLinks: readonly ObservedLink[],
  pf: string,
  address: string,
): ObservedVf | undefined {
  const index = vfIndexOf(pf, address);
  if (index === undefined) return undefined;
  // Representors of its VFs are links of the PF, too: only its own tells of VFs.
  for (const link of nodeLinks.filter(({ pciAddress }) => pciAddress === pf)) {
    const settings = readVf(node.get('RTM_GETLINK', getPf(link.ifIndex)), index);
    if (settings !== undefined) return { pf: link, index, settings };
  }
  return undefined;
}

function observeRdma(
  node: OpenPlace,
  pod: OpenPlace | undefined,
  pciAddress: string,
  link: (ObservedLink & { readonly place: Place }) | undefined,
  lent: readonly string[],
): ObservedRdma {
  const mode = rdmaMode(node.namespace);
  if (mode === undefined) return unseen;
  const inNode = rdmaNamesOf(pciAddress);
  if (mode === 'shared' || pod === undefined) return { mode, inNode, inPod: [] };
  const inPod = withRdma(pod.namespace, (socket) =>
    listRdmaDevices(socket)
      .filter(({ index, name }) => {
        if (lent.includes(name)) return true;
        const ports = socket.dump('RDMA_NLDEV_CMD_PORT_GET', dumpRdmaPorts(index)).map(readPortLink);
        return link?.place === 'pod' && ports.includes(link.ifIndex);
      })
      .map(({ name }) => name),
  );
  return { mode, inNode, inPod };
}

/** Undefined when the kernel has no RDMA. */
function rdmaMode(node: NetworkNamespace) {
  try {
    return withRdma(node, (socket) => readRdmaMode(socket.get('RDMA_NLDEV_CMD_SYS_GET', getRdmaMode())));
  } catch (error) {
    const isAbsent = error instanceof SystemCallError && error.code === 'EPROTONOSUPPORT';
    if (isAbsent || (error instanceof NetlinkError && error.code === 'EINVAL')) return undefined;
    throw error;
  }
}

export const listRdmaDevices = (socket: NetlinkSocket): RdmaDevice[] =>
  socket.dump('RDMA_NLDEV_CMD_GET', dumpRdmaDevices()).map(readRdmaDevice);

export const withRdma = <Result>(namespace: NetworkNamespace, work: (socket: NetlinkSocket) => Result): Result =>
  closing(namespace.netlink(NETLINK_RDMA), work);

/** How a device that is leased is recognised, wherever it is. */
export function keyOf(lease: DeviceLease, alias: string): DeviceKey {
  const { pciAddress, link: original, rdmaDevices } = lease;
  return {
    pciAddress,
    alias,
    isOriginal:
      original &&
      ((link) => link.ifName === original.ifName && link.mac === original.mac && link.alias === original.alias),
    rdma: rdmaDevices && { lent: rdmaDevices },
  };
}

/** How a device that is asked for is found. */
export function keyOfConf(conf: DeviceConf): DeviceKey {
  if (conf.kind !== 'host-device') {
    const movesRdma = conf.kind === 'rdma' || conf.movesRdma;
    return { pciAddress: conf.pciAddress, rdma: movesRdma ? { lent: [] } : undefined };
  }
  const { select } = conf;
  switch (select.by) {
    case 'name':
      return { isOriginal: ({ ifName }) => ifName === select.ifName };
    case 'mac':
      return { isOriginal: ({ mac }) => mac === select.mac };
    case 'pci':
      return { pciAddress: select.pciAddress };
    default:
      return select satisfies never;
  }
}
