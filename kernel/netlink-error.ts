import { getSystemErrorName } from 'node:util';
import { align, readAttributes } from './attribute.ts';
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_HDRLEN, NLMSGERR_ATTR_MSG } from './netlink-constants.ts';
import type { NetlinkMessage } from './nlmsg.ts';

/** "EEXIST" for 17. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`; // libuv names those that it knows
  }
}

/** The kernel's refusal of one request. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly operation: string;
  readonly errno: number;
  /** The errno's name, for example "EEXIST". */
  readonly code: string;
  /** The kernel's own sentence (NLMSGERR_ATTR_MSG), where it has one. */
  readonly extack: string | undefined;

  constructor(operation: string, errno: number, extack?: string) {
    const code = errnoName(errno);
    super(`${operation}: ${code}${extack === undefined ? '' : `: ${extack}`}`);
    this.operation = operation;
    this.errno = errno;
    this.code = code;
    this.extack = extack;
  }
}

/** What an NLMSG_ERROR or NLMSG_DONE says: errno 0 is success. struct nlmsgerr, include/uapi/linux/netlink.h */
export function readAcknowledgement({ type, flags, body }: NetlinkMessage): { errno: number; extack?: string } {
  const errno = body.length < 4 ? 0 : -body.readInt32LE(0);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno };
  const extack = readAttributes(body, 4 + echoedBytes(type, flags, body)).text(NLMSGERR_ATTR_MSG);
  return extack === undefined ? { errno } : { errno, extack };
}

/** An error repeats our request before its attributes, or with NLM_F_CAPPED the request's header only. */
function echoedBytes(type: number, flags: number, body: Buffer): number {
  if (type === NLMSG_DONE) return 0;
  return (flags & NLM_F_CAPPED) === 0 && body.length >= 8 ? align(body.readUInt32LE(4)) : NLMSG_HDRLEN;
}
