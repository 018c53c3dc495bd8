import { ETH_P_ARP } from './netlink-constants.ts';

export const broadcastMac = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

/**
 * An ARP announcement (RFC 5227 §2.3): a broadcast request in which sender and target are both the announced address.
 * Neighbours that hold an entry for it replace the MAC in it (RFC 826); others ignore it.
 */
export function arpAnnouncement(mac: Uint8Array, address: Uint8Array): Buffer {
  const frame = Buffer.alloc(42);
  frame.set(broadcastMac, 0);
  frame.set(mac, 6);
  frame.writeUInt16BE(ETH_P_ARP, 12);
  frame.writeUInt16BE(1, 14); // hardware type: Ethernet
  frame.writeUInt16BE(0x0800, 16); // protocol type: IPv4
  frame.writeUInt8(6, 18);
  frame.writeUInt8(4, 19);
  frame.writeUInt16BE(1, 20); // opcode: request
  frame.set(mac, 22);
  frame.set(address, 28);
  frame.set(address, 38); // the target's MAC, 32 to 37, stays zero
  return frame;
}
