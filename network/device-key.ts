import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import { identityOf } from './link-identity.ts';
import type { Place } from './observed-device.ts';
import type { ObservedLink } from './observed-namespace.ts';

/**
 * What a device's link is recognised by. A PCI function may have several links (ports of one HCA, representors of a PF's VFs), so
 * its address says which links come into question, and which one it is only when there is no other.
 */
export interface DeviceKey {
  readonly pciAddress?: string | undefined;
  /** What a loan gave the link. */
  readonly alias?: string | undefined;
  /** How the link was before, on the node. */
  readonly isOriginal?: ((link: ObservedLink) => boolean) | undefined;
  /** RDMA is looked at only where it matters. */
  readonly rdma?: { readonly lent: readonly string[] } | undefined;
}

/** `several`: names of the function's links when nothing tells which of them is the device. */
export interface FoundLink {
  readonly link?: ObservedLink & { readonly place: Place };
  readonly several?: readonly string[];
}

export function findLink(
  nodeLinks: readonly ObservedLink[],
  podLinks: readonly ObservedLink[],
  { pciAddress, alias, isOriginal }: DeviceKey,
): FoundLink {
  const at = (place: Place, links: readonly ObservedLink[]) => links.map((link) => ({ ...link, place }));
  // A pod may give a link of its own any alias, but no PCI address.
  const possible = [...at('pod', podLinks), ...at('node', nodeLinks)].filter(
    (link) => pciAddress === undefined || link.pciAddress === pciAddress,
  );
  const link =
    possible.find((one) => alias !== undefined && one.alias === alias) ??
    possible.find((one) => one.place === 'node' && isOriginal?.(one));
  if (link !== undefined) return { link };
  if (pciAddress === undefined) return {};
  const [only, ...others] = possible;
  if (others.length > 0) return { several: possible.map(({ ifName }) => ifName) };
  return only === undefined ? {} : { link: only };
}

/** How a device that is leased is recognised, wherever it is. */
export function keyOf(lease: DeviceLease, alias: string): DeviceKey {
  const { pciAddress, link: original, rdmaDevices } = lease;
  return {
    pciAddress,
    alias,
    isOriginal:
      original &&
      ((link) =>
        link.ifName === original.ifName && identityOf(link) === identityOf(original) && link.alias === original.alias),
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
