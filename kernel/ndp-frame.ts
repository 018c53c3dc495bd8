import { parseAddress } from '../network/ip-prefix.ts';
import { ETH_P_IPV6 } from './netlink-constants.ts';

const allNodes = parseAddress('ff02::1');
/** RFC 2464 §7: 33:33 and the last four bytes of the group. */
const allNodesMac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
const icmpv6 = 58;
const neighborAdvertisement = 136;
const overrideFlag = 0x20;
const targetLinkLayerAddress = 2;

/**
 * An unsolicited neighbour advertisement to all nodes (RFC 4861 §4.4, §7.2.6) with the override flag: neighbours that hold an
 * entry for the address replace the MAC in it; others ignore it.
 */
export function neighbourAdvertisement(mac: Uint8Array, address: Uint8Array): Buffer {
  const message = Buffer.alloc(32);
  message.writeUInt8(neighborAdvertisement, 0);
  message.writeUInt8(overrideFlag, 4);
  message.set(address, 8);
  message.writeUInt8(targetLinkLayerAddress, 24);
  message.writeUInt8(1, 25); // its length in units of 8 bytes
  message.set(mac, 26);
  message.writeUInt16BE(checksum(address, allNodes, message), 2);
  return Buffer.concat([ethernetHeader(mac), ipv6Header(address, message.length), message]);
}

function ethernetHeader(mac: Uint8Array): Buffer {
  const header = Buffer.alloc(14);
  header.set(allNodesMac, 0);
  header.set(mac, 6);
  header.writeUInt16BE(ETH_P_IPV6, 12);
  return header;
}

function ipv6Header(source: Uint8Array, payloadBytes: number): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(payloadBytes, 4);
  header.writeUInt8(icmpv6, 6);
  header.writeUInt8(255, 7); // receivers drop any other hop limit: it proves that no router forwarded it (RFC 4861 §7.1.2)
  header.set(source, 8);
  header.set(allNodes, 24);
  return header;
}

/** RFC 1071 over the pseudo header of RFC 8200 §8.1 and the message, whose checksum field is zero. */
function checksum(source: Uint8Array, destination: Uint8Array, message: Uint8Array): number {
  const pseudoHeader = Buffer.alloc(8);
  pseudoHeader.writeUInt32BE(message.length, 0);
  pseudoHeader.writeUInt8(icmpv6, 7);
  const summed = Buffer.concat([source, destination, pseudoHeader, message]);
  let sum = 0;
  for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
