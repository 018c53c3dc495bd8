import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder, ClaimPhase } from '../contracts/ip-claim.ts';
import type { TableRow } from './list.ts';

/** A claim of this node as it is remembered. */
export interface OwnClaim {
  /** Name of the `IPClaim`. */
  readonly name: string;
  readonly phase: ClaimPhase;
  readonly pool: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly interface: string;
  readonly network: string;
  readonly containerID: string;
  /** Empty unless sticky. */
  readonly identity: string;
  /** A write of ours had no answer: the claim may be as told here, or not exist. */
  readonly isDoubtful: boolean;
}

/**
 * The claims of this node, kept up to date by what we write and read. Only a hint: other writers are not heard of, so every
 * use ends in a write that the API server compares.
 */
export class OwnClaims {
  readonly #node: string;
  /** As last written or read, by name. */
  readonly #byName = new Map<string, OwnClaim>();
  /** Those of them that were written or read whole. */
  readonly #objects = new Map<string, IPClaim>();
  /** Counts what was seen. */
  #moment = 0;
  /** When each was seen last. */
  readonly #seenAt = new Map<string, number>();
  /** Writes of unknown outcome, beside what is known: two sandboxes may want one address, and only one has it. */
  #doubts: readonly Doubt[] = [];
  readonly #now: () => number;

  constructor(node: string, now: () => number) {
    this.#node = node;
    this.#now = now;
  }

  all(): readonly OwnClaim[] {
    return [...this.#byName.values(), ...this.#doubts.map(({ claim }) => claim)];
  }

  /** The claim as last written or read whole: a write that carries its resourceVersion needs no read before it. */
  object(name: string): IPClaim | undefined {
    return this.#objects.get(name);
  }

  /** From a list: what we wrote or read since then knows better. */
  addListed(row: TableRow): void {
    const claim = fromRow(row);
    if (!this.#byName.has(claim.name) && !isNobodys(claim.phase)) this.#byName.set(claim.name, claim);
  }

  /** For `seeAbsent`: taken when the request is sent. */
  moment(): number {
    return this.#moment;
  }

  /** The claim as just written or read. Answers may come in another order than the writes: an older one says nothing. */
  see(claim: IPClaim): void {
    const { name } = claim.metadata;
    const known = this.#objects.get(name);
    if (known !== undefined && isOlder(claim, known)) return;
    this.#moment += 1;
    this.#seenAt.set(name, this.#moment);
    const holder = claim.spec.holders.find(({ node }) => node === this.#node);
    const { phase, pool, identity = '' } = claim.spec;
    if (holder && !isNobodys(phase)) {
      this.#byName.set(name, { ...namesOf(holder), name, phase, pool, identity, isDoubtful: false });
      this.#objects.set(name, claim);
    } else {
      this.#forget(name);
    }
    this.#judgeDoubts(name, holder?.containerID);
  }

  /** A write that puts this holder into the claim was sent and not answered. */
  doubt(name: string, holder: ClaimHolder): void {
    const { pool = '', identity = '' } = this.#byName.get(name) ?? {};
    const claim: OwnClaim = { ...namesOf(holder), name, phase: 'Bound', pool, identity, isDoubtful: true };
    const others = this.#doubts.filter((other) => other.claim.name !== name || !isSameSandbox(other.claim, holder));
    this.#doubts = [...others, { claim }];
  }

  /**
   * The claim was deleted, or looked for and is not there, by a request that was sent at that moment. What was seen since then may be
   * another sandbox's new claim: that is not forgotten.
   */
  seeAbsent(name: string, sentAt: number): void {
    if ((this.#seenAt.get(name) ?? 0) <= sentAt) this.#forget(name);
    this.#judgeDoubts(name, undefined);
  }

  #forget(name: string): void {
    this.#byName.delete(name);
    this.#objects.delete(name);
    this.#seenAt.delete(name);
  }

  /**
   * A claim that names the doubtful write's sandbox ends the doubt. One that names another, or is absent, is believed only when
   * it was so before: a server that was stopped first answers what it is asked now, and then carries out what had reached it.
   */
  #judgeDoubts(name: string, containerID: string | undefined): void {
    this.#doubts = this.#doubts.flatMap((doubt) => {
      if (doubt.claim.name !== name) return [doubt];
      if (doubt.claim.containerID === containerID) return [];
      const { refutedSinceMs = this.#now() } = doubt;
      return this.#now() - refutedSinceMs > writeLimitSeconds * 1000 ? [] : [{ ...doubt, refutedSinceMs }];
    });
  }
}

/** Versions of one kind of object are numbers that grow (Kubernetes' API concepts, "Resource versions"). */
const isOlder = (claim: IPClaim, than: IPClaim): boolean =>
  Number(claim.metadata.resourceVersion) < Number(than.metadata.resourceVersion);

/** Its last holder is still named, and has no part in it any more: the control worker ends it, and nobody here is told. */
const isNobodys = (phase: ClaimPhase): boolean => phase === 'Cooling' || phase === 'Conflicted';

interface Doubt {
  readonly claim: OwnClaim;
  /** Since when the server has answered that the write did not happen. */
  readonly refutedSinceMs?: number;
}

const isSameSandbox = (claim: OwnClaim, holder: ClaimHolder): boolean =>
  claim.containerID === holder.containerID && claim.interface === holder.interface && claim.network === holder.network;

/** How long the API server works on one write of ours (query parameter `timeout`); after that it is not carried out any more. */
export const writeLimitSeconds = 5;

/** Who holds it, without the proofs: those are read when they are needed. */
const namesOf = ({ namespace, pod, podUID, interface: nic, network, containerID }: ClaimHolder) => ({
  namespace,
  pod,
  podUID,
  interface: nic,
  network,
  containerID,
});

/** Columns as deploy/crds/ipclaim.yaml names them. */
const fromRow = (row: TableRow): OwnClaim => ({
  name: row['Name'] ?? '',
  phase: (row['Phase'] ?? 'Bound') as ClaimPhase,
  pool: row['Pool'] ?? '',
  namespace: row['Namespace'] ?? '',
  pod: row['Pod'] ?? '',
  podUID: row['Pod-UID'] ?? '',
  interface: row['NIC'] ?? '',
  network: row['Network'] ?? '',
  containerID: row['Container-ID'] ?? '',
  identity: row['Identity'] ?? '',
  isDoubtful: false,
});
