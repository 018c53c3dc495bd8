import { describe, expect, it } from '@jest/globals';
import { textAttribute } from './attribute.ts';
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
  RTM_NEWLINK,
} from './netlink-constants.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { encodeMessage } from './nlmsg.ts';
import { SystemCallError, type SystemCalls } from './system-calls.ts';

const request = { type: 18, flags: 0, body: Buffer.alloc(16) };
const done = Buffer.alloc(4);

interface Answer {
  readonly type: number;
  readonly flags?: number;
  readonly body: Buffer;
  /** How far from the request's. */
  readonly sequenceOffset?: number;
}

/** A kernel that gives each request the next answer of a list; none left means silence. */
function scriptedKernel(answers: readonly (readonly Answer[])[]): { calls: SystemCalls; closed: number[] } {
  const left = [...answers];
  const closed: number[] = [];
  let datagram: Buffer | undefined;
  const unused = (): never => {
    throw new Error('not expected');
  };
  const calls: SystemCalls = {
    open: unused,
    ioctl: unused,
    setns: unused,
    socket: unused,
    getsockoptU64: unused,
    poll: unused,
    fileSystemType: unused,
    bind: () => undefined,
    setsockopt: () => undefined,
    close: (fd) => void closed.push(fd),
    sendto: (_fd, data) => {
      const sequence = data.readUInt32LE(8);
      const messages = left
        .shift()
        ?.map(({ type, flags = 0, body, sequenceOffset = 0 }) =>
          encodeMessage({ type, flags, body }, sequence + sequenceOffset),
        );
      datagram = messages === undefined ? undefined : Buffer.concat(messages);
      return data.length;
    },
    recv: (_fd, into) => {
      if (datagram === undefined) throw new SystemCallError('recv', 11);
      const { length } = datagram;
      into.set(datagram);
      datagram = undefined;
      return length;
    },
  };
  return { calls, closed };
}

const errno = (value: number): Buffer => {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-value);
  return body;
};

const link: Answer = { type: RTM_NEWLINK, body: Buffer.alloc(16) };

describe('a netlink conversation', () => {
  it('gives the kernel’s sentence with a refusal', () => {
    const body = Buffer.concat([errno(17), textAttribute(NLMSGERR_ATTR_MSG, 'File exists already')]);
    const flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
    const socket = new NetlinkSocket(scriptedKernel([[{ type: NLMSG_ERROR, flags, body }]]).calls, 7);
    expect(() => socket.change('RTM_NEWLINK', request)).toThrow(
      expect.objectContaining({ operation: 'RTM_NEWLINK', errno: 17, code: 'EEXIST', extack: 'File exists already' }),
    );
  });

  it('reads a list again when it changed meanwhile', () => {
    const interrupted = [
      { ...link, flags: NLM_F_DUMP_INTR },
      { type: NLMSG_DONE, body: done },
    ];
    const complete = [link, link, { type: NLMSG_DONE, body: done }];
    const socket = new NetlinkSocket(scriptedKernel([interrupted, interrupted, complete]).calls, 7);
    expect(socket.dump('RTM_GETLINK', request)).toHaveLength(2);
  });

  it('gives up on a list that never holds still', () => {
    const interrupted = [{ type: NLMSG_DONE, flags: NLM_F_DUMP_INTR, body: done }];
    const socket = new NetlinkSocket(scriptedKernel(Array.from({ length: 10 }, () => interrupted)).calls, 7);
    expect(() => socket.dump('RTM_GETLINK', request)).toThrow(/changed during each of 10 readings: EAGAIN/);
  });

  it('finds the error at the end of a list', () => {
    const socket = new NetlinkSocket(scriptedKernel([[link, { type: NLMSG_DONE, body: errno(1) }]]).calls, 7);
    expect(() => socket.dump('RTM_GETLINK', request)).toThrow('RTM_GETLINK: EPERM');
  });

  it('passes over the answer to an earlier request', () => {
    const stale = { type: NLMSG_ERROR, body: errno(17), sequenceOffset: -1 };
    const answer = { type: NLMSG_ERROR, body: errno(0) };
    const socket = new NetlinkSocket(scriptedKernel([[stale, answer]]).calls, 7);
    expect(() => socket.change('RTM_NEWLINK', request)).not.toThrow();
  });

  it('says that the kernel is silent', () => {
    const socket = new NetlinkSocket(scriptedKernel([]).calls, 7);
    expect(() => socket.change('RTM_NEWLINK', request)).toThrow('RTM_NEWLINK: no answer for 5 s: ETIMEDOUT');
  });

  it('closes its descriptor at the end, and when it cannot begin', () => {
    const { calls, closed } = scriptedKernel([]);
    new NetlinkSocket(calls, 7).close();
    const refusing = {
      ...calls,
      bind: () => {
        throw new SystemCallError('bind', 1);
      },
    };
    expect(() => new NetlinkSocket(refusing, 8)).toThrow('bind: EPERM');
    expect(closed).toEqual([7, 8]);
  });
});
