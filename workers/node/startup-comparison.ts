import type { AttachmentRecord, Log, NodeIdentity } from '../../activities/node-ports.ts';
import { type Attachment, attachmentKey, type PodIdentity } from '../../contracts/attachment.ts';
import type { ClaimHolder, ClaimPhase } from '../../contracts/ip-claim.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';
import { newNonce } from './call-server.ts';

export interface ComparisonPorts {
  readonly node: NodeIdentity;
  readonly records: { list(): Promise<readonly AttachmentRecord[]> };
  readonly claims: {
    /** This node's claims as they are now, whole. */
    readAll(): Promise<readonly ComparedClaim[]>;
    releaseHeld(name: string, podUID: string): Promise<void>;
  };
  readonly pods: { find(pod: PodIdentity): Promise<{ readonly isAlive: boolean } | undefined> };
  readonly kernel: {
    namespaceState(netns: string, netnsCookie: string): Promise<'alive' | 'gone' | 'unproven'>;
  };
  readonly detach: (request: DetachRequest) => Promise<unknown>;
  readonly log: Log;
}

export interface ComparedClaim {
  readonly name: string;
  readonly phase: ClaimPhase;
  readonly identity: string;
  readonly holder: ClaimHolder;
}

/**
 * What changed while no worker ran: sandboxes of an earlier boot, or whose namespace is gone, lose their attachments; addresses
 * held for pods that are gone are freed. That a pod is gone is the reason to look, never the proof.
 */
export async function compareAtStart(
  ports: ComparisonPorts,
): Promise<{ readonly detached: number; readonly freed: number }> {
  const { records, claims, pods, detach, log } = ports;
  const [kept, owned] = await Promise.all([records.list(), claims.readAll()]);
  const sandboxes = new Map<string, Found>();
  for (const { attachment, pod, netns, netnsCookie } of kept) {
    sandboxes.set(keyOf(attachment), { attachment, pod, netns, netnsCookie });
  }
  for (const { holder, phase } of owned) {
    if (phase !== 'Bound') continue;
    const attachment: Attachment = { ...pick(holder), kind: 'attach' };
    const pod = { namespace: holder.namespace, name: holder.pod, uid: holder.podUID };
    sandboxes.set(keyOf(attachment), { attachment, pod, netns: holder.netns, netnsCookie: holder.netnsCookie, holder });
  }

  let detached = 0;
  for (const found of sandboxes.values()) {
    const proof = await proofOf(found, ports);
    if (proof === undefined) continue;
    const { attachment, pod, netns } = found;
    try {
      await detach({ attachment, pod, nonce: newNonce(), netns, reason: 'proven-gone' });
      detached += 1;
      log.info({ attachment, pod, proof }, 'attachment of a sandbox that is gone was taken away');
    } catch (err) {
      log.warn({ err, attachment, remedy: 'None: it is tried again at the next start' }, 'attachment not taken away');
    }
  }

  let freed = 0;
  for (const { name, phase, identity, holder } of await claims.readAll()) {
    if (phase !== 'Held' || identity !== '') continue;
    const pod = await pods.find({ namespace: holder.namespace, name: holder.pod, uid: holder.podUID });
    if (pod?.isAlive === true) continue;
    await claims.releaseHeld(name, holder.podUID);
    freed += 1;
  }
  log.info({ records: kept.length, claims: owned.length, detached, freed }, 'compared with what was left before');
  return { detached, freed };
}

interface Found {
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
  readonly netns: string;
  readonly netnsCookie: string;
  readonly holder?: ClaimHolder;
}

/** Says how it is known that the sandbox is gone; undefined when it is not known. */
async function proofOf(
  { netns, netnsCookie, holder }: Found,
  { node, kernel, log }: ComparisonPorts,
): Promise<string | undefined> {
  if (holder !== undefined && holder.machineID !== node.machineID) {
    log.warn({ holder }, "claim of another machine under this node's name left alone");
    return undefined;
  }
  if (holder !== undefined && holder.bootID !== node.bootID) return 'this machine has booted since';
  return (await kernel.namespaceState(netns, netnsCookie)) === 'gone' ? 'its network namespace is gone' : undefined;
}

const keyOf = (attachment: Attachment): string => `${attachment.containerID} ${attachmentKey(attachment)}`;

const pick = ({ containerID, network, interface: ifName }: ClaimHolder): Omit<Attachment, 'kind'> => ({
  containerID,
  network,
  ifName,
});
