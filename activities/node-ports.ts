import type { Attachment, PodIdentity } from '../contracts/attachment.ts';
import type { CniResult } from '../contracts/cni.ts';
import type { CoordinationSettings } from '../contracts/coordination.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { OwnerReference } from '../contracts/crds/object-meta.ts';
import type { SpiderCoordinator } from '../contracts/crds/spidercoordinator.ts';
import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import type { Failure } from '../contracts/failures.ts';
import type { ClaimHolder, ClaimPhase } from '../contracts/ip-claim.ts';
import type { ClaimedAddress, LinkConf, NetworkConf } from '../contracts/pod-network.ts';
import type { ProbeTiming } from '../contracts/probing.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';
import type { PoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { Application, Labels } from '../ipam/pool-request.ts';
import type { Pool } from '../ipam/pool-snapshot.ts';
import type { CoordinationOperation } from '../network/coordination/coordination-operation.ts';

/** The CNI calls that are open in this process, named by nonce. */
export interface OpenCalls {
  /** Its caller is connected and unanswered: work may be started for it. */
  isWaiting(nonce: string): boolean;
  /** The run may act for this call: no other path of this process took it over. */
  isOwnedByRun(nonce: string): boolean;
  /** A DEL of this attachment is open or queued: an ADD of it should stop between two operations. */
  isDetachWanted(attachment: Attachment): boolean;
  /** Work for this call has begun here, so its answer no longer depends on Temporal. */
  noteStep(nonce: string): void;
  succeed(nonce: string, result?: CniResult): void;
  fail(nonce: string, failure: Failure): void;
}

/** What this node made or is about to make for one attachment; on tmpfs, so it is gone exactly when the kernel's state is. */
export interface AttachmentRecord {
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
  readonly netns: string;
  readonly netnsCookie: string;
  readonly provides: NetworkConf['provides'];
  readonly link?: LinkConf;
  readonly device?: DeviceConf;
  /** The device that this attachment alone has, and how it was before. */
  readonly lease?: DeviceLease;
  /** Links of the node that this attachment uses with others, each on those before it. */
  readonly shared?: readonly SharedLinkConf[];
  /** It is being undone, and no user of its shared links any more. */
  readonly isLeaving?: boolean;
  /** How the interface is tied to its node. Absent: it is not, or nobody has looked yet. */
  readonly coordination?: RecordedCoordination;
  readonly addresses: readonly ClaimedAddress[];
  /** Present once the last operation is done: the answer, also for a run that was interrupted before it could record it. */
  readonly doneResult?: CniResult;
  readonly addedAtMs: number;
}

export interface RecordedCoordination {
  readonly settings: CoordinationSettings;
  /** Interfaces that the pod's networks bring, now or later. */
  readonly awaitedNics: readonly string[];
  /** What was planned, by every attempt: what of it took effect is taken back. */
  readonly operations: readonly CoordinationOperation[];
}

export interface AttachmentRecords {
  read(attachment: Attachment): Promise<AttachmentRecord | undefined>;
  /** All, or those of one sandbox; what cannot be read is left out. */
  list(containerID?: string): Promise<readonly AttachmentRecord[]>;
  write(record: AttachmentRecord): Promise<void>;
  remove(attachment: Attachment): Promise<void>;
}

/** A claim of this node as the store remembers it: a hint, every use of which ends in a write. */
export interface OwnClaim {
  readonly name: string;
  readonly phase: ClaimPhase;
  readonly podUID: string;
  readonly interface: string;
  readonly containerID: string;
  readonly identity: string;
}

export interface ClaimStore {
  ownOf(podUID: string, ifName: string): readonly OwnClaim[];
  /** Names of an identity's claims, of several NICs those for this one: of this node, or from a list that began after this Unix time. */
  keptFor(identity: string, ifName: string, elsewhere?: { readonly notBeforeMs: number }): Promise<readonly string[]>;
  /** What the addresses of an attachment stick to; none when they do not. */
  identitiesOf(held: ClaimingAttachment): readonly string[];
  take(want: {
    name: string;
    address: string;
    pool: string;
    holder: ClaimHolder;
    identity?: string | undefined;
  }): Promise<'ours' | 'taken'>;
  /** The claim as it is now; undefined when it is gone. */
  readWhole(name: string): Promise<IPClaim | undefined>;
  /** Takes over a claim on the condition that it is as it was seen; `isJoining`: beside its holder. */
  adopt(
    seen: IPClaim,
    taker: { holder: ClaimHolder; identity?: string | undefined; isJoining?: boolean },
  ): Promise<'ours' | 'lost'>;
  release(want: ClaimingAttachment & { disposition: 'delete' | 'end' | 'hold' | 'undo' }): Promise<readonly string[]>;
  /** Deletes one claim, sticky or not, if it still names this sandbox. */
  giveBack(name: string, containerID: string): Promise<void>;
  /** Something else answers for an address of this sandbox, or for a Suspect one: nobody gets it before `until`. */
  setConflicted(name: string, want: { readonly containerID: string; readonly until: string }): Promise<void>;
  /** Deletes a claim that is Held for this pod and nothing else. */
  releaseHeld(name: string, podUID: string): Promise<void>;
  /** Names of all claims of the pool as the last list showed them, while that was not long ago: a hint of what to try last. */
  recallTaken(pool: string): ReadonlySet<string> | undefined;
  /** Names of all claims of the pool, and those of them that are Suspect, from a list that began after this Unix time. */
  takenNames(
    pool: string,
    want: { readonly notBeforeMs: number },
  ): Promise<{
    readonly names: ReadonlySet<string>;
    readonly suspects: ReadonlySet<string>;
    readonly beganAtMs: number;
  }>;
}

interface ClaimingAttachment {
  readonly containerID: string;
  readonly interface: string;
  readonly network: string;
}

/** Whether somebody will come back for an address that sticks to an identity. `unknown`: nobody may give it away. */
export type IdentityState =
  | { readonly state: 'wanted' }
  | { readonly state: 'ended' | 'unknown'; readonly why: string };

export interface Identities {
  /** From reads that begin now. Never throws. */
  states(identities: readonly string[]): Promise<ReadonlyMap<string, IdentityState>>;
}

export interface PoolReader {
  /** Read at most 2 s ago, or after this call began where that is `newer`. */
  recent(want?: 'newer'): Promise<PoolCatalogue>;
  /** Read after this call began; undefined when the pool is gone. */
  fresh(name: string): Promise<Pool | undefined>;
}

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly annotations: Labels;
  readonly labels: Labels;
  readonly ownerReferences: readonly OwnerReference[];
  readonly isAlive: boolean;
}

