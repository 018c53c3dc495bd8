import type { IPClaim, IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import { isOfOneInterface, machineOf } from '../ipam/sticky-identity.ts';
import { lookForProof, type ProofPorts } from './look-for-proof.ts';
import type { ClaimStore, Pod, PodReader, ProbeAnswer } from './node-ports.ts';

/** Who wants a claim that may be kept for it. */
export interface Taker {
  readonly holder: ClaimHolder;
  /** What the pod's addresses stick to; absent for most pods. */
  readonly identity?: string | undefined;
  /** The machine that migrates to this pod, as an identity: it goes on running in another pod until it is here. */
  readonly migrating?: string | undefined;
}

/** What a taker may do with a claim as it stands. */
export type WayIn =
  /** A write of ours put this container ID there, and only such a write can. */
  | { readonly way: 'ours' }
  /** Its last sandbox is known to be gone. */
  | { readonly way: 'free' }
  /** Only once this sandbox is proven gone, or silent where `isSilenceEnough`. `why`: who has it, one clause. */
  | { readonly way: 'proof'; readonly of: ClaimHolder; readonly why: string; readonly isSilenceEnough: boolean }
  /** Beside its holder. */
  | { readonly way: 'join' }
  | { readonly way: 'wait'; readonly of: ClaimHolder; readonly why: string }
  /** It is not this pod's, nor its identity's; or nobody's any more. */
  | { readonly way: 'none' };

/**
 * A claim is kept for a pod by its UID, and for an identity whatever the pod. It changes node only when it is Held, or beside its
 * holder: what is Bound on another node ends there, with the word of that node.
 */
export function wayIn({ phase, holders, identity, unproven }: IPClaimSpec, taker: Taker): WayIn {
  const { holder } = taker;
  const [first, second] = holders;
  const isOfIdentity = taker.identity !== undefined && identity === taker.identity;
  const isAnyInterface = isOfIdentity && isOfOneInterface(identity);
  const isKin = (one: ClaimHolder): boolean =>
    (one.interface === holder.interface || isAnyInterface) && (one.podUID === holder.podUID || isOfIdentity);
  if (first === undefined || !holders.every(isKin)) return { way: 'none' };
  if (phase === 'Held') {
    return unproven === true
      ? {
          way: 'proof',
          of: first,
          why: `nobody has said that it is silent since ${usedBy(first)}`,
          // Of a machine that is lost nobody has a proof. Of this one the kernel knows more than the network.
          isSilenceEnough: first.machineID !== holder.machineID,
        }
      : { way: 'free' };
  }
  if (phase !== 'Bound') return { way: 'none' };
  if (holders.some((one) => isSameAttachment(one, holder))) return { way: 'ours' };
  const why = `it is in use by ${usedBy(first)}`;
  if (second !== undefined) return { way: 'wait', of: first, why: `${why}, and by ${usedBy(second)}` };
  if (first.node === holder.node) return { way: 'proof', of: first, why, isSilenceEnough: false };
  return taker.migrating === undefined ? { way: 'wait', of: first, why } : { way: 'join' };
}

export type TakenOver =
  /** `isShared`: another pod has the address, too, as while a machine migrates. */
  | { readonly outcome: 'ours'; readonly claim: IPClaim; readonly isShared: boolean }
  | { readonly outcome: 'none' }
  /** Something on the network answers for it, and nobody knows whether that is its last sandbox. */
  | { readonly outcome: 'answered'; readonly claim: IPClaim; readonly mac: string }
  | { readonly outcome: 'in use'; readonly claim: IPClaim; readonly by: ClaimHolder; readonly why: string };

export interface TakeOverPorts extends ProofPorts {
  readonly claims: Pick<ClaimStore, 'readWhole' | 'adopt'>;
  readonly pods: PodReader;
  /** Where the neighbours can be asked who has an address. */
  readonly site: { lastOwnerOf(address: string, pool: string): Promise<ProbeAnswer> };
}

/** Takes over a claim as it stands now, if it may. Others may write to it meanwhile: then it is looked at again. */
export async function takeOver(name: string, taker: Taker, ports: TakeOverPorts): Promise<TakenOver> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const claim = await ports.claims.readWhole(name);
    if (claim === undefined) return { outcome: 'none' };
    const found = wayIn(claim.spec, taker);
    switch (found.way) {
      case 'none':
        return { outcome: 'none' };
      case 'ours':
        return { outcome: 'ours', claim, isShared: claim.spec.holders.length > 1 };
      case 'wait':
        return { outcome: 'in use', claim, by: found.of, why: found.why };
      case 'proof': {
        const { isGone, because } = await lookForProof([found.of], ports);
        if (isGone) break;
        const { address, pool } = claim.spec;
        const answer = found.isSilenceEnough ? await ports.site.lastOwnerOf(address, pool) : undefined;
        if (answer?.outcome === 'answered') return { outcome: 'answered', claim, mac: answer.mac };
        if (answer?.outcome === 'silent') break;
        return { outcome: 'in use', claim, by: found.of, why: `${found.why}; ${answer?.why ?? because}` };
      }
      case 'free':
      case 'join':
        break;
    }
    const { holder, identity } = taker;
    const isShared = found.way === 'join';
    const before = podBefore(claim.spec, taker);
    const why = before && (await (isShared ? whyNotOfMachine : whyNotEnded)(before, taker, ports));
    if (before !== undefined && why !== undefined) return { outcome: 'in use', claim, by: before, why };
    const taken = await ports.claims.adopt(claim, { holder, identity, isJoining: isShared });
    if (taken === 'ours') return { outcome: 'ours', claim, isShared };
  }
  return { outcome: 'none' };
}

