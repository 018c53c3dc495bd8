import type { Attachment, PodIdentity } from '../contracts/attachment.ts';
import type { CniResult } from '../contracts/cni.ts';
import type { Failure } from '../contracts/failures.ts';
import type { ClaimHolder, ClaimPhase } from '../contracts/ip-claim.ts';
import type { ClaimedAddress, LinkConf } from '../contracts/pod-network.ts';
import type { PoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { Pool } from '../ipam/pool-snapshot.ts';

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
  readonly provides: 'interface' | 'addresses';
  readonly link?: LinkConf;
  readonly addresses: readonly ClaimedAddress[];
  /** Present once the last operation is done: the answer, also for a run that was interrupted before it could record it. */
  readonly doneResult?: CniResult;
  readonly addedAtMs: number;
}

export interface AttachmentRecords {
  read(attachment: Attachment): Promise<AttachmentRecord | undefined>;
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
  take(want: { name: string; address: string; pool: string; holder: ClaimHolder }): Promise<'ours' | 'taken'>;
  /** The claim as it is now; undefined when it is gone. */
  read(
    name: string,
  ): Promise<{ readonly phase: ClaimPhase; readonly pool: string; readonly holder: ClaimHolder } | undefined>;
  /** Takes over a claim that is Held for this pod, or Bound to a sandbox of it that is proven gone. */
  adopt(name: string, holder: ClaimHolder, previousContainerID: string): Promise<'ours' | 'lost'>;
  release(want: {
    containerID: string;
    interface: string;
    network: string;
    disposition: 'delete' | 'hold' | 'undo';
  }): Promise<readonly string[]>;
  /** Deletes one claim if it still names this sandbox. */
  giveBack(name: string, containerID: string): Promise<void>;
  /** Deletes a claim that is Held for this pod and nothing else. */
  releaseHeld(name: string, podUID: string): Promise<void>;
  /** Names of all claims of the pool, from a list that began after this Unix time. */
  takenNames(
    pool: string,
    want: { readonly notBeforeMs: number },
  ): Promise<{ readonly names: ReadonlySet<string>; readonly beganAtMs: number }>;
}

export interface PoolReader {
  /** Read at most 2 s ago. */
  recent(): Promise<PoolCatalogue>;
  /** Read after this call began; undefined when the pool is gone. */
  fresh(name: string): Promise<Pool | undefined>;
}

export interface Pod {
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly isAlive: boolean;
}

export interface PodReader {
  /** Undefined when the API server says that no such pod, or another one of that name, is there. */
  find(pod: PodIdentity): Promise<Pod | undefined>;
}

export interface Kernel {
  plumb(spec: {
    containerID: string;
    ifName: string;
    netns: string;
    netnsCookie: string;
    link: LinkConf;
    addresses: readonly ClaimedAddress[];
  }): Promise<{ readonly mac: string; readonly mtuBytes: number; readonly commands: readonly string[] }>;
  unplumb(spec: { containerID: string; ifName: string; netns: string; netnsCookie?: string }): Promise<{
    readonly removed: boolean;
    readonly commands: readonly string[];
  }>;
  removeAddresses(spec: {
    netns: string;
    netnsCookie?: string;
    ifName: string;
    addresses: readonly string[];
  }): Promise<void>;
  announce(spec: { netns: string; ifName: string; mac: string; addresses: readonly string[] }): Promise<void>;
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
