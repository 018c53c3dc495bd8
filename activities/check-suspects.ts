import { type Attachment, attachmentKey } from '../contracts/attachment.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { NodeCheckActivities, NodeCheckVerdict, SuspectRun } from '../contracts/node-check.ts';
import type { AddRequest, DetachRequest } from '../contracts/pod-network.ts';
import { type KnownSandbox, knownSandboxes } from './known-sandbox.ts';
import { lookForProof, type Proof, type ProofPorts } from './look-for-proof.ts';
import type { AttachmentRecord, Log, OwnClaim, PodReader } from './node-ports.ts';
import { sideBySide } from './side-by-side.ts';

export interface CheckPorts extends ProofPorts {
  readonly claims: {
    /** The claim as it is now; undefined when there is none. */
    readWhole(name: string): Promise<IPClaim | undefined>;
    ownByContainer(containerID: string): readonly OwnClaim[];
    releaseHeld(name: string, podUID: string): Promise<void>;
  };
  readonly records: { list(containerID: string): Promise<readonly AttachmentRecord[]> };
  readonly pods: { readonly findLive: PodReader['find'] };
  /** Orders all work on one sandbox; throws when its turn does not come in time. */
  readonly locks: {
    hold<T>(containerID: string, work: () => Promise<T>, limits?: { readonly waitMs: number }): Promise<T>;
  };
  /** Takes an attachment away by the normal path, or keeps the wish on disk. */
  readonly detach: (gone: Omit<DetachRequest, 'nonce' | 'reason'>) => Promise<unknown>;
  readonly runs: SuspectRuns;
  /** Says that the check goes on; throws when it is not wanted any more. */
  readonly heartbeat: () => void;
  readonly log: Log;
}

/** Runs of sandboxes, by workflow ID, whatever has become of them. */
export interface SuspectRuns {
  /** What an open run was started with; undefined when it is closed. */
  firstRequest(workflowId: string): Promise<AddRequest | undefined>;
  /** Attachments that the run itself knows of; none when it does not react. */
  attachments(workflowId: string): Promise<readonly Attachment[]>;
  /** Waits a moment for its end; false when it is still open then. */
  hasEnded(workflowId: string): Promise<boolean>;
  terminate(workflowId: string, reason: string): Promise<void>;
}

/** One whose lock or run does not react must not keep all others waiting. */
const atOnce = 4;
/** A step that takes longer than this hangs, and its sandbox is looked at by the next check. */
const lockWaitMs = 5000;

/** Says for each suspect what it is, and takes away what is proven gone. What cannot be judged is kept, with the reason. */
export const createCheckSuspects =
  (ports: CheckPorts): NodeCheckActivities['checkSuspects'] =>
  async ({ reason, claims, runs }) => {
    const judge = async (subject: string, judged: Promise<Judgement>): Promise<NodeCheckVerdict> => {
      const judgement = await judged.catch((err: unknown) => kept(`it could not be checked: ${messageOf(err)}`));
      ports.log.info({ subject, ...judgement, asked: reason }, 'suspect checked');
      ports.heartbeat();
      return { subject, ...judgement };
    };
    const ofClaims = await sideBySide(claims, atOnce, ({ name, uid }) => judge(name, judgeClaim(name, uid, ports)));
    // After the claims: a run ends with its last claim, and then there is nothing to judge.
    const ofRuns = await sideBySide(runs, atOnce, (run) => judge(run.workflowId, judgeRun(run, ports)));
    return [...ofClaims, ...ofRuns];
  };

type Judgement = Pick<NodeCheckVerdict, 'outcome' | 'reason'>;

async function judgeClaim(name: string, uid: string, ports: CheckPorts): Promise<Judgement> {
  const claim = await ports.claims.readWhole(name);
  if (claim === undefined) return absent('there is no such claim any more');
  if (claim.metadata.uid !== uid) return absent('it was released, and the address is claimed anew');
  const holder = claim.spec.holders.find(({ node }) => node === ports.node.name);
  if (holder === undefined) return absent('no pod of this node holds it');
  if (holder.machineID !== ports.node.machineID) {
    return kept(`its holder is of another machine (${holder.machineID}) that had this node's name`);
  }
  const pod = { namespace: holder.namespace, name: holder.pod, uid: holder.podUID };
  const live = pod.name === '' ? undefined : await ports.pods.findLive(pod);
  if (live?.isAlive === true) return kept(`pod ${pod.namespace}/${pod.name} is alive`);
  switch (claim.spec.phase) {
    case 'Bound':
    case 'Suspect':
      return await judgeSandboxOf(claim, holder, ports);
    case 'Held':
      return await judgeHeld(claim, holder, ports);
    case 'Cooling':
    case 'Conflicted':
      return kept(`it is ${claim.spec.phase}, which no node ends`);
  }
}