export interface PodReader {
  /** Undefined when the API server says that no such pod, or another one of that name, is there. */
  find(pod: PodIdentity): Promise<Pod | undefined>;
}

/** What stands around a pod and has a say in its pools, read at most 2 s ago. */
export interface Surroundings {
  namespace(name: string): Promise<{ readonly labels: Labels; readonly annotations: Labels }>;
  nodeLabels(): Promise<Labels>;
  /** The pod's topmost controller; the pod itself when it has none. */
  controllerOf(pod: Pod): Promise<Application>;
  /** Addresses that an IPAMClaim of the pod's namespace has from others, or else asks for. Throws when there is no such claim. */
  ipamClaimIPs(namespace: string, name: string): Promise<readonly string[]>;
}

export interface Coordinators {
  /** Read at most 2 s ago; undefined when there is none of that name. */
  recent(name: string): Promise<SpiderCoordinator | undefined>;
}

/** Which interface of which sandbox is tied to this node, and how. */
export interface CoordinationSpec {
  readonly containerID: string;
  readonly ifName: string;
  readonly netns: string;
  readonly netnsCookie: string;
  readonly settings: CoordinationSettings;
  readonly awaitedNics: readonly string[];
  /** Of an interface that we make ourselves; it has them in the main table or in its own. */
  readonly defaultRoutes: readonly { readonly dst: string; readonly gateway: string }[];
}

/** `mac`: of whoever answered. */
export type ProbeAnswer =
  | { readonly outcome: 'answered'; readonly mac: string }
  | { readonly outcome: 'silent' }
  | { readonly outcome: 'mute'; readonly why: string };

interface Unsettled {
  readonly outcome: 'unsettled';
  readonly why: string;
  readonly commands: readonly string[];
}

