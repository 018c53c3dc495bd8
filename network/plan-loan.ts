import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import type { Failure } from '../contracts/failures.ts';
import type { DeviceOperation, Rebind } from './device-operation.ts';
import { identityOf } from './link-identity.ts';
import { loanAliasOf } from './loan-mark.ts';
import type { ObservedDevice } from './observed-device.ts';
import type { ObservedLink } from './observed-namespace.ts';
import type { OwnershipMark } from './ownership-mark.ts';
import { describeLink } from './plan-attachment.ts';
import { nameOfDevice } from './plan-lease.ts';
import { missingSettings } from './vf-settings.ts';

/** A device as the pod is to have it, but for addresses and routes. */
export interface DesiredLoan extends OwnershipMark {
  readonly device: DeviceConf;
  readonly lease: DeviceLease;
}

export interface ObservedLoan {
  readonly device: ObservedDevice;
  readonly podLinks: readonly ObservedLink[];
  /** The function was given back to its driver since the change was begun, and shows what it took over. */
  readonly isRebound: boolean;
}

export type LoanPlan =
  /** `isWhole`: nothing is left to be planned once this is done. Else look again. */
  | { readonly outcome: 'plan'; readonly operations: readonly DeviceOperation[]; readonly isWhole: boolean }
  /** The kernel is not ready; look again a little later. */
  | { readonly outcome: 'wait'; readonly why: string }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** Plans what is missing until the pod has the device, from wherever an earlier attempt left it. */
export function planLoan({ device, podLinks, isRebound }: ObservedLoan, desired: DesiredLoan): LoanPlan {
  const { ifName, lease, device: conf } = desired;
  const { link, vf, pci, rdma } = device;
  const moveRdma = rdma.inNode.map((name) => ({ op: 'move-rdma-in', device: name }) as const);
  if (conf.kind === 'rdma') {
    if (link?.place !== 'pod') return { outcome: 'refused', failure: linkElsewhere(desired, link) };
    return { outcome: 'plan', operations: moveRdma, isWhole: true };
  }
  const failure = occupied(podLinks, device, desired);
  if (failure !== undefined) return { outcome: 'refused', failure };
  const unbound = rebindLost(device, lease);
  if (lease.link !== undefined && link === undefined && unbound === undefined) {
    return { outcome: 'wait', why: `${nameOfDevice(conf)} has no link` };
  }
  const settings = conf.kind === 'sriov' ? conf.settings : {};
  const pf = pfOutOfReach(device);
  if (pf !== undefined && Object.keys(settings).length > 0) {
    return { outcome: 'wait', why: `its PF ${pf} has no link on the node` };
  }
  const operations: DeviceOperation[] =
    vf === undefined
      ? []
      : missingSettings(vf.settings, settings).map((one) => ({
          op: 'set-vf',
          pf: vf.pf.ifName,
          vfIndex: vf.index,
          settings: one,
        }));
  if (unbound !== undefined) return { outcome: 'plan', operations: [...operations, unbound], isWhole: false };
  if (link === undefined) return { outcome: 'plan', operations, isWhole: true };
  if (rdma.inNode.length + rdma.inPod.length < (lease.rdmaDevices ?? []).length) {
    return { outcome: 'wait', why: 'its RDMA device is not back' };
  }
  const address = settings.mac ?? settings.portGuid;
  if (link.place === 'node' && address !== undefined && identityOf(link) !== address) {
    if (isRebound || pci?.driver === undefined)
      return { outcome: 'refused', failure: addressNotTaken(desired, address) };
    operations.push({ op: 'rebind', pciAddress: pci.address, driver: pci.driver });
    return { outcome: 'plan', operations, isWhole: false };
  }
  const stranger = rdma.inNode.find((name) => lease.rdmaDevices?.includes(name) === false);
  if (link.isInfiniBand === true && stranger !== undefined) {
    // In the pod nothing but its name would tell whose it is: an InfiniBand port names no link.
    return { outcome: 'wait', why: `its RDMA device has come back as "${stranger}"` };
  }
  if (link.place === 'node') {
    const alias = loanAliasOf(desired);
    if (link.alias !== alias) operations.push({ op: 'set-alias', place: 'node', ifName: link.ifName, alias });
    operations.push({ op: 'move-in', ifName: link.ifName, name: ifName });
  } else if (link.ifName !== ifName) {
    if (link.isUp) operations.push({ op: 'set-down', place: 'pod', ifName: link.ifName });
    operations.push({ op: 'set-name', place: 'pod', ifName: link.ifName, name: ifName });
  }
  const { mtuBytes } = conf;
  if (mtuBytes !== undefined && mtuBytes !== link.mtuBytes) {
    operations.push({ op: 'set-mtu', place: 'pod', ifName, mtuBytes });
  }
  if (conf.kind === 'sriov' && conf.movesRdma) operations.push(...moveRdma);
  return { outcome: 'plan', operations, isWhole: true };
}

/** What a worker left that was killed after it had taken the function from its driver. */
export const rebindLost = ({ link, pci }: ObservedDevice, lease: DeviceLease): Rebind | undefined =>
  lease.link !== undefined &&
  lease.driver !== undefined &&
  link === undefined &&
  pci !== undefined &&
  pci.driver === undefined
    ? { op: 'rebind', pciAddress: pci.address, driver: lease.driver }
    : undefined;

/** Address of a VF's PF that cannot be told or asked: it has no link in the node's namespace. */
export const pfOutOfReach = ({ pci, vf }: ObservedDevice): string | undefined =>
  vf === undefined ? pci?.pf : undefined;

function occupied(
  podLinks: readonly ObservedLink[],
  { link }: ObservedDevice,
  desired: DesiredLoan,
): Failure | undefined {
  const { ifName, device } = desired;
  const there = podLinks.find((one) => one.ifName === ifName);
  if (there === undefined || (link?.place === 'pod' && link.ifIndex === there.ifIndex)) return undefined;
  return {
    type: 'InterfaceExists',
    message: `Cannot name ${nameOfDevice(device)} "${ifName}": the pod already has an interface of that name (${describeLink(there)}). Nothing was changed`,
    remedy: `Give one of the two networks another interface name, or remove the stranger in the pod's namespace: ip link del ${ifName}`,
  };
}

/** The RDMA device of a NIC that the node, or another pod, has must not leave it. */
const linkElsewhere = ({ device }: DesiredLoan, link: ObservedLink | undefined): Failure => ({
  type: 'DeviceUnfit',
  message: `Cannot lend ${nameOfDevice(device)} to the pod: its link is not in the pod${link === undefined ? '' : `, it is "${link.ifName}" on the node`}. Nothing was changed`,
  remedy: 'Put type rdma behind the plugin that moves the link of the same device into the pod',
});

const addressNotTaken = ({ device }: DesiredLoan, address: string): Failure => ({
  type: 'KernelRefused',
  message: `Cannot give ${nameOfDevice(device)} the address ${address}: its PF has it, and the driver of the VF does not take it over`,
  remedy: 'Leave `mac` or `guid` out, or look at the driver of the VF: dmesg on the node',
});
