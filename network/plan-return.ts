import type { DeviceLease, LentLink } from '../contracts/device.ts';
import type { DeviceOperation } from './device-operation.ts';
import { identityOf } from './link-identity.ts';
import { isUserspaceDriver, type ObservedDevice } from './observed-device.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { type LoanPlan, pfOutOfReach, rebindLost } from './plan-loan.ts';
import { missingSettings } from './vf-settings.ts';

export interface ObservedReturn {
  readonly device: ObservedDevice;
  readonly nodeLinks: readonly ObservedLink[];
  /** The function was given back to its driver since the return was begun. */
  readonly isRebound: boolean;
}

export type ReturnPlan =
  | Exclude<LoanPlan, { outcome: 'refused' }>
  /** Nowhere: the kernel has not given it back yet, or it was unplugged. Look again for a while, then it is gone. */
  | { readonly outcome: 'missing'; readonly why: string };

/**
 * Plans the way of a device back to how its lease tells it was, from wherever it is: in the pod, on the node under the name that it
 * had in a pod whose namespace has ended, or halfway.
 */
export function planReturn({ device, nodeLinks, isRebound }: ObservedReturn, lease: DeviceLease): ReturnPlan {
  const { link, pci, vf, rdma } = device;
  const original = lease.link;
  const operations: DeviceOperation[] = rdma.inPod.map((name) => ({ op: 'move-rdma-out', device: name }));
  let ifName = link?.ifName ?? '';
  if (link?.place === 'pod' && original !== undefined) {
    const name = freeName(original.ifName, nodeLinks);
    operations.push({ op: 'move-out', ifName, name });
    ifName = name;
  }
  const pf = pfOutOfReach(device);
  if (pf !== undefined && lease.settings !== undefined) {
    if (operations.length > 0) return { outcome: 'plan', operations, isWhole: false };
    return { outcome: 'wait', why: `its PF ${pf} has no link on the node` };
  }
  if (vf !== undefined && lease.settings !== undefined) {
    for (const settings of missingSettings(vf.settings, lease.settings).toReversed()) {
      operations.push({ op: 'set-vf', pf: vf.pf.ifName, vfIndex: vf.index, settings });
    }
  }
  const unbound = rebindLost(device, lease);
  if (unbound !== undefined) return { outcome: 'plan', operations: [...operations, unbound], isWhole: false };
  if (original === undefined || link === undefined) {
    const isOnItsWay = original !== undefined && pci?.driver !== undefined && !isUserspaceDriver(pci.driver);
    if (isOnItsWay && operations.length === 0) {
      return { outcome: 'wait', why: `the link of ${pci.address} is not back on the node` };
    }
    if (original !== undefined && original.kind === undefined && lease.pciAddress === undefined) {
      return { outcome: 'missing', why: `"${original.ifName}" is not back on the node` };
    }
    return { outcome: 'plan', operations, isWhole: !isOnItsWay };
  }
  // What the PF had told the VF, its link may have taken over only in the pod, and gives up no more.
  const told = lease.settings ?? vf?.settings;
  const isAsTold = identityOf(link) === (link.isInfiniBand === true ? told?.portGuid : told?.mac);
  const wanted = isAsTold ? { ...original, mac: link.mac } : original;
  if (vf !== undefined && identityOf(link) !== identityOf(wanted) && pci?.driver !== undefined && !isRebound) {
    operations.push({ op: 'rebind', pciAddress: pci.address, driver: pci.driver });
    return { outcome: 'plan', operations, isWhole: false };
  }
  operations.push(...restoreLink(link, ifName, wanted, nodeLinks));
  return { outcome: 'plan', operations, isWhole: true };
}

/** In the node's namespace, where the link is called `ifName` by now. */
function restoreLink(
  link: NonNullable<ObservedDevice['link']>,
  ifName: string,
  original: LentLink,
  nodeLinks: readonly ObservedLink[],
): DeviceOperation[] {
  const place = 'node';
  const operations: DeviceOperation[] = [];
  let isUp = link.place === 'node' && link.isUp; // a link that moves goes down
  let name = ifName;
  if (name !== original.ifName && !nodeLinks.some((other) => other.ifName === original.ifName)) {
    if (isUp) operations.push({ op: 'set-down', place, ifName: name });
    isUp = false;
    operations.push({ op: 'set-name', place, ifName: name, name: original.ifName });
    name = original.ifName;
  }
  if (link.mtuBytes !== original.mtuBytes) {
    operations.push({ op: 'set-mtu', place, ifName: name, mtuBytes: original.mtuBytes });
  }
  // A port GUID is the PF's to tell, and the rest of such an address the driver's.
  const hasOwnMac = link.isInfiniBand !== true;
  if (hasOwnMac && link.mac !== original.mac)
    operations.push({ op: 'set-mac', place, ifName: name, mac: original.mac });
  if (isUp !== original.isUp) operations.push({ op: original.isUp ? 'set-up' : 'set-down', place, ifName: name });
  // Last: until then the alias says whose it was.
  if (link.alias !== original.alias) operations.push({ op: 'set-alias', place, ifName: name, alias: original.alias });
  return operations;
}

/** The name that it had, unless the node has given it to another link meanwhile: then the first `dev<number>` that is free, as the kernel does. */
function freeName(wanted: string, nodeLinks: readonly ObservedLink[]): string {
  const taken = new Set(nodeLinks.map(({ ifName }) => ifName));
  if (!taken.has(wanted)) return wanted;
  for (let number = 0; ; number += 1) if (!taken.has(`dev${number}`)) return `dev${number}`;
}
