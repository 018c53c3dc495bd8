import koffi from 'koffi';
import { POLLIN } from './netlink-constants.ts';
import { errnoName } from './netlink-error.ts';

/** A system call that failed. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly call: string;
  readonly errno: number;
  readonly code: string;

  constructor(call: string, errno: number, about = '') {
    const code = errnoName(errno);
    super(`${call}${about === '' ? '' : ` ${about}`}: ${code}`);
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}

const EINTR = 4;

/**
 * A libc function whose result below 0 is a failure. Node runs JavaScript between the call and the reading of errno, so it is
 * read at once. A call that a signal interrupted is made again; not close(2), whose descriptor is free even then and may
 * already be another thread's.
 */
function systemCall<Arguments extends readonly unknown[]>(
  call: (...args: Arguments) => number | bigint,
  name: string,
): (...args: Arguments) => number {
  return (...args) => {
    for (;;) {
      const result = Number(call(...args));
      if (result >= 0) return result;
      const errno = koffi.errno();
      if (errno === EINTR && name === 'close') return 0;
      if (errno !== EINTR) throw new SystemCallError(name, errno, typeof args[0] === 'string' ? args[0] : '');
    }
  };
}

type Descriptor = number;

// The process's own symbols: whatever libc Node was linked with, glibc or musl.
const libc = koffi.load(null);

// open(2) and ioctl(2) are variadic; without a third argument they are called like any other on x86-64 and arm64.
const open: (path: string, flags: number) => number = systemCall(libc.func('int open(const char *, int)'), 'open');
const ioctl: (fd: Descriptor, request: number) => number = systemCall(
  libc.func('int ioctl(int, unsigned long)'),
  'ioctl',
);
const close: (fd: Descriptor) => number = systemCall(libc.func('int close(int)'), 'close');
const setns: (fd: Descriptor, type: number) => number = systemCall(libc.func('int setns(int, int)'), 'setns');
const socket: (domain: number, type: number, protocol: number) => number = systemCall(
  libc.func('int socket(int, int, int)'),
  'socket',
);
const bind: (fd: Descriptor, address: Buffer, length: number) => number = systemCall(
  libc.func('int bind(int, const void *, uint32_t)'),
  'bind',
);
const setsockopt: (fd: Descriptor, level: number, name: number, value: Buffer, length: number) => number = systemCall(
  libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
  'setsockopt',
);
const getsockopt: (fd: Descriptor, level: number, name: number, value: Buffer, length: Buffer) => number = systemCall(
  libc.func('int getsockopt(int, int, int, void *, void *)'),
  'getsockopt',
);
const sendto: (
  fd: Descriptor,
  data: Buffer,
  length: number,
  flags: number,
  to: Buffer | null,
  toLength: number,
) => number = systemCall(libc.func('int64_t sendto(int, const void *, size_t, int, const void *, uint32_t)'), 'sendto');
const recv: (fd: Descriptor, into: Buffer, length: number, flags: number) => number = systemCall(
  libc.func('int64_t recv(int, void *, size_t, int)'),
  'recv',
);
const poll: (entries: Buffer, count: number, timeoutMs: number) => number = systemCall(
  libc.func('int poll(void *, unsigned long, int)'),
  'poll',
);
const fstatfs: (fd: Descriptor, into: Buffer) => number = systemCall(libc.func('int fstatfs(int, void *)'), 'fstatfs');

/**
 * The system calls that this folder needs and Node has not. All of them block the thread that calls, so they are for worker
 * threads and tests. Each throws a `SystemCallError`.
 */
export const systemCalls = {
  open: (path: string, flags: number): Descriptor => open(path, flags),
  /** A request without an argument. */
  ioctl: (fd: Descriptor, request: number): number => ioctl(fd, request),
  close: (fd: Descriptor): void => void close(fd),
  setns: (fd: Descriptor, type: number): void => void setns(fd, type),
  socket: (domain: number, type: number, protocol: number): Descriptor => socket(domain, type, protocol),
  bind: (fd: Descriptor, address: Buffer): void => void bind(fd, address, address.length),
  setsockopt: (fd: Descriptor, level: number, name: number, value: Buffer): void =>
    void setsockopt(fd, level, name, value, value.length),
  getsockoptU64(fd: Descriptor, level: number, name: number): bigint {
    const value = Buffer.alloc(8);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(value.length);
    getsockopt(fd, level, name, value, length);
    return value.readBigUInt64LE();
  },
  sendto: (fd: Descriptor, data: Buffer, to?: Buffer): number =>
    sendto(fd, data, data.length, 0, to ?? null, to?.length ?? 0),
  recv: (fd: Descriptor, into: Buffer, flags: number): number => recv(fd, into, into.length, flags),
  /** Those of the descriptors that have something to read, or an error to tell, within this time. */
  poll(fds: readonly Descriptor[], timeoutMs: number): readonly Descriptor[] {
    const entries = Buffer.alloc(8 * fds.length); // struct pollfd: fd, events, revents
    for (const [at, fd] of fds.entries()) {
      entries.writeInt32LE(fd, 8 * at);
      entries.writeInt16LE(POLLIN, 8 * at + 4);
    }
    if (poll(entries, fds.length, timeoutMs) === 0) return [];
    return fds.filter((_, at) => entries.readInt16LE(8 * at + 6) !== 0);
  },
  /** f_type of the file system that holds the file: struct statfs begins with it on 64-bit machines (statfs(2)). */
  fileSystemType(fd: Descriptor): number {
    const result = Buffer.alloc(256); // struct statfs has 120 bytes
    fstatfs(fd, result);
    return Number(result.readBigInt64LE(0));
  },
};

export type SystemCalls = typeof systemCalls;
