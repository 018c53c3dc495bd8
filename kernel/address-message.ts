import { formatPrefix, type IpPrefix } from '../network/ip-prefix.ts';
import type { ObservedAddress } from '../network/observed-namespace.ts';
import { attribute, readAttributes } from './attribute.ts';
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_F_NODAD,
  IFA_LOCAL,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RT_SCOPE_LINK,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

const ifaddrmsgBytes = 8;

/** struct ifaddrmsg, include/uapi/linux/if_addr.h, and the address. IFA_ADDRESS is the far end's, the same but for point to point. */
function body(ifIndex: number, { family, bytes, length }: IpPrefix, flags: number): Buffer {
  const header = Buffer.alloc(ifaddrmsgBytes);
  header.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0);
  header.writeUInt8(length, 1);
  header.writeUInt8(flags, 2);
  header.writeUInt32LE(ifIndex, 4);
  return Buffer.concat([header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)]);
}

export const addAddress = (ifIndex: number, address: IpPrefix): NetlinkRequest => ({
  type: RTM_NEWADDR,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: body(ifIndex, address, address.family === 6 ? IFA_F_NODAD : 0),
});

export const deleteAddress = (ifIndex: number, address: IpPrefix): NetlinkRequest => ({
  type: RTM_DELADDR,
  flags: 0,
  body: body(ifIndex, address, 0),
});

export const dumpAddresses = (): NetlinkRequest => ({
  type: RTM_GETADDR,
  flags: NLM_F_DUMP,
  body: Buffer.alloc(ifaddrmsgBytes),
});

export function readAddress({ body }: NetlinkMessage): ObservedAddress {
  const attributes = readAttributes(body, ifaddrmsgBytes);
  const bytes = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS) ?? Buffer.alloc(4);
  return {
    ifIndex: body.readUInt32LE(4),
    family: body.readUInt8(0) === AF_INET ? 4 : 6,
    address: formatPrefix({ bytes, length: body.readUInt8(1) }),
    isLinkLocal: body.readUInt8(3) === RT_SCOPE_LINK,
  };
}