export interface Kernel {
  plumb(spec: {
    containerID: string;
    ifName: string;
    netns: string;
    netnsCookie: string;
    link: LinkConf;
    addresses: readonly ClaimedAddress[];
    /** Leaves its default route to a later step while another interface has one. */
    yieldsDefaultRoute?: boolean;
  }): Promise<{ readonly mac: string; readonly mtuBytes: number; readonly commands: readonly string[] }>;
  unplumb(spec: { containerID: string; ifName: string; netns: string; netnsCookie?: string }): Promise<{
    readonly removed: boolean;
    readonly commands: readonly string[];
  }>;
  /** Addresses on the node of the PF behind a VF: that of `pciAddress`, or the one that a pod has as `ifName`. */
  masterAddresses(
    spec: { pciAddress: string } | { netns: string; netnsCookie: string; ifName: string },
  ): Promise<
    | { readonly outcome: 'found'; readonly addresses: readonly string[] }
    | { readonly outcome: 'unknown'; readonly why: string }
  >;
  /** How a device of the node is, before it is lent. */
  examineDevice(conf: DeviceConf): Promise<DeviceLease>;
  /** Completes a loan. `unsettled`: ask again a little later. */
  lendDevice(spec: {
    containerID: string;
    ifName: string;
    netns: string;
    netnsCookie: string;
    device: DeviceConf;
    lease: DeviceLease;
    addresses: readonly ClaimedAddress[];
    yieldsDefaultRoute?: boolean;
  }): Promise<
    | {
        readonly outcome: 'lent';
        readonly mac: string;
        readonly mtuBytes?: number;
        readonly hasCarrier: boolean;
        readonly commands: readonly string[];
      }
    | Unsettled
  >;
  /** Makes a device what its lease tells it was, wherever it is. */
  returnDevice(spec: {
    containerID: string;
    ifName: string;
    netns: string;
    netnsCookie: string;
    lease: DeviceLease;
  }): Promise<
    | { readonly outcome: 'returned'; readonly commands: readonly string[] }
    /** Nowhere: on its way, or gone. */
    | { readonly outcome: 'missing'; readonly why: string; readonly commands: readonly string[] }
    | Unsettled
  >;
  /** Makes what is missing of the node's links, or nothing; gives the commands. One caller at a time. */
  prepareShared(wanted: readonly SharedLinkConf[]): Promise<readonly string[]>;
  /** Removes those of the named links that we made and nobody else has built on, in their order. One caller at a time. */
  removeShared(names: readonly string[]): Promise<{
    readonly commands: readonly string[];
    readonly kept: readonly { readonly name: string; readonly why: string }[];
  }>;
  /** What is missing of the tie between an interface, its node and the pod's other interfaces. Changes nothing. */
  planCoordination(spec: CoordinationSpec): Promise<{
    readonly mode: string;
    readonly table?: number;
    /** The interface's own, with prefix length. */
    readonly addresses: readonly string[];
    readonly operations: readonly CoordinationOperation[];
    readonly commands: readonly string[];
    readonly notes: readonly string[];
  }>;
  /** Carries out a plan, or nothing: when the kernel refuses an operation, those before it are taken back. */
  applyCoordination(spec: {
    netns: string;
    netnsCookie: string;
    operations: readonly CoordinationOperation[];
  }): Promise<void>;
  /** Takes plans back, as far as they took effect and are still there; nothing when the namespace is gone. */
  uncoordinate(spec: {
    netns: string;
    netnsCookie: string;
    operations: readonly CoordinationOperation[];
  }): Promise<{ readonly commands: readonly string[] }>;
  /**
   * Takes away by marks what ties an interface of which no record is left; `isLast`: also what the sandbox's interfaces share.
   * `othersCookies`: namespaces of other sandboxes, to which a path may lead that was this one's before a reboot.
   */
  untie(spec: {
    containerID: string;
    ifName: string;
    netns: string;
    isLast: boolean;
    othersCookies: readonly string[];
  }): Promise<{ readonly commands: readonly string[] }>;
  removeAddresses(spec: {
    netns: string;
    netnsCookie?: string;
    ifName: string;
    addresses: readonly string[];
  }): Promise<void>;
  /** Tells the neighbours who has these addresses now; `mac`: the interface's own when absent. */
  announce(spec: { netns: string; ifName: string; mac?: string; addresses: readonly string[] }): Promise<void>;
  /** Asks the neighbours of an interface who has an address; `from`: our own, for a gateway. `mute`: nobody can be asked. */
  probe(spec: {
    netns: string;
    netnsCookie: string;
    ifName: string;
    target: string;
    from?: string;
    ignoresSearches?: boolean;
    timing: ProbeTiming;
  }): Promise<ProbeAnswer>;
  namespaceState(netns: string, cookie: string): Promise<'alive' | 'gone' | 'unproven'>;
}

/** Who this node is, as every claim's holder says. */
export interface NodeIdentity {
  readonly name: string;
  readonly machineID: string;
  readonly bootID: string;
}

/** The part of pino's logger that is used here. */
export interface Log {
  child(fields: object): Log;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
