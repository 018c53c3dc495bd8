import { parseAddress } from '../network/ip-prefix.ts';
import { ETH_P_IPV6 } from './netlink-constants.ts';

/** `::`: a sender that has no address yet. */
export const unspecifiedIPv6 = new Uint8Array(16);

const allNodes = parseAddress('ff02::1');
const ethernetBytes = 14;
const headerBytes = 40;
const icmpv6 = 58;
/** Receivers drop any other: it proves that no router forwarded the message (RFC 4861 §7.1). */
const hopLimit = 255;
const neighborSolicitation = 135;
const neighborAdvertisement = 136;
const overrideFlag = 0x20;
const sourceLinkLayerAddress = 1;
const targetLinkLayerAddress = 2;

/** A neighbour solicitation or advertisement, as far as searches look at it. */
export interface NeighbourMessage {
  readonly kind: 'solicitation' | 'advertisement';
  readonly sender: Uint8Array;
  readonly senderMac: Uint8Array;
  /** The address that is asked for, or told of. */
  readonly target: Uint8Array;
}

/**
 * An unsolicited neighbour advertisement to all nodes (RFC 4861 §4.4, §7.2.6) with the override flag: neighbours that hold an
 * entry for the address replace the MAC in it; others ignore it.
 */
export const neighbourAdvertisement = (mac: Uint8Array, address: Uint8Array): Buffer =>
  toFrame(mac, address, allNodes, [
    Uint8Array.of(neighborAdvertisement, 0, 0, 0, overrideFlag, 0, 0, 0),
    address,
    linkLayerOption(targetLinkLayerAddress, mac),
  ]);

/**
 * Asks for an address at the group in which whoever has it listens (RFC 4861 §4.3). Without a sender it is a search for
 * duplicates (RFC 4862 §5.4.2), whose answer goes to all nodes; such a one must not carry the MAC.
 */
export const neighbourSolicitation = (mac: Uint8Array, sender: Uint8Array, target: Uint8Array): Buffer =>
  toFrame(mac, sender, solicitedNode(target), [
    Uint8Array.of(neighborSolicitation, 0, 0, 0, 0, 0, 0, 0),
    target,
    ...(isUnspecified(sender) ? [] : [linkLayerOption(sourceLinkLayerAddress, mac)]),
  ]);

/** Groups in which an answer to a search for duplicates, or another's search for the same address, is heard: their MACs. */
export const groupsOfSearch = (target: Uint8Array): readonly Uint8Array[] =>
  [allNodes, solicitedNode(target)].map(groupMac);

/** Reads a frame as it came from the wire; undefined when it is none of the two, or one that receivers drop (RFC 4861 §7.1). */
export function readNeighbourMessage(frame: Buffer): NeighbourMessage | undefined {
  if (frame.length < ethernetBytes + headerBytes + 24 || frame.readUInt16BE(12) !== ETH_P_IPV6) return undefined;
  const header = frame.subarray(ethernetBytes, ethernetBytes + headerBytes);
  if (header.readUInt8(6) !== icmpv6 || header.readUInt8(7) !== hopLimit) return undefined;
  const message = frame.subarray(ethernetBytes + headerBytes).subarray(0, header.readUInt16BE(4));
  const [sender, receiver] = [header.subarray(8, 24), header.subarray(24, 40)];
  if (message.length < 24 || checksum(sender, receiver, message) !== 0) return undefined;
  const type = message.readUInt8(0);
  if (type !== neighborSolicitation && type !== neighborAdvertisement) return undefined;
  return {
    kind: type === neighborSolicitation ? 'solicitation' : 'advertisement',
    sender,
    senderMac: frame.subarray(6, 12),
    target: message.subarray(8, 24),
  };
}

export const isUnspecified = (address: Uint8Array): boolean => address.every((byte) => byte === 0);

/** ff02::1:ff00:0/104 and the last three bytes of the address (RFC 4291 §2.7.1). */
const solicitedNode = (address: Uint8Array): Uint8Array =>
  Buffer.concat([parseAddress('ff02::1:ff00:0').subarray(0, 13), address.subarray(13)]);

/** RFC 2464 §7: 33:33 and the last four bytes of the group. */
const groupMac = (group: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0x33, 0x33), group.subarray(12)]);

/** Type, length in units of 8 bytes, MAC. */
const linkLayerOption = (type: number, mac: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(type, 1), mac]);

function toFrame(mac: Uint8Array, source: Uint8Array, group: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  const message = Buffer.concat(parts);
  message.writeUInt16BE(checksum(source, group, message), 2);
  return Buffer.concat([ethernetHeader(mac, groupMac(group)), ipv6Header(source, group, message.length), message]);
}

function ethernetHeader(mac: Uint8Array, to: Uint8Array): Buffer {
  const header = Buffer.alloc(ethernetBytes);
  header.set(to, 0);
  header.set(mac, 6);
  header.writeUInt16BE(ETH_P_IPV6, 12);
  return header;
}

function ipv6Header(source: Uint8Array, destination: Uint8Array, payloadBytes: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(payloadBytes, 4);
  header.writeUInt8(icmpv6, 6);
  header.writeUInt8(hopLimit, 7);
  header.set(source, 8);
  header.set(destination, 24);
  return header;
}

/** RFC 1071 over the pseudo header of RFC 8200 §8.1 and the message: what its zero field should hold, or 0 over a sound one. */
function checksum(source: Uint8Array, destination: Uint8Array, message: Uint8Array): number {
  const pseudoHeader = Buffer.alloc(8);
  pseudoHeader.writeUInt32BE(message.length, 0);
  pseudoHeader.writeUInt8(icmpv6, 7);
  const odd = new Uint8Array(message.length % 2);
  const summed = Buffer.concat([source, destination, pseudoHeader, message, odd]);
  let sum = 0;
  for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
