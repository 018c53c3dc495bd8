import { readAttributes, u32Attribute } from './attribute.ts';
import {
  NLM_F_DUMP,
  RDMA_NL_NLDEV,
  RDMA_NLDEV_ATTR_DEV_INDEX,
  RDMA_NLDEV_ATTR_DEV_NAME,
  RDMA_NLDEV_ATTR_NDEV_INDEX,
  RDMA_NLDEV_CMD_GET,
  RDMA_NLDEV_CMD_PORT_GET,
  RDMA_NLDEV_CMD_SET,
  RDMA_NLDEV_CMD_SYS_GET,
  RDMA_NLDEV_NET_NS_FD,
  RDMA_NLDEV_SYS_ATTR_NETNS_MODE,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

/** RDMA_NL_GET_TYPE, include/uapi/rdma/rdma_netlink.h. These messages have no header of their own. */
const request = (command: number, flags: number, ...attributes: readonly Uint8Array[]): NetlinkRequest => ({
  type: (RDMA_NL_NLDEV << 10) + command,
  flags,
  body: Buffer.concat(attributes),
});

/** Who sees the node's RDMA devices. `shared`: every namespace. `exclusive`: the one that a device is in. */
export type RdmaMode = 'shared' | 'exclusive';

export const getRdmaMode = (): NetlinkRequest => request(RDMA_NLDEV_CMD_SYS_GET, 0);

/** Kernels before 5.3 do not tell: they share. */
export const readRdmaMode = ({ body }: NetlinkMessage): RdmaMode =>
  readAttributes(body).u8(RDMA_NLDEV_SYS_ATTR_NETNS_MODE) === 0 ? 'exclusive' : 'shared';

export interface RdmaDevice {
  readonly index: number;
  readonly name: string;
}

/** Those that the socket's namespace sees. */
export const dumpRdmaDevices = (): NetlinkRequest => request(RDMA_NLDEV_CMD_GET, NLM_F_DUMP);

export function readRdmaDevice({ body }: NetlinkMessage): RdmaDevice {
  const attributes = readAttributes(body);
  return {
    index: attributes.u32(RDMA_NLDEV_ATTR_DEV_INDEX) ?? 0,
    name: attributes.text(RDMA_NLDEV_ATTR_DEV_NAME) ?? '',
  };
}

export const dumpRdmaPorts = (deviceIndex: number): NetlinkRequest =>
  request(RDMA_NLDEV_CMD_PORT_GET, NLM_F_DUMP, u32Attribute(RDMA_NLDEV_ATTR_DEV_INDEX, deviceIndex));

/** Index of the network link of an RDMA device's port; undefined when it has none in this namespace. */
export const readPortLink = ({ body }: NetlinkMessage): number | undefined =>
  readAttributes(body).u32(RDMA_NLDEV_ATTR_NDEV_INDEX);

/** Gives a device to another namespace; in exclusive mode only. */
export const moveRdmaDevice = (deviceIndex: number, netnsFd: number): NetlinkRequest =>
  request(
    RDMA_NLDEV_CMD_SET,
    0,
    u32Attribute(RDMA_NLDEV_ATTR_DEV_INDEX, deviceIndex),
    u32Attribute(RDMA_NLDEV_NET_NS_FD, netnsFd),
  );
