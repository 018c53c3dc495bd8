import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';
import type { ObservedNode } from '../network/coordination/observed-coordination.ts';
import type { NodeSysctl } from '../network/node-sysctls.ts';
import type { ObservedNamespace } from '../network/observed-namespace.ts';
import type { CleanOutcome, CleanWork, NamedNamespace, NodeSurvey } from './clean-tasks.ts';
import type {
  CoordinateSpec,
  CoordinationWork,
  NodeQuestion,
  PlannedCoordination,
  Uncoordinated,
  UntieSpec,
} from './coordination-tasks.ts';
import type { Lending, LendSpec, MasterAddresses, MasterSpec, Returning, ReturnSpec } from './device-tasks.ts';
import type {
  AnnounceSpec,
  AttachmentLook,
  CheckSpec,
  KernelTasks,
  LookSpec,
  MarkedLink,
  NamespaceState,
  PlumbedLink,
  PlumbSpec,
  RemoveAddressesSpec,
  RemovedSharedLinks,
  TunedNode,
  UnplumbedLink,
  UnplumbSpec,
} from './kernel-tasks.ts';
import type { MountSight } from './namespace-mounts.ts';
import type { ProbeAnswer, ProbeSpec } from './open-probes.ts';
import { Prober } from './prober.ts';
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
   * Makes what is missing on the node of links that pods share, or finds them all there; gives what was done as ip(8) commands.
   * One caller at a time. When the kernel refuses a step, those before it are taken back. Throws `SharedLinkDiffers`,
   * `ParentLinkMissing`, `InvalidConfig` or `KernelRefused`.
   */
  prepareShared(wanted: readonly SharedLinkConf[]): Promise<readonly string[]>;

  /**
   * Removes the links of the node of these names, in their order, that we made for pods to share and that nobody else has built
   * on. Succeeds when they are gone. One caller at a time. Throws `KernelRefused`.
   */
  removeShared(names: readonly string[]): Promise<RemovedSharedLinks>;

  /** Addresses on the node of the PF behind a VF. Throws `InvalidNamespace`. */
  masterAddresses(spec: MasterSpec): Promise<MasterAddresses>;

  /**
   * Looks at a device of the node that a pod is to have, and tells how it is: what to write down before `lendDevice`. Changes nothing.
   * Throws `DeviceUnfit` or `InvalidConfig`.
   */
  examineDevice(conf: DeviceConf): Promise<DeviceLease>;

  /**
   * Sets a device up and moves it into the pod with addresses and routes, or completes what an earlier attempt left. What was done
   * before a refusal is left to `returnDevice`. Throws `InterfaceExists`, `InvalidConfig`, `InvalidNamespace` or `KernelRefused`.
   */
  lendDevice(spec: LendSpec): Promise<Lending>;

  /** Makes a device what its lease tells it was, wherever it is now. Succeeds when it is gone. Throws `KernelRefused`. */
  returnDevice(spec: ReturnSpec): Promise<Returning>;

  /** What is not as `lendDevice` made it, a sentence each. */
  checkDevice(spec: LendSpec): Promise<readonly string[]>;

  /**
   * Plans what is missing of what ties one interface of a pod to this node and to the pod's other interfaces: veth pair,
   * neighbours, routes, rules, reply marks (network/coordination/). Changes nothing, so that the plan can be written down before
   * it takes effect. Throws `InvalidConfig`, `InterfaceExists`, `InvalidEnvironment` or `InvalidNamespace`.
   */
  planCoordination(spec: CoordinateSpec): Promise<PlannedCoordination>;

  /**
   * Carries out a plan, in one task: when the kernel refuses a step, those before it are taken back. Nothing else may change the
   * pod between the two. Throws `InvalidNamespace` or `KernelRefused`.
   */
  applyCoordination(work: CoordinationWork): Promise<void>;

  /**
   * Takes back what was planned, as far as it took effect and is there; nothing when the namespace is gone. Leaves the node's rule,
   * which serves all pods.
   */
  uncoordinate(work: CoordinationWork): Promise<Uncoordinated>;

  /** Takes away by marks what ties an interface of which no record is left; nothing when the path opens no namespace of a pod. */
  untie(spec: UntieSpec): Promise<Uncoordinated>;

  /** What is not as it was planned, a sentence each; empty when all is. */
  checkCoordination(spec: CoordinateSpec): Promise<readonly string[]>;

  /** Sets what of the node is not as wanted; gives what was done as sysctl(8) commands, and what could not be. */
  tuneNode(wanted: readonly NodeSysctl[]): Promise<TunedNode>;

  /** What is not as `prepareShared` made it, a sentence each; empty when all is. */
  checkShared(wanted: readonly SharedLinkConf[]): Promise<readonly string[]>;

  /**
   * Takes addresses off whichever interface of the sandbox has them: another plugin made it, and it may have been renamed or
   * given another prefix length since. Succeeds when any of it is gone. The kernel takes the later IPv4 addresses of the same
   * subnet away too (promote_secondaries, ip-sysctl.rst). Throws `KernelRefused`.
   */
  removeAddresses(spec: RemoveAddressesSpec): Promise<void>;

  /** One attachment as it is, thing by thing, compared with what its record makes of it. Changes nothing. Throws `InvalidNamespace`. */
  lookAt(spec: LookSpec): Promise<AttachmentLook>;

  /** Links, addresses and main routes of a namespace; of the node's without a path. Throws `InvalidNamespace`. */
  inspect(netns?: string): Promise<ObservedNamespace>;

  /** The node as coordination sees it, with what it has of these addresses already. */
  inspectNode(of: NodeQuestion): Promise<ObservedNode>;

  /** Links of a namespace that carry our mark; of the node's without a path. Throws `InvalidNamespace`. */
  findMarked(netns?: string): Promise<readonly MarkedLink[]>;

  /** What is not as `plumb` made it, a sentence each; empty when all is. Throws `InvalidNamespace`. */
  check(spec: CheckSpec): Promise<readonly string[]>;

  /**
   * Tells the neighbours (gratuitous ARP, unsolicited NA) who holds the addresses now. Takes about 15 ms in a thread of its
   * own, so nobody need wait for it. Rejects when link or namespace are gone.
   */
  announce(spec: AnnounceSpec): Promise<void>;

  /**
   * Asks the neighbours of an interface for an address: a duplicate before it is configured, or a gateway. Brings the interface
   * up if it is down. Takes as long as the timing says when nobody answers, in a thread of its own that serves any number
   * of questions. Throws `InvalidNamespace`, `ParentLinkMissing` (no carrier) or `KernelRefused`.
   */
  probe(spec: ProbeSpec): Promise<ProbeAnswer>;

  /** Whether a sandbox's namespace still lives. Rejects when that cannot be told: no proof. */
  namespaceState(netns: string, netnsCookie: string): Promise<NamespaceState>;

  /** Whether a process is in the namespace, as far as /proc shows. Throws `InvalidNamespace`. */
  hasProcesses(netns: string): Promise<boolean>;

  /**
   * Whether `gone` and `other` may be believed: this process sees the host's processes, and every namespace mounted under
   * `directory` (for example /run/netns) that any of them sees.
   */
  canSeeNamespaceMounts(directory: string): Promise<MountSight>;

  /**
   * Everything that may carry our marks: on this node, in the namespaces that are written down, and in those that are mounted here
   * and hang on one of the node's links.
   */
  surveyNode(recorded: readonly NamedNamespace[]): Promise<NodeSurvey>;

  /** Takes things away one by one, in one namespace, whatever becomes of the others. */
  clean(work: CleanWork): Promise<readonly CleanOutcome[]>;

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

