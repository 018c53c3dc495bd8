import { fstatSync } from 'node:fs';
import { ProvisionError } from '../contracts/failures.ts';
import {
  AF_NETLINK,
  CLONE_NEWNET,
  NETLINK_ROUTE,
  NS_GET_NSTYPE,
  NSFS_MAGIC,
  O_CLOEXEC,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  SO_NETNS_COOKIE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from './netlink-constants.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { SystemCallError, type SystemCalls } from './system-calls.ts';

/** The calling thread's own; /proc/self would be the main thread's. */
const ownNamespace = '/proc/thread-self/ns/net';

/** An open network namespace. Held open it stays alive with all its links, so it is closed at the end of every operation. */
export class NetworkNamespace {
  readonly fd: number;
  readonly #calls: SystemCalls;

  constructor(calls: SystemCalls, fd: number) {
    this.#calls = calls;
    this.fd = fd;
  }

  /** The kernel's number of this namespace, never given twice until reboot (SO_NETNS_COOKIE, Linux 5.14). Decimal. */
  get cookie(): string {
    const socket = this.socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    try {
      return this.#calls.getsockoptU64(socket, SOL_SOCKET, SO_NETNS_COOKIE).toString();
    } finally {
      this.#calls.close(socket);
    }
  }

  /** Its inode in nsfs: what /proc/PID/ns/net names. Given again after the namespace is gone. Decimal. */
  get inode(): string {
    return fstatSync(this.fd, { bigint: true }).ino.toString();
  }

  /** A conversation with one of the kernel's netlink families: rtnetlink, unless another is named. */
  netlink(protocol = NETLINK_ROUTE): NetlinkSocket {
    return new NetlinkSocket(this.#calls, this.socket(AF_NETLINK, SOCK_RAW, protocol));
  }

  /** A socket that belongs to this namespace for its whole life, whichever thread uses it. */
  socket(domain: number, type: number, protocol: number): number {
    return this.inside(() => this.#calls.socket(domain, type | SOCK_CLOEXEC, protocol));
  }

  /**
   * Lets `work` make its system calls inside. It must be synchronous from the first to the last.
   *
   * Between the two setns the thread is in the pod: nothing is awaited, started or loaded there, because threads inherit the
   * namespace of the one that starts them. A thread that could not come back would do all its later work in the wrong
   * namespace; then ending the process is the only safe answer.
   */
  inside<Result>(work: () => Result): Result {
    const calls = this.#calls;
    const own = calls.open(ownNamespace, O_RDONLY | O_CLOEXEC);
    try {
      calls.setns(this.fd, CLONE_NEWNET);
      try {
        return work();
      } finally {
        try {
          calls.setns(own, CLONE_NEWNET);
        } catch {
          process.abort();
        }
      }
    } finally {
      calls.close(own);
    }
  }

  close(): void {
    this.#calls.close(this.fd);
  }
}

/** Lets `work` use what must be closed after it, however it ends. */
export function closing<Resource extends { close(): void }, Result>(
  resource: Resource,
  work: (resource: Resource) => Result,
): Result {
  try {
    return work(resource);
  } finally {
    resource.close();
  }
}

export type NamespaceOpening =
  | { readonly outcome: 'opened'; readonly namespace: NetworkNamespace }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'not-a-namespace'; readonly found: string };

/**
 * Opens what a path names, if it is a network namespace. The path comes from a request, so it is first opened with O_PATH,
 * which touches no device, takes no side of a FIFO and waits for nobody; only what proves to be a namespace is opened for use.
 * Throws when the world prevents the answer (permissions, no descriptors left): that is no proof of absence.
 */
export function openNamespace(calls: SystemCalls, path: string): NamespaceOpening {
  if (!path.startsWith('/') || path.includes('\0')) return { outcome: 'not-a-namespace', found: 'no absolute path' };
  let place: number;
  try {
    place = calls.open(path, O_PATH | O_CLOEXEC);
  } catch (error) {
    if (error instanceof SystemCallError && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return { outcome: 'absent' };
    if (error instanceof SystemCallError && (error.code === 'ELOOP' || error.code === 'ENAMETOOLONG')) {
      return { outcome: 'not-a-namespace', found: error.code };
    }
    throw error;
  }
  try {
    if (calls.fileSystemType(place) !== NSFS_MAGIC) return { outcome: 'not-a-namespace', found: fileKind(place) };
    const fd = calls.open(`/proc/thread-self/fd/${place}`, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (calls.ioctl(fd, NS_GET_NSTYPE) !== CLONE_NEWNET) {
      calls.close(fd);
      return { outcome: 'not-a-namespace', found: 'a namespace of another type' };
    }
    return { outcome: 'opened', namespace: new NetworkNamespace(calls, fd) };
  } finally {
    calls.close(place);
  }
}

function fileKind(fd: number): string {
  const stat = fstatSync(fd);
  if (stat.isFile()) return 'a regular file';
  if (stat.isDirectory()) return 'a directory';
  if (stat.isFIFO()) return 'a FIFO';
  return 'a device or socket';
}

/** The namespace of the node: the one that the process runs in, or for tests the one of `hostNetns`. */
export const openNodeNamespace = (calls: SystemCalls, hostNetns: string | undefined): NetworkNamespace =>
  hostNetns === undefined
    ? new NetworkNamespace(calls, calls.open(ownNamespace, O_RDONLY | O_CLOEXEC))
    : openPodNamespace(calls, hostNetns);

/** Opens the namespace of a sandbox. Throws `InvalidNamespace` for what is none, or is another than the one recorded. */
export function openPodNamespace(calls: SystemCalls, path: string, cookie?: string): NetworkNamespace {
  const opening = openNamespace(calls, path);
  if (opening.outcome !== 'opened') {
    throw invalidNamespace(path, opening.outcome === 'absent' ? 'there is no such file' : `it is ${opening.found}`);
  }
  const { namespace } = opening;
  if (cookie === undefined) return namespace;
  const kept = keepIfSame(namespace, cookie);
  if (kept === undefined)
    throw invalidNamespace(path, `it is no longer the namespace of the sandbox (cookie ${cookie})`);
  return kept;
}

/** Closes a namespace that has another cookie, or whose cookie cannot be had. */
export function keepIfSame(namespace: NetworkNamespace, cookie: string): NetworkNamespace | undefined {
  let isSame = false;
  try {
    isSame = namespace.cookie === cookie;
  } finally {
    if (!isSame) namespace.close();
  }
  return isSame ? namespace : undefined;
}

export const invalidNamespace = (path: string, found: string): ProvisionError =>
  new ProvisionError({
    type: 'InvalidNamespace',
    message: `Cannot work in network namespace ${path}: ${found}`,
    remedy:
      'The container runtime passes this path in CNI_NETNS. Look whether the sandbox still runs (crictl pods), and whether the node worker sees its directory: it is mounted with mountPropagation HostToContainer',
  });
