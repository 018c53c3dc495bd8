import { type MacvlanMode, macvlanModes } from '../contracts/pod-network.ts';
import type { ObservedLink } from '../network/observed-namespace.ts';
import { nameAttribute, nestedAttribute, readAttributes, textAttribute, u32Attribute } from './attribute.ts';
import {
  ARPHRD_ETHER,
  IFF_LOOPBACK,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINKINFO,
  IFLA_MACVLAN_MODE,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  MACVLAN_MODE,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  VETH_INFO_PEER,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

const ifinfomsgBytes = 16;

/** struct ifinfomsg, include/uapi/linux/rtnetlink.h. Of `flags` the kernel changes those that `change` names. */
function ifinfomsg(ifIndex: number, flags = 0, change = 0): Buffer {
  const bytes = Buffer.alloc(ifinfomsgBytes);
  bytes.writeInt32LE(ifIndex, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

const create = (...attributes: readonly Uint8Array[]): NetlinkRequest => ({
  type: RTM_NEWLINK,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: Buffer.concat([ifinfomsg(0), ...attributes]),
});

const set = (ifIndex: number, ...attributes: readonly Uint8Array[]): NetlinkRequest => ({
  type: RTM_NEWLINK,
  flags: 0,
  body: Buffer.concat([ifinfomsg(ifIndex), ...attributes]),
});

/** Makes a macvlan in the namespace of `netnsFd`, under its final name, on a parent in the socket's namespace. */
export const createMacvlan = (link: {
  readonly ifName: string;
  readonly parentIndex: number;
  readonly mode: MacvlanMode;
  readonly group: number;
  readonly netnsFd: number;
}): NetlinkRequest =>
  create(
    u32Attribute(IFLA_NET_NS_FD, link.netnsFd),
    u32Attribute(IFLA_GROUP, link.group),
    u32Attribute(IFLA_LINK, link.parentIndex),
    nameAttribute(IFLA_IFNAME, link.ifName),
    nestedAttribute(
      IFLA_LINKINFO,
      textAttribute(IFLA_INFO_KIND, 'macvlan'),
      nestedAttribute(IFLA_INFO_DATA, u32Attribute(IFLA_MACVLAN_MODE, MACVLAN_MODE[link.mode])),
    ),
  );

/** Makes a pair of links: one in the socket's namespace, its peer in that of `netnsFd`. */
export const createVeth = (link: {
  readonly ifName: string;
  readonly group: number;
  readonly peer: { readonly ifName: string; readonly netnsFd: number };
}): NetlinkRequest =>
  create(
    u32Attribute(IFLA_GROUP, link.group),
    nameAttribute(IFLA_IFNAME, link.ifName),
    nestedAttribute(
      IFLA_LINKINFO,
      textAttribute(IFLA_INFO_KIND, 'veth'),
      nestedAttribute(
        IFLA_INFO_DATA,
        nestedAttribute(
          VETH_INFO_PEER,
          ifinfomsg(0),
          u32Attribute(IFLA_NET_NS_FD, link.peer.netnsFd),
          nameAttribute(IFLA_IFNAME, link.peer.ifName),
        ),
      ),
    ),
  );

export const setLinkAlias = (ifIndex: number, alias: string): NetlinkRequest =>
  set(ifIndex, textAttribute(IFLA_IFALIAS, alias));

export const setLinkMtu = (ifIndex: number, mtuBytes: number): NetlinkRequest =>
  set(ifIndex, u32Attribute(IFLA_MTU, mtuBytes));

export const setLinkUp = (ifIndex: number, isUp: boolean): NetlinkRequest => ({
  type: RTM_NEWLINK,
  flags: 0,
  body: ifinfomsg(ifIndex, isUp ? IFF_UP : 0, IFF_UP),
});

export const deleteLink = (ifIndex: number): NetlinkRequest => ({
  type: RTM_DELLINK,
  flags: 0,
  body: ifinfomsg(ifIndex),
});

export const getLink = (link: { readonly ifIndex: number } | { readonly ifName: string }): NetlinkRequest => ({
  type: RTM_GETLINK,
  flags: 0,
  body: Buffer.concat([
    ifinfomsg('ifIndex' in link ? link.ifIndex : 0),
    u32Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS),
    ...('ifName' in link ? [nameAttribute(IFLA_IFNAME, link.ifName)] : []),
  ]),
});

export const dumpLinks = (): NetlinkRequest => ({
  type: RTM_GETLINK,
  flags: NLM_F_DUMP,
  body: Buffer.concat([ifinfomsg(0), u32Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)]),
});

export function readLink({ body }: NetlinkMessage): ObservedLink {
  const attributes = readAttributes(body, ifinfomsgBytes);
  const info = attributes.nested(IFLA_LINKINFO);
  const kind = info.text(IFLA_INFO_KIND);
  const mode = kind === 'macvlan' ? info.nested(IFLA_INFO_DATA).u32(IFLA_MACVLAN_MODE) : undefined;
  const macvlanMode = macvlanModes.find((name) => MACVLAN_MODE[name] === mode);
  const parentIndex = attributes.u32(IFLA_LINK);
  const controllerIndex = attributes.u32(IFLA_MASTER);
  const flags = body.readUInt32LE(8);
  return {
    ifIndex: body.readInt32LE(4),
    ifName: attributes.text(IFLA_IFNAME) ?? '',
    ...(kind === undefined ? {} : { kind }),
    mac: formatMac(attributes.bytes(IFLA_ADDRESS) ?? Buffer.alloc(0)),
    mtuBytes: attributes.u32(IFLA_MTU) ?? 0,
    isUp: (flags & IFF_UP) !== 0,
    isLoopback: (flags & IFF_LOOPBACK) !== 0,
    isEthernet: body.readUInt16LE(2) === ARPHRD_ETHER,
    group: attributes.u32(IFLA_GROUP) ?? 0,
    alias: attributes.text(IFLA_IFALIAS) ?? '',
    ...(parentIndex === undefined ? {} : { parentIndex }),
    ...(controllerIndex === undefined ? {} : { controllerIndex }),
    ...(macvlanMode === undefined ? {} : { macvlanMode }),
  };
}

/** "be:f1:8d:f2:e1:59" */
export const formatMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
