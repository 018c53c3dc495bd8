import { noGuid, type VfSettings, type VfVlanProtocol, vfLinkStates } from '../contracts/device.ts';
import { type Attributes, attribute, nestedAttribute, readAttributes, u32Attribute } from './attribute.ts';
import { formatMac, ifinfomsg, ifinfomsgBytes, parseMac } from './link-message.ts';
import {
  ETH_P_8021AD,
  ETH_P_8021Q,
  IFLA_EXT_MASK,
  IFLA_VF_IB_NODE_GUID,
  IFLA_VF_IB_PORT_GUID,
  IFLA_VF_INFO,
  IFLA_VF_LINK_STATE,
  IFLA_VF_MAC,
  IFLA_VF_RATE,
  IFLA_VF_SPOOFCHK,
  IFLA_VF_TRUST,
  IFLA_VF_VLAN,
  IFLA_VF_VLAN_INFO,
  IFLA_VF_VLAN_LIST,
  IFLA_VFINFO_LIST,
  RTEXT_FILTER_SKIP_STATS,
  RTEXT_FILTER_VF,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

/** struct ifla_vf_mac has room for InfiniBand's addresses: MAX_ADDR_LEN, include/linux/netdevice.h. */
const maxAddressBytes = 32;
const macBytes = 6;
/** What a driver answers that does not know the setting: ~0, rtnl_fill_vfinfo(), net/core/rtnetlink.c */
const unknown = 0xffff_ffff;

const protocols: Readonly<Record<VfVlanProtocol, number>> = { '802.1Q': ETH_P_8021Q, '802.1ad': ETH_P_8021AD };

/** Sets what is given of one VF, through its PF. A driver that refuses one setting leaves those before it: ask for one at a time. */
export const setVf = (pfIndex: number, vfIndex: number, settings: VfSettings): NetlinkRequest => ({
  type: RTM_NEWLINK,
  flags: 0,
  body: Buffer.concat([
    ifinfomsg(pfIndex),
    nestedAttribute(IFLA_VFINFO_LIST, nestedAttribute(IFLA_VF_INFO, ...settingAttributes(vfIndex, settings))),
  ]),
});

function settingAttributes(vf: number, settings: VfSettings): Buffer[] {
  const { mac, nodeGuid, portGuid, vlan, rate, spoofCheck, trust, linkState } = settings;
  const attributes: Buffer[] = [];
  if (mac !== undefined) attributes.push(attribute(IFLA_VF_MAC, Buffer.concat([words(vf), padded(parseMac(mac))])));
  if (nodeGuid !== undefined) attributes.push(attribute(IFLA_VF_IB_NODE_GUID, guidBytes(vf, nodeGuid)));
  if (portGuid !== undefined) attributes.push(attribute(IFLA_VF_IB_PORT_GUID, guidBytes(vf, portGuid)));
  if (vlan !== undefined) attributes.push(vlanAttribute(vf, vlan));
  if (rate !== undefined) attributes.push(attribute(IFLA_VF_RATE, words(vf, rate.minMbps, rate.maxMbps)));
  if (spoofCheck !== undefined) attributes.push(attribute(IFLA_VF_SPOOFCHK, words(vf, Number(spoofCheck))));
  if (trust !== undefined) attributes.push(attribute(IFLA_VF_TRUST, words(vf, Number(trust))));
  if (linkState !== undefined) {
    attributes.push(attribute(IFLA_VF_LINK_STATE, words(vf, vfLinkStates.indexOf(linkState))));
  }
  return attributes;
}

/** Drivers of before Linux 4.9 know 802.1Q only, in the older form. */
function vlanAttribute(vf: number, { id, qos, protocol }: NonNullable<VfSettings['vlan']>): Buffer {
  if (protocol === '802.1Q') return attribute(IFLA_VF_VLAN, words(vf, id, qos));
  const bigEndian = Buffer.alloc(4);
  bigEndian.writeUInt16BE(protocols[protocol]);
  const info = attribute(IFLA_VF_VLAN_INFO, Buffer.concat([words(vf, id, qos), bigEndian]));
  return nestedAttribute(IFLA_VF_VLAN_LIST, info);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) bytes.writeUInt32LE(value, 4 * at);
  return bytes;
}