/** The threads' programs lie beside this one: as source, as emitted JavaScript, or as bundles of their own. */
const threadProgram = new URL(`./kernel-thread${extname(import.meta.url)}`, import.meta.url);
const probeProgram = new URL(`./probe-thread${extname(import.meta.url)}`, import.meta.url);

const silent: KernelLog = { debug: () => undefined, warn: () => undefined };

/** Starts the threads. */
export function openKernel({ threads, hostNetns, log = silent }: KernelSettings): Kernel {
  // libuv starts all its threads at the first use, from the thread that asks: this one, which never leaves its namespace.
  stat('/').catch(() => undefined);
  const onDeath = (err: Error): void => log.warn({ err }, 'kernel thread died');
  const pool = new ThreadPool(threadProgram, threads, { hostNetns }, onDeath);
  const announcer = new ThreadPool(threadProgram, 1, { hostNetns }, onDeath);
  const prober = new Prober(probeProgram, onDeath);

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
    async prepareShared(wanted) {
      const commands = await pool.run('prepareShared', wanted);
      if (commands.length > 0) log.debug({ commands }, 'shared links made');
      return commands;
    },
    async removeShared(names) {
      const removed = await pool.run('removeShared', names);
      log.debug({ names, ...removed }, 'shared links looked after');
      return removed;
    },
    checkShared: (wanted) => pool.run('checkShared', wanted),
    masterAddresses: (spec) => pool.run('masterAddresses', spec),
    examineDevice: (conf) => pool.run('examineDevice', conf),
    lendDevice: (spec) => pool.run('lendDevice', spec),
    async returnDevice(spec) {
      const returning = await pool.run('returnDevice', spec);
      const { containerID, ifName } = spec;
      log.debug({ containerID, ifName, ...returning }, 'device looked after');
      return returning;
    },
    checkDevice: (spec) => pool.run('checkDevice', spec),
    planCoordination: (spec) => pool.run('planCoordination', spec),
    applyCoordination: (work) => pool.run('applyCoordination', work),
    uncoordinate: (work) => pool.run('uncoordinate', work),
    untie: (spec) => pool.run('untie', spec),
    checkCoordination: (spec) => pool.run('checkCoordination', spec),
    tuneNode: (wanted) => pool.run('tuneNode', wanted),
    removeAddresses: (spec) => pool.run('removeAddresses', spec),
    lookAt: (spec) => pool.run('lookAt', spec),
    inspect: (netns) => pool.run('inspect', netns),
    inspectNode: (of) => pool.run('inspectNode', of),
    findMarked: (netns) => pool.run('findMarked', netns),
    check: (spec) => pool.run('check', spec),
    announce: (spec) => announcer.run('announce', spec),
    probe: (spec) => prober.ask(spec),
    namespaceState: (netns, netnsCookie) => pool.run('namespaceState', { netns, netnsCookie }),
    hasProcesses: (netns) => pool.run('hasProcesses', netns),
    canSeeNamespaceMounts: (directory) => pool.run('canSeeNamespaceMounts', directory),
    surveyNode: (recorded) => pool.run('surveyNode', recorded),
    clean: (work) => pool.run('clean', work),
    close: async () => {
      await Promise.all([pool.close(), announcer.close(), prober.close()]);
    },
  };
}
