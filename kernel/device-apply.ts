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
import { rebindPciFunction } from './pci-device.ts';
import { moveRdmaDevice } from './rdma-message.ts';
import { setVf } from './vf-message.ts';

/** Carries out a plan. The first refusal is thrown and the rest is left: the lease tells the way back from anywhere. */
export function applyToDevice(site: DeviceSite, operations: readonly DeviceOperation[]): void {
  for (const operation of operations) {
    try {
      execute(site, operation);
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

function execute(site: DeviceSite, operation: DeviceOperation): void {
  switch (operation.op) {
    case 'set-vf': {
      const { pf, vfIndex, settings } = operation;
      return change(site.node, pf, (ifIndex) => setVf(ifIndex, vfIndex, settings));
    }
    case 'rebind':
      return rebindPciFunction(operation.pciAddress, operation.driver);
    case 'move-in':
      return move(site.node, at(site, 'pod'), operation);
    case 'move-out':
      return move(at(site, 'pod'), site.node, operation);
    case 'set-name':
      return change(at(site, operation.place), operation.ifName, (ifIndex) => setLinkName(ifIndex, operation.name));
    case 'set-alias':
      return change(at(site, operation.place), operation.ifName, (ifIndex) => setLinkAlias(ifIndex, operation.alias));
    case 'set-mtu':
      return change(at(site, operation.place), operation.ifName, (ifIndex) => setLinkMtu(ifIndex, operation.mtuBytes));
    case 'set-mac':
      return change(at(site, operation.place), operation.ifName, (ifIndex) =>
        setLinkMac(ifIndex, parseMac(operation.mac)),
      );
    case 'set-up':
    case 'set-down':
      return change(at(site, operation.place), operation.ifName, (ifIndex) =>
        setLinkUp(ifIndex, operation.op === 'set-up'),
      );
    case 'move-rdma-in':
      return moveRdma(site.node, at(site, 'pod'), operation.device);
    case 'move-rdma-out':
      return moveRdma(at(site, 'pod'), site.node, operation.device);
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

const change = ({ socket }: OpenPlace, ifName: string, request: (ifIndex: number) => ReturnType<typeof setVf>): void =>
  socket.change('RTM_NEWLINK', request(readLink(socket.get('RTM_GETLINK', getLink({ ifName }))).ifIndex));

const move = (
  from: OpenPlace,
  to: OpenPlace,
  { ifName, name }: { readonly ifName: string; readonly name: string },
): void => change(from, ifName, (ifIndex) => moveLink(ifIndex, to.namespace.fd, name));

const moveRdma = (from: OpenPlace, to: OpenPlace, name: string): void =>
  withRdma(from.namespace, (socket) => {
    const device = listRdmaDevices(socket).find((one) => one.name === name);
    if (device === undefined) throw new NetlinkError(`RDMA_NLDEV_CMD_SET ${name}`, ENODEV);
    socket.change('RDMA_NLDEV_CMD_SET', moveRdmaDevice(device.index, to.namespace.fd));
  });

const ENODEV = 19;