/** Writers of one claim are few: the DEL of its last sandbox, the sweep. */
const mostTries = 3;

/**
 * Any pod may name an IPAMClaim. So the end of a sandbox does not tell that its address is nobody's, as it does of an ordinal, of
 * which there is one pod at a time, or of a machine; and a pod that migrates does not tell from where.
 */
const podBefore = ({ holders: [first], identity = '' }: IPClaimSpec, { holder }: Taker): ClaimHolder | undefined =>
  isOfOneInterface(identity) && first?.podUID !== holder.podUID ? first : undefined;

/** Undefined when the API server says that the pod runs no container any more, nor will again: what is remembered of that stays true. */
async function whyNotEnded(before: ClaimHolder, _: Taker, ports: TakeOverPorts): Promise<string | undefined> {
  const found = await podOf(before, ports);
  if ('unknown' in found)
    return `it is kept for ${usedBy(before)}, of which nobody can say whether it lives: ${found.unknown}`;
  return found.pod?.isAlive === true ? `it is kept for ${usedBy(before)}, which lives` : undefined;
}

/** Undefined when the API server says that the pod is of the machine that migrates. */
async function whyNotOfMachine(
  before: ClaimHolder,
  { migrating }: Taker,
  ports: TakeOverPorts,
): Promise<string | undefined> {
  const found = await podOf(before, ports);
  const isOfMachine = 'pod' in found && found.pod !== undefined && machineOf(found.pod) === migrating;
  return isOfMachine ? undefined : `it is in use by ${usedBy(before)}, which is not known to be of ${migrating}`;
}

async function podOf(
  { namespace, pod: name, podUID: uid }: ClaimHolder,
  { pods }: TakeOverPorts,
): Promise<{ readonly pod: Pod | undefined } | { readonly unknown: string }> {
  try {
    return { pod: await pods.find({ namespace, name, uid }) };
  } catch (error) {
    return { unknown: error instanceof Error ? error.message : String(error) };
  }
}

const isSameAttachment = (one: ClaimHolder, other: ClaimHolder): boolean =>
  one.podUID === other.podUID &&
  one.containerID === other.containerID &&
  one.interface === other.interface &&
  one.network === other.network;

const usedBy = ({ namespace, pod, containerID, node }: ClaimHolder): string =>
  `pod ${namespace}/${pod} on node "${node}" (sandbox ${containerID})`;
