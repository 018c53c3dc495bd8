import { ipvlanModes, type LinkShape, macvlanModes } from '../contracts/pod-network.ts';
import type { ObservedLink } from '../network/observed-namespace.ts';
import {
  type Attributes,
  attribute,
  nameAttribute,
  nestedAttribute,
  readAttributes,
  textAttribute,
  u16Attribute,
  u32Attribute,
} from './attribute.ts';
import { type BondSpec, bondAttributes, readBond } from './bond-attributes.ts';
import {
  ARPHRD_ETHER,
  ARPHRD_INFINIBAND,
  ETH_P_8021Q,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_BOND_ACTIVE_SLAVE,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_IPVLAN_FLAGS,
  IFLA_IPVLAN_MODE,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MACVLAN_MODE,
  IFLA_MASTER,
  IFLA_MAX_MTU,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_PARENT_DEV_BUS_NAME,
  IFLA_PARENT_DEV_NAME,
  IFLA_TXQLEN,
  IFLA_VLAN_ID,
  IFLA_VLAN_PROTOCOL,
  IPVLAN_MODE,
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

export const ifinfomsgBytes = 16;

/** struct ifinfomsg, include/uapi/linux/rtnetlink.h. Of `flags` the kernel changes those that `change` names. */
export function ifinfomsg(ifIndex: number, flags = 0, change = 0): Buffer {
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

/** Makes a link under its final name, on a parent in the socket's namespace; there, or in the namespace of `netnsFd`. */
export const createLink = (link: {
  readonly ifName: string;
  readonly parentIndex: number;
  readonly shape: LinkShape;
  readonly group: number;
  readonly netnsFd?: number | undefined;
}): NetlinkRequest =>
  create(
    ...(link.netnsFd === undefined ? [] : [u32Attribute(IFLA_NET_NS_FD, link.netnsFd)]),
    u32Attribute(IFLA_GROUP, link.group),
    u32Attribute(IFLA_LINK, link.parentIndex),
    nameAttribute(IFLA_IFNAME, link.ifName),
    linkInfo(link.shape.kind, ...shapeAttributes(link.shape)),
  );

function shapeAttributes(shape: LinkShape): Buffer[] {
  switch (shape.kind) {
    case 'macvlan':
      return [u32Attribute(IFLA_MACVLAN_MODE, MACVLAN_MODE[shape.mode])];
    case 'ipvlan':
      return [u16Attribute(IFLA_IPVLAN_MODE, IPVLAN_MODE[shape.mode]), u16Attribute(IFLA_IPVLAN_FLAGS, 0)];
    case 'vlan':
      return [u16Attribute(IFLA_VLAN_ID, shape.vlanID)];
    default:
      return shape satisfies never;
  }
}

/** Makes a bond without ports in the socket's namespace. */
export const createBond = (link: BondSpec & { readonly ifName: string; readonly group: number }): NetlinkRequest =>
  create(
    u32Attribute(IFLA_GROUP, link.group),
    nameAttribute(IFLA_IFNAME, link.ifName),
    linkInfo('bond', ...bondAttributes(link)),
  );

/** Makes one port of a bond the one that sends. */
export const setActivePort = (ifIndex: number, portIndex: number): NetlinkRequest =>
  set(ifIndex, linkInfo('bond', u32Attribute(IFLA_BOND_ACTIVE_SLAVE, portIndex)));

/** Puts a link under a bond; with 0 takes it out of whatever it is a port of. */
export const setLinkController = (ifIndex: number, controllerIndex: number): NetlinkRequest =>
  set(ifIndex, u32Attribute(IFLA_MASTER, controllerIndex));

const linkInfo = (kind: string, ...data: readonly Uint8Array[]): Buffer =>
  nestedAttribute(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, kind), nestedAttribute(IFLA_INFO_DATA, ...data));

/** One end of a pair. What is absent the kernel chooses. */
export interface VethEnd {
  readonly ifName: string;
  readonly group?: number;
  readonly mac?: Uint8Array;
  readonly mtuBytes?: number;
}

/** Makes a pair of links: one in the socket's namespace, its peer in that of `netnsFd`. */
export const createVeth = (link: VethEnd & { readonly peer: VethEnd & { readonly netnsFd: number } }): NetlinkRequest =>
  create(
    ...endAttributes(link),
    nameAttribute(IFLA_IFNAME, link.ifName),
    linkInfo(
      'veth',
      nestedAttribute(
        VETH_INFO_PEER,
        ifinfomsg(0),
        ...endAttributes(link.peer),
        u32Attribute(IFLA_NET_NS_FD, link.peer.netnsFd),
        nameAttribute(IFLA_IFNAME, link.peer.ifName),
      ),
    ),
  );

const endAttributes = ({ group, mac, mtuBytes }: VethEnd): Buffer[] => [
  ...(group === undefined ? [] : [u32Attribute(IFLA_GROUP, group)]),
  ...(mac === undefined ? [] : [attribute(IFLA_ADDRESS, mac)]),
  ...(mtuBytes === undefined ? [] : [u32Attribute(IFLA_MTU, mtuBytes)]),
];

export const setLinkMac = (ifIndex: number, mac: Uint8Array): NetlinkRequest =>
  set(ifIndex, attribute(IFLA_ADDRESS, mac));

export const setTxQueueLen = (ifIndex: number, packets: number): NetlinkRequest =>
  set(ifIndex, u32Attribute(IFLA_TXQLEN, packets));

export const setLinkAlias = (ifIndex: number, alias: string): NetlinkRequest =>
  set(ifIndex, textAttribute(IFLA_IFALIAS, alias));

export const setLinkMtu = (ifIndex: number, mtuBytes: number): NetlinkRequest =>
  set(ifIndex, u32Attribute(IFLA_MTU, mtuBytes));

/** A link must be down to be renamed. */
export const setLinkName = (ifIndex: number, ifName: string): NetlinkRequest =>
  set(ifIndex, nameAttribute(IFLA_IFNAME, ifName));

/** Moves a link into another namespace, where it is down, without addresses, and has this name. */
export const moveLink = (ifIndex: number, netnsFd: number, ifName: string): NetlinkRequest =>
  set(ifIndex, u32Attribute(IFLA_NET_NS_FD, netnsFd), nameAttribute(IFLA_IFNAME, ifName));

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
  const shape = readShape(kind ?? '', info.nested(IFLA_INFO_DATA));
  const bond = kind === 'bond' ? readBond(info.nested(IFLA_INFO_DATA)) : undefined;
  const parentIndex = attributes.u32(IFLA_LINK);
  const controllerIndex = attributes.u32(IFLA_MASTER);
  const frameType = body.readUInt16LE(2);
  const flags = body.readUInt32LE(8);
  const maxMtuBytes = attributes.u32(IFLA_MAX_MTU) ?? 0; // 0: no limit
  const pciAddress =
    attributes.text(IFLA_PARENT_DEV_BUS_NAME) === 'pci' ? attributes.text(IFLA_PARENT_DEV_NAME) : undefined;
  return {
    ifIndex: body.readInt32LE(4),
    ifName: attributes.text(IFLA_IFNAME) ?? '',
    ...(kind === undefined ? {} : { kind }),
    mac: formatMac(attributes.bytes(IFLA_ADDRESS) ?? Buffer.alloc(0)),
    mtuBytes: attributes.u32(IFLA_MTU) ?? 0,
    ...(maxMtuBytes === 0 ? {} : { maxMtuBytes }),
    isUp: (flags & IFF_UP) !== 0,
    isLoopback: (flags & IFF_LOOPBACK) !== 0,
    isEthernet: frameType === ARPHRD_ETHER,
    ...(frameType === ARPHRD_INFINIBAND ? { isInfiniBand: true } : {}),
    group: attributes.u32(IFLA_GROUP) ?? 0,
    alias: attributes.text(IFLA_IFALIAS) ?? '',
    ...(parentIndex === undefined ? {} : { parentIndex }),
    ...(controllerIndex === undefined ? {} : { controllerIndex }),
    ...(pciAddress === undefined ? {} : { pciAddress }),
    ...(shape === undefined ? {} : { shape }),
    ...(bond === undefined ? {} : { bond }),
  };
}

