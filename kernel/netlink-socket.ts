import {
  AF_NETLINK,
  MSG_TRUNC,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  SO_RCVTIMEO,
  SOL_NETLINK,
  SOL_SOCKET,
} from './netlink-constants.ts';
import { NetlinkError, readAcknowledgement } from './netlink-error.ts';
import { decodeMessages, encodeMessage, type NetlinkMessage, type NetlinkRequest } from './nlmsg.ts';
import { SystemCallError, type SystemCalls } from './system-calls.ts';

/** The kernel answers inside sendto(2), so waiting at all means that it is stuck. */
const answerSeconds = 5;
/** A dump comes in chunks of at most 32 KiB; a single link with 128 VFs stays below this too. */
const received = Buffer.allocUnsafe(256 * 1024); // one for each thread: nothing awaits between filling and copying
/** Others change the list while we read it; then it may lack an entry and is read again. */
const dumpAttempts = 10;

const EAGAIN = 11;
const EMSGSIZE = 90;
const ETIMEDOUT = 110;

/** One rtnetlink conversation, in the namespace where the socket was made. Synchronous; close it at the end of the operation. */
export class NetlinkSocket {
  readonly #calls: SystemCalls;
  readonly #fd: number;
  #sequence = 0;

  constructor(calls: SystemCalls, fd: number) {
    this.#calls = calls;
    this.#fd = fd;
    try {
      const address = Buffer.alloc(12); // struct sockaddr_nl: the kernel chooses the port
      address.writeUInt16LE(AF_NETLINK);
      calls.bind(fd, address);
      for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK]) {
        calls.setsockopt(fd, SOL_NETLINK, option, u32(1));
      }
      const timeval = Buffer.alloc(16);
      timeval.writeBigInt64LE(BigInt(answerSeconds));
      calls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval);
    } catch (error) {
      calls.close(fd);
      throw error;
    }
  }

  /** Asks for a change. Throws the kernel's refusal as a `NetlinkError` that names `operation`. */
  change(operation: string, request: NetlinkRequest): void {
    this.#exchange(operation, request, NLM_F_ACK);
  }

  /** Asks for one object. */
  get(operation: string, request: NetlinkRequest): NetlinkMessage {
    const [answer] = this.#exchange(operation, request, NLM_F_ACK).messages;
    if (answer === undefined) throw new Error(`${operation}: the kernel acknowledged without an answer`);
    return answer;
  }

  /** Asks for all objects, as of one moment. */
  dump(operation: string, request: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt += 1) {
      const { messages, isInterrupted } = this.#exchange(operation, request, 0);
      if (!isInterrupted) return messages;
    }
    throw new NetlinkError(`${operation}: the list changed during each of ${dumpAttempts} readings`, EAGAIN);
  }

  /**
   * Asks for several changes of which the kernel makes all or none: nfnetlink's batch, which the first request opens and the
   * last one closes. Throws the first refusal.
   */
  transact(operation: string, requests: readonly NetlinkRequest[]): void {
    const first = this.#sequence + 1;
    const awaited = first + requests.length - 2; // the kernel answers in order, and the closing one not at all
    this.#sequence += requests.length;
    const datagram = requests.map((request, index) => {
      const flags = request.flags | NLM_F_REQUEST | (first + index === awaited ? NLM_F_ACK : 0);
      return encodeMessage({ ...request, flags }, first + index);
    });
    this.#calls.sendto(this.#fd, Buffer.concat(datagram));
    for (;;) {
      for (const message of this.#receive(operation)) {
        if (message.sequence < first || message.type !== NLMSG_ERROR) continue;
        const { errno, extack } = readAcknowledgement(message);
        if (errno !== 0) throw new NetlinkError(operation, errno, extack);
        if (message.sequence === awaited) return;
      }
    }
  }

  #exchange(
    operation: string,
    request: NetlinkRequest,
    flags: number,
  ): { messages: NetlinkMessage[]; isInterrupted: boolean } {
    this.#sequence += 1;
    const sequence = this.#sequence;
    this.#calls.sendto(this.#fd, encodeMessage({ ...request, flags: request.flags | NLM_F_REQUEST | flags }, sequence));
    const messages: NetlinkMessage[] = [];
    let isInterrupted = false;
    for (;;) {
      for (const message of this.#receive(operation)) {
        if (message.sequence !== sequence) continue; // the rest of a conversation that was given up
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) isInterrupted = true;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          const { errno, extack } = readAcknowledgement(message);
          if (errno !== 0) throw new NetlinkError(operation, errno, extack);
          return { messages, isInterrupted };
        }
        messages.push(message);
      }
    }
  }

  #receive(operation: string): NetlinkMessage[] {
    try {
      const length = this.#calls.recv(this.#fd, received, MSG_TRUNC);
      if (length > received.length) throw new NetlinkError(`${operation}: an answer of ${length} bytes`, EMSGSIZE);
      return decodeMessages(Buffer.from(received.subarray(0, length)));
    } catch (error) {
      const isSilent = error instanceof SystemCallError && error.code === 'EAGAIN';
      throw isSilent ? new NetlinkError(`${operation}: no answer for ${answerSeconds} s`, ETIMEDOUT) : error;
    }
  }

  close(): void {
    this.#calls.close(this.#fd);
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
