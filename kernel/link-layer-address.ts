import { AF_PACKET } from './netlink-constants.ts';

/** struct sockaddr_ll, include/uapi/linux/if_packet.h: on which link, with the frame's own protocol and destination. */
export function linkLayerAddress(ifIndex: number, frame: Buffer): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(frame.readUInt16BE(12), 2);
  address.writeInt32LE(ifIndex, 4);
  address.writeUInt8(6, 11);
  address.set(frame.subarray(0, 6), 12);
  return address;
}
