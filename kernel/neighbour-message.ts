import type { NeighbourState } from '../network/coordination/coordination-operation.ts';
import { formatAddress } from '../network/ip-prefix.ts';
import { attribute, readAttributes } from './attribute.ts';
import { formatMac } from './link-message.ts';
import {
  AF_INET,
  AF_INET6,
  NDA_DST,
  NDA_LLADDR,
  NDA_PROTOCOL,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NUD_DELAY,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

const ndmsgBytes = 12;

const stateBits: Readonly<Record<NeighbourState, number>> = {
  reachable: NUD_REACHABLE,
  stale: NUD_STALE,
  delay: NUD_DELAY,
  probe: NUD_PROBE,
  permanent: NUD_PERMANENT,
  noarp: NUD_NOARP,
};

/** Who has an address on a link, with its MAC. */
export interface Neighbour {
  readonly ifIndex: number;
  readonly address: Uint8Array;
  readonly mac: Uint8Array;
  readonly state: NeighbourState;
  /** Who put it there; 0: the kernel, or somebody who did not say. */
  readonly protocol: number;
}

/** struct ndmsg, include/uapi/linux/neighbour.h */
function ndmsg(family: number, ifIndex: number, state: number): Buffer {
  const bytes = Buffer.alloc(ndmsgBytes);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(ifIndex, 4);
  bytes.writeUInt16LE(state, 8);
  return bytes;
}

const familyOf = (address: Uint8Array): number => (address.length === 4 ? AF_INET : AF_INET6);

export const replaceNeighbour = ({ ifIndex, address, mac, state, protocol }: Neighbour): NetlinkRequest => ({
  type: RTM_NEWNEIGH,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  body: Buffer.concat([
    ndmsg(familyOf(address), ifIndex, stateBits[state]),
    ...(protocol === 0 ? [] : [attribute(NDA_PROTOCOL, Uint8Array.of(protocol))]),
    attribute(NDA_DST, address),
    attribute(NDA_LLADDR, mac),
  ]),
});

/** Whatever its state is; the one in the message is ip(8)'s and not looked at. */
export const deleteNeighbour = ({ ifIndex, address }: Pick<Neighbour, 'ifIndex' | 'address'>): NetlinkRequest => ({
  type: RTM_DELNEIGH,
  flags: 0,
  body: Buffer.concat([ndmsg(familyOf(address), ifIndex, NUD_PERMANENT), attribute(NDA_DST, address)]),
});

export const dumpNeighbours = (family: 4 | 6): NetlinkRequest => ({
  type: RTM_GETNEIGH,
  flags: NLM_F_DUMP,
  body: ndmsg(family === 4 ? AF_INET : AF_INET6, 0, 0),
});

/** Undefined for an entry without a MAC: the kernel still asks, or nobody answered. */
export function readNeighbour({ body }: NetlinkMessage) {
  const attributes = readAttributes(body, ndmsgBytes);
  const address = attributes.bytes(NDA_DST);
  const mac = attributes.bytes(NDA_LLADDR);
  const bits = body.readUInt16LE(8);
  const state = (Object.keys(stateBits) as NeighbourState[]).find((name) => (stateBits[name] & bits) !== 0);
  if (address === undefined || mac === undefined || state === undefined) return undefined;
  return {
    ifIndex: body.readInt32LE(4),
    address: formatAddress(address),
    mac: formatMac(mac),
    state,
    protocol: attributes.bytes(NDA_PROTOCOL)?.[0] ?? 0,
  };
}
