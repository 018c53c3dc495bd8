import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import type { ObservedNamespace } from '../network/observed-namespace.ts';
import type {
  AnnounceSpec,
  KernelTasks,
  MarkedLink,
  NamespaceState,
  PlumbedLink,
  PlumbSpec,
  RemoveAddressesSpec,
  UnplumbedLink,
  UnplumbSpec,
} from './kernel-tasks.ts';
import type { MountSight } from './namespace-mounts.ts';
import { ThreadPool } from './thread-pool.ts';

/** What the kernel of this node can be asked. Every refusal is a `ProvisionError` with its remedy. */
export interface Kernel {
  /**
   * Proves that a path from a request is the network namespace of a sandbox, and names it: its cookie until reboot, its inode
   * while it lives. Both decimal. Throws `InvalidNamespace`.
   */
  identifyNamespace(path: string): Promise<{ readonly cookie: string; readonly inode: string }>;

  /**
   * Makes one interface with its addresses and routes, or completes what an earlier attempt left. All in one task: when the
   * kernel refuses a step, those before it are taken back. Throws `InterfaceExists`, `ParentLinkMissing`, `InvalidConfig`,
   * `InvalidNamespace` or `KernelRefused`.
   */
  plumb(spec: PlumbSpec): Promise<PlumbedLink>;

  /** Removes what carries this attachment's mark. Succeeds when link or namespace are gone. Throws `KernelRefused`. */
  unplumb(spec: UnplumbSpec): Promise<UnplumbedLink>;

  /**
   * Takes addresses off whichever interface of the sandbox has them: another plugin made it, and it may have been renamed or
   * given another prefix length since. Succeeds when any of it is gone. The kernel takes the later IPv4 addresses of the same
   * subnet away too (promote_secondaries, ip-sysctl.rst). Throws `KernelRefused`.
   */
  removeAddresses(spec: RemoveAddressesSpec): Promise<void>;

  /** Links, addresses and main routes of a namespace; of the node's without a path. Throws `InvalidNamespace`. */
  inspect(netns?: string): Promise<ObservedNamespace>;

  /** Links of a namespace that carry our mark; of the node's without a path. Throws `InvalidNamespace`. */
  findMarked(netns?: string): Promise<readonly MarkedLink[]>;

  /** What is not as `plumb` made it, a sentence each; empty when all is. Throws `InvalidNamespace`. */
  check(spec: PlumbSpec): Promise<readonly string[]>;

  /**
   * Tells the neighbours (gratuitous ARP, unsolicited NA) who holds the addresses now. Takes about 15 ms in a thread of its
   * own, so nobody need wait for it. Rejects when link or namespace are gone.
   */
  announce(spec: AnnounceSpec): Promise<void>;

  /** Whether a sandbox's namespace still lives. Rejects when that cannot be told: no proof. */
  namespaceState(netns: string, netnsCookie: string): Promise<NamespaceState>;

  /** Whether a process is in the namespace, as far as /proc shows. Throws `InvalidNamespace`. */
  hasProcesses(netns: string): Promise<boolean>;

  /**
   * Whether `gone` and `other` may be believed: this process sees the host's processes, and every namespace mounted under
   * `directory` (for example /run/netns) that any of them sees.
   */
  canSeeNamespaceMounts(directory: string): Promise<MountSight>;

  /** Finishes what was accepted, then ends the threads. */
  close(): Promise<void>;
}

export interface KernelSettings {
  /** Threads for kernel work, 2 to 4: RTNL is mostly one lock, more would only wait. */
  readonly threads: number;
  /** The namespace regarded as the node's, for tests. Default: the one that the process is in. */
  readonly hostNetns?: string;
  readonly log?: KernelLog;
}

/** pino's shape. */
export interface KernelLog {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** The threads' program lies beside this one: as source, as emitted JavaScript, or as a bundle of its own. */
const threadProgram = new URL(`./kernel-thread${extname(import.meta.url)}`, import.meta.url);

const silent: KernelLog = { debug: () => undefined, warn: () => undefined };

/** Starts the threads. */
export function openKernel({ threads, hostNetns, log = silent }: KernelSettings): Kernel {
  // libuv starts all its threads at the first use, from the thread that asks: this one, which never leaves its namespace.
  stat('/').catch(() => undefined);
  const onDeath = (err: Error): void => log.warn({ err }, 'kernel thread died');
  const pool = new ThreadPool(threadProgram, threads, { hostNetns }, onDeath);
  const announcer = new ThreadPool(threadProgram, 1, { hostNetns }, onDeath);

  async function change<Task extends 'plumb' | 'unplumb'>(
    task: Task,
    spec: Parameters<KernelTasks[Task]>[0],
  ): Promise<ReturnType<KernelTasks[Task]>> {
    const { waiting } = pool;
    const startedAt = performance.now();
    const result = await pool.run(task, spec);
    const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
    const { containerID, ifName, netns } = spec;
    log.debug({ containerID, ifName, netns, commands: result.commands, waiting, durationMs }, `${task} applied`);
    return result;
  }

  return {
    identifyNamespace: (path) => pool.run('identifyNamespace', path),
    plumb: (spec) => change('plumb', spec),
    unplumb: (spec) => change('unplumb', spec),
    removeAddresses: (spec) => pool.run('removeAddresses', spec),
    inspect: (netns) => pool.run('inspect', netns),
    findMarked: (netns) => pool.run('findMarked', netns),
    check: (spec) => pool.run('check', spec),
    announce: (spec) => announcer.run('announce', spec),
    namespaceState: (netns, netnsCookie) => pool.run('namespaceState', { netns, netnsCookie }),
    hasProcesses: (netns) => pool.run('hasProcesses', netns),
    canSeeNamespaceMounts: (directory) => pool.run('canSeeNamespaceMounts', directory),
    close: async () => {
      await Promise.all([pool.close(), announcer.close()]);
    },
  };
}