function readShape(kind: string, data: Attributes): LinkShape | undefined {
  switch (kind) {
    case 'macvlan': {
      const mode = macvlanModes.find((name) => MACVLAN_MODE[name] === data.u32(IFLA_MACVLAN_MODE));
      return mode && { kind, mode };
    }
    case 'ipvlan': {
      const mode = ipvlanModes.find((name) => IPVLAN_MODE[name] === data.u16(IFLA_IPVLAN_MODE));
      return mode && { kind, mode };
    }
    case 'vlan': {
      const vlanID = data.u16(IFLA_VLAN_ID);
      const protocol = data.bytes(IFLA_VLAN_PROTOCOL)?.readUInt16BE() ?? ETH_P_8021Q;
      return vlanID === undefined || protocol !== ETH_P_8021Q ? undefined : { kind, vlanID };
    }
    default:
      return undefined;
  }
}

/** Whether what a link sends goes anywhere: a VF has its carrier some time after it was brought up. */
export const readHasCarrier = ({ body }: NetlinkMessage): boolean => (body.readUInt32LE(8) & IFF_LOWER_UP) !== 0;

/** Packets that a link queues before it drops: what RTM_GETLINK answers. */
export const readTxQueueLen = ({ body }: NetlinkMessage): number =>
  readAttributes(body, ifinfomsgBytes).u32(IFLA_TXQLEN) ?? 0;

/** The number of the namespace where the link underneath is; undefined when that is here. */
export const readLinkNamespace = ({ body }: NetlinkMessage): number | undefined =>
  readAttributes(body, ifinfomsgBytes).u32(IFLA_LINK_NETNSID);

/** Bytes of "be:f1:8d:f2:e1:59". */
export const parseMac = (text: string): Uint8Array =>
  Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));

/** "be:f1:8d:f2:e1:59" */
export const formatMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
