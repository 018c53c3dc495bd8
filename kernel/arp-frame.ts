import { ETH_P_ARP } from './netlink-constants.ts';

export const broadcastMac = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

/** 0.0.0.0: a sender that has no address yet, or does not say which. */
export const unspecifiedIPv4 = new Uint8Array(4);

const frameBytes = 42;
const ethernet = 1;
const ipv4 = 0x0800;
const request = 1;

/** What an ARP packet says: who sends it, and whom it asks for. */
export interface ArpPacket {
  readonly isRequest: boolean;
  readonly senderMac: Uint8Array;
  readonly sender: Uint8Array;
  readonly target: Uint8Array;
}

/**
 * Asks all who has an address (RFC 826). With 0.0.0.0 as sender it is a probe (RFC 5227 §2.1.1), from which nobody learns
 * anything; with another sender whoever knows that one remembers its MAC.
 */
export function arpRequest(mac: Uint8Array, sender: Uint8Array, target: Uint8Array): Buffer {
  const frame = Buffer.alloc(frameBytes);
  frame.set(broadcastMac, 0);
  frame.set(mac, 6);
  frame.writeUInt16BE(ETH_P_ARP, 12);
  frame.writeUInt16BE(ethernet, 14);
  frame.writeUInt16BE(ipv4, 16);
  frame.writeUInt8(6, 18);
  frame.writeUInt8(4, 19);
  frame.writeUInt16BE(request, 20);
  frame.set(mac, 22);
  frame.set(sender, 28);
  frame.set(target, 38); // the target's MAC, 32 to 37, stays zero
  return frame;
}

/**
 * An ARP announcement (RFC 5227 §2.3): a broadcast request in which sender and target are both the announced address.
 * Neighbours that hold an entry for it replace the MAC in it (RFC 826); others ignore it.
 */
export const arpAnnouncement = (mac: Uint8Array, address: Uint8Array): Buffer => arpRequest(mac, address, address);

/** Reads a frame as it came from the wire; undefined when it is no ARP packet about IPv4 on Ethernet. */
export function readArp(frame: Buffer): ArpPacket | undefined {
  if (frame.length < frameBytes || frame.readUInt16BE(12) !== ETH_P_ARP) return undefined;
  if (frame.readUInt16BE(14) !== ethernet || frame.readUInt16BE(16) !== ipv4) return undefined;
  if (frame.readUInt8(18) !== 6 || frame.readUInt8(19) !== 4) return undefined;
  return {
    isRequest: frame.readUInt16BE(20) === request,
    senderMac: frame.subarray(22, 28),
    sender: frame.subarray(28, 32),
    target: frame.subarray(38, 42),
  };
}