/** struct ifla_vf_guid: a number in the machine's order, on a boundary of eight bytes. */
function guidBytes(vf: number, guid: string): Buffer {
  const bytes = words(vf, 0, 0, 0);
  bytes.writeBigUInt64LE(BigInt(`0x${guid.replaceAll(':', '')}`), 8);
  return bytes;
}

function readGuid(bytes: Buffer | undefined): string | undefined {
  if (bytes === undefined || bytes.length < 16) return undefined;
  const value = bytes.readBigUInt64LE(8);
  return value === 0n ? noGuid : formatMac(Buffer.from(value.toString(16).padStart(16, '0'), 'hex'));
}

const padded = (address: Uint8Array): Buffer => Buffer.concat([address], maxAddressBytes);

/** Asks for a PF with the settings of all its VFs. */
export const getPf = (pfIndex: number): NetlinkRequest => ({
  type: RTM_GETLINK,
  flags: 0,
  body: Buffer.concat([ifinfomsg(pfIndex), u32Attribute(IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS)]),
});

/** The settings of one VF; undefined when the PF tells of none of that number. What its driver does not know is absent. */
export function readVf({ body }: NetlinkMessage, vfIndex: number): VfSettings | undefined {
  const list = readList(body);
  const info = list.find((attributes) => word(attributes.bytes(IFLA_VF_MAC), 0) === vfIndex);
  if (info === undefined) return undefined;
  const mac = info.bytes(IFLA_VF_MAC)?.subarray(4, 4 + macBytes);
  const vlan = readVlan(info);
  const [minMbps, maxMbps] = [1, 2].map((at) => word(info.bytes(IFLA_VF_RATE), at));
  const [spoofCheck, trust, linkState] = [IFLA_VF_SPOOFCHK, IFLA_VF_TRUST, IFLA_VF_LINK_STATE].map((type) =>
    word(info.bytes(type), 1),
  );
  const nodeGuid = readGuid(info.bytes(IFLA_VF_IB_NODE_GUID));
  const portGuid = readGuid(info.bytes(IFLA_VF_IB_PORT_GUID));
  const state = vfLinkStates[linkState ?? unknown];
  return {
    ...(mac === undefined ? {} : { mac: formatMac(mac) }),
    ...(nodeGuid === undefined ? {} : { nodeGuid }),
    ...(portGuid === undefined ? {} : { portGuid }),
    ...(vlan === undefined ? {} : { vlan }),
    ...(minMbps === undefined || maxMbps === undefined ? {} : { rate: { minMbps, maxMbps } }),
    ...(spoofCheck === undefined || spoofCheck === unknown ? {} : { spoofCheck: spoofCheck !== 0 }),
    ...(trust === undefined || trust === unknown ? {} : { trust: trust !== 0 }),
    ...(state === undefined ? {} : { linkState: state }),
  };
}

/** The list repeats one type, so it is no `Attributes`. */
function readList(body: Buffer): Attributes[] {
  const list = readAttributes(body, ifinfomsgBytes).bytes(IFLA_VFINFO_LIST) ?? Buffer.alloc(0);
  const infos: Attributes[] = [];
  for (let at = 0; at + 4 <= list.length; ) {
    const length = list.readUInt16LE(at);
    if (length < 4 || at + length > list.length) break;
    infos.push(readAttributes(list.subarray(at + 4, at + length)));
    at += (length + 3) & ~3;
  }
  return infos;
}

function readVlan(info: Attributes): VfSettings['vlan'] {
  const plain = info.bytes(IFLA_VF_VLAN);
  const [id, qos] = [word(plain, 1), word(plain, 2)];
  if (id === undefined || qos === undefined) return undefined;
  const full = info.nested(IFLA_VF_VLAN_LIST).bytes(IFLA_VF_VLAN_INFO);
  const isService = full !== undefined && full.length >= 14 && full.readUInt16BE(12) === ETH_P_8021AD;
  return { id, qos, protocol: isService ? '802.1ad' : '802.1Q' };
}

const word = (bytes: Buffer | undefined, at: number): number | undefined =>
  bytes === undefined || bytes.length < 4 * at + 4 ? undefined : bytes.readUInt32LE(4 * at);