async function judgeHeld({ metadata, spec }: IPClaim, holder: ClaimHolder, ports: CheckPorts): Promise<Judgement> {
  if (spec.identity !== undefined) return kept(`it is held for ${spec.identity}`);
  await ports.claims.releaseHeld(metadata.name, holder.podUID);
  const left = await ports.claims.readWhole(metadata.name);
  if (left !== undefined && left.metadata.uid === metadata.uid) return kept(`it is ${left.spec.phase} by now`);
  return released('it was held for a pod that is gone');
}

async function judgeSandboxOf({ metadata, spec }: IPClaim, holder: ClaimHolder, ports: CheckPorts): Promise<Judgement> {
  const { containerID } = holder;
  const holders = [holder, ...(await holdersOf(containerID, ports))];
  const [sandbox] = knownSandboxes(await ports.records.list(containerID), holders);
  if (sandbox === undefined) return absent('it names no sandbox');
  const { isGone, because } = await proofUnderLock(sandbox, ports);
  if (!isGone) return kept(because);
  await takeAway(sandbox, ports);
  const left = await ports.claims.readWhole(metadata.name);
  if (left === undefined || left.metadata.uid !== metadata.uid) return released(because);
  if (!left.spec.holders.some((one) => one.containerID === containerID)) {
    return spec.holders.length > 1
      ? released(`${because}; the address stays with its other holder`)
      : absent('another sandbox took it over');
  }
  if (left.spec.phase === 'Held')
    return released(`${because}; the address is held for ${left.spec.identity ?? 'its pod'}`);
  return kept(`${because}, but it is still ${left.spec.phase}: what could not be done waits on disk`);
}

async function judgeRun({ workflowId, containerID }: SuspectRun, ports: CheckPorts): Promise<Judgement> {
  const { runs, records, locks } = ports;
  const first = await runs.firstRequest(workflowId);
  if (first === undefined) return absent('it has ended');
  if (first.attachment.containerID !== containerID) return kept(`it is of sandbox ${first.attachment.containerID}`);
  const [known] = knownSandboxes(await records.list(containerID), await holdersOf(containerID, ports));
  const started = { netns: first.netns, netnsCookie: first.netnsCookie };
  const sandbox = { containerID, pod: first.pod, attachments: [], places: [started], ...known };
  const { isGone, because } = await proofUnderLock(sandbox, ports);
  if (!isGone) return kept(because);
  const all = [first.attachment, ...(await runs.attachments(workflowId)), ...sandbox.attachments];
  const attachments = [...new Map(all.map((attachment) => [attachmentKey(attachment), attachment])).values()];
  await takeAway({ ...sandbox, pod: first.pod, attachments }, ports);
  if (await runs.hasEnded(workflowId)) return released(because);
  return await locks.hold(
    containerID,
    async () => {
      const left = await records.list(containerID);
      if (left.length > 0 || (await holdersOf(containerID, ports)).length > 0) {
        return kept(`${because}, but something of it is left: what could not be done waits on disk`);
      }
      await runs.terminate(workflowId, `nodeCheck: ${because}, nothing of it is left, and the run did not react`);
      return released(`${because}; the run did not react and was terminated`);
    },
    { waitMs: lockWaitMs },
  );
}

/** Under the lock, so that no step is half done; it is let go before anything is undone, because the run's steps need it. */
const proofUnderLock = (sandbox: KnownSandbox, ports: CheckPorts): Promise<Proof> =>
  ports.locks.hold(sandbox.containerID, () => lookForProof(sandbox.places, ports), { waitMs: lockWaitMs });

async function takeAway({ attachments, pod }: KnownSandbox, { detach }: CheckPorts): Promise<void> {
  for (const attachment of attachments) await detach({ attachment, pod });
}

async function holdersOf(containerID: string, { claims, node }: CheckPorts): Promise<readonly ClaimHolder[]> {
  const found = await Promise.all(claims.ownByContainer(containerID).map(({ name }) => claims.readWhole(name)));
  return found
    .flatMap((claim) => (claim?.spec.phase === 'Bound' ? claim.spec.holders : []))
    .filter((holder) => holder.containerID === containerID && holder.node === node.name);
}

const kept = (reason: string): Judgement => ({ outcome: 'kept', reason });
const absent = (reason: string): Judgement => ({ outcome: 'absent', reason });
const released = (reason: string): Judgement => ({ outcome: 'released', reason });

const messageOf = (err: unknown): string => (err instanceof Error ? err.message : String(err));
