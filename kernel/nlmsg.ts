import { align } from './attribute.ts';
import { NLMSG_HDRLEN } from './netlink-constants.ts';

/** A request before it has a sequence number. */
export interface NetlinkRequest {
  readonly type: number;
  /** Beyond NLM_F_REQUEST and NLM_F_ACK, which the socket adds. */
  readonly flags: number;
  readonly body: Uint8Array;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

/** struct nlmsghdr and body, include/uapi/linux/netlink.h. Port 0: the kernel knows who sends. */
export function encodeMessage({ type, flags, body }: NetlinkRequest, sequence: number): Buffer {
  const bytes = Buffer.alloc(align(NLMSG_HDRLEN + body.length));
  bytes.writeUInt32LE(NLMSG_HDRLEN + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, NLMSG_HDRLEN);
  return bytes;
}

/** The messages of one datagram. Throws a RangeError when a length points outside it. */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + NLMSG_HDRLEN <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < NLMSG_HDRLEN || at + length > datagram.length) {
      throw new RangeError(`A netlink message at byte ${at} claims ${length} of ${datagram.length} bytes`);
    }
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + NLMSG_HDRLEN, at + length),
    });
    at += align(length);
  }
  return messages;
}
