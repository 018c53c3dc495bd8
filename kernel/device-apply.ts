import { asDeviceCommand, type DeviceOperation } from '../network/device-operation.ts';
import type { Place } from '../network/observed-device.ts';
import { type DeviceSite, listRdmaDevices, type OpenPlace, withRdma } from './device-site.ts';
import { commandRefused } from './kernel-refused.ts';
import {
  getLink,
  moveLink,
  parseMac,
  readLink,
  setLinkAlias,
  setLinkMac,
  setLinkMtu,
  setLinkName,
  setLinkUp,
} from './link-message.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkRequest } from './nlmsg.ts';
import { rebindPciFunction } from './pci-device.ts';
import { moveRdmaDevice } from './rdma-message.ts';
import { setVf } from './vf-message.ts';

/** The link of the device, where it is now. Names change under us: udev renames what a driver has just made. */
interface Handle {
  readonly place: Place;
  readonly ifIndex: number;
}

/** Carries out a plan. The first refusal is thrown and the rest is left: the lease tells the way back from anywhere. */
export function applyToDevice(
  site: DeviceSite,
  link: Handle | undefined,
  operations: readonly DeviceOperation[],
): void {
  let handle = link;
  for (const operation of operations) {
    try {
      handle = execute(site, handle, operation);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      throw commandRefused(asDeviceCommand(operation, site.netns), error, remedyFor(operation, error.code));
    }
  }
}

function remedyFor({ op }: DeviceOperation, code: string): string | undefined {
  if (op === 'set-vf' && ['EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'ERANGE', 'EPROTONOSUPPORT'].includes(code)) {
    return 'The NIC or its driver does not know this setting or value: leave it out, or see dmesg on the node';
  }
  if (op === 'move-in' && code === 'EINVAL')
    return 'The kernel keeps links of this kind in their namespace: lend another';
  return undefined;
}

/** Gives where the link is afterwards; undefined when that has to be looked for. */
function execute(site: DeviceSite, handle: Handle | undefined, operation: DeviceOperation): Handle | undefined {
  const set = (request: (ifIndex: number) => NetlinkRequest): Handle => {
    if (handle === undefined) throw new NetlinkError(`RTM_NEWLINK ${operation.op}`, ENODEV);
    at(site, handle.place).socket.change('RTM_NEWLINK', request(handle.ifIndex));
    return handle;
  };
  const moveTo = (place: Place, name: string): Handle => {
    const to = at(site, place);
    set((ifIndex) => moveLink(ifIndex, to.namespace.fd, name));
    return { place, ifIndex: indexOf(to, name) };
  };
  switch (operation.op) {
    case 'set-vf': {
      const { pf, vfIndex, settings } = operation;
      site.node.socket.change('RTM_NEWLINK', setVf(indexOf(site.node, pf), vfIndex, settings));
      return handle;
    }
    case 'rebind':
      rebindPciFunction(operation.pciAddress, operation.driver);
      return undefined;
    case 'move-in':
      return moveTo('pod', operation.name);
    case 'move-out':
      return moveTo('node', operation.name);
    case 'set-name':
      return set((ifIndex) => setLinkName(ifIndex, operation.name));
    case 'set-alias':
      return set((ifIndex) => setLinkAlias(ifIndex, operation.alias));
    case 'set-mtu':
      return set((ifIndex) => setLinkMtu(ifIndex, operation.mtuBytes));
    case 'set-mac':
      return set((ifIndex) => setLinkMac(ifIndex, parseMac(operation.mac)));
    case 'set-up':
    case 'set-down':
      return set((ifIndex) => setLinkUp(ifIndex, operation.op === 'set-up'));
    case 'move-rdma-in':
      moveRdma(site.node, at(site, 'pod'), operation.device);
      return handle;
    case 'move-rdma-out':
      moveRdma(at(site, 'pod'), site.node, operation.device);
      return handle;
    default:
      return operation satisfies never;
  }
}

/** A plan puts nothing into a pod that is not there. */
function at({ node, pod, netns }: DeviceSite, place: Place): OpenPlace {
  if (place === 'node') return node;
  if (pod === undefined) throw new Error(`No namespace at ${netns} to work in`);
  return pod;
}

const indexOf = ({ socket }: OpenPlace, ifName: string): number =>
  readLink(socket.get('RTM_GETLINK', getLink({ ifName }))).ifIndex;

const moveRdma = (from: OpenPlace, to: OpenPlace, name: string): void =>
  withRdma(from.namespace, (socket) => {
    const device = listRdmaDevices(socket).find((one) => one.name === name);
    if (device === undefined) throw new NetlinkError(`RDMA_NLDEV_CMD_SET ${name}`, ENODEV);
    // The kernel compares with the caller's namespace, not the socket's: rdma_dev_change_netns(), drivers/infiniband/core/device.c
    from.namespace.inside(() => socket.change('RDMA_NLDEV_CMD_SET', moveRdmaDevice(device.index, to.namespace.fd)));
  });

const ENODEV = 19;
