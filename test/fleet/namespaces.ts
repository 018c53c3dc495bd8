import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { dumpAddresses, readAddress } from '../../kernel/address-message.ts';
import { CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from '../../kernel/netlink-constants.ts';
import { closing, openNamespace } from '../../kernel/network-namespace.ts';
import { SystemCallError, systemCalls } from '../../kernel/system-calls.ts';
import { monotonicMs } from './monotonic-clock.ts';

const MS_BIND = 4096; // include/uapi/linux/mount.h
const MNT_DETACH = 2; // include/linux/fs.h
const EINVAL = 22;
const ownNamespace = '/proc/thread-self/ns/net';

const libc = koffi.load(null);
const unshare: (flags: number) => number = libc.func('int unshare(int)');
const mount: (from: string, to: string, type: null, flags: number, data: null) => number = libc.func(
  'int mount(const char *, const char *, const char *, unsigned long, const void *)',
);
const unmount: (path: string, flags: number) => number = libc.func('int umount2(const char *, int)');

/** Global addresses inside one sandbox at one moment, with prefix length. */
export interface SandboxAddresses {
  readonly containerID: string;
  readonly addresses: readonly string[];
  /** The moment is between these two, by `monotonicMs`. */
  readonly earliestMs: number;
  readonly latestMs: number;
}

/**
 * The network namespaces of a node's sandboxes, each mounted at `<directory>/<container ID>`. It changes the namespace of the
 * thread that calls and brings it back, so it belongs into a thread that starts nothing.
 */
export class NamespaceDirectory {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  make(containerID: string): void {
    const path = this.#pathOf(containerID);
    writeFileSync(path, '', { flag: 'wx' });
    const own = systemCalls.open(ownNamespace, O_RDONLY | O_CLOEXEC);
    try {
      must('unshare', unshare(CLONE_NEWNET));
      must('mount', mount(ownNamespace, path, null, MS_BIND, null));
    } finally {
      systemCalls.setns(own, CLONE_NEWNET);
      systemCalls.close(own);
    }
  }

  /** Unmounts it and removes the file; what others still hold open lives on. Succeeds when it is gone already. */
  remove(containerID: string): void {
    const path = this.#pathOf(containerID);
    try {
      must('umount', unmount(path, MNT_DETACH));
    } catch (error) {
      const isNoMount = error instanceof SystemCallError && (error.errno === EINVAL || error.code === 'ENOENT');
      if (!isNoMount) throw error;
    }
    rmSync(path, { force: true });
  }

  /** Of every sandbox that is there, or of the named ones. One that goes meanwhile is left out. */
  addresses(containerIDs: readonly string[] = readdirSync(this.#directory)): SandboxAddresses[] {
    return containerIDs.flatMap((containerID) => {
      const earliestMs = monotonicMs();
      const opening = openNamespace(systemCalls, this.#pathOf(containerID));
      if (opening.outcome !== 'opened') return [];
      const observed = closing(opening.namespace, (namespace) =>
        closing(namespace.netlink(), (socket) => socket.dump('RTM_GETADDR', dumpAddresses()).map(readAddress)),
      );
      const latestMs = monotonicMs();
      const all = observed.filter((one) => !one.isLinkLocal).map(({ address }) => address);
      const addresses = all.filter((address) => !/^(127\.|::1\/)/.test(address));
      return [{ containerID, addresses, earliestMs, latestMs }];
    });
  }

  #pathOf(containerID: string): string {
    return join(this.#directory, containerID);
  }
}

function must(name: string, result: number): void {
  if (result < 0) throw new SystemCallError(name, koffi.errno());
}
