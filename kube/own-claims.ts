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
 * The claims of this node by name, kept up to date by what we write and read. Only a hint: other writers are not heard of,
 * so every use ends in a write that the API server compares.
 */
export class OwnClaims {
  readonly #node: string;
  readonly #byName = new Map<string, OwnClaim>();
  /** Claims with a write of unknown outcome, and since when the server has answered that they are not there. */
  readonly #absentSince = new Map<string, number | undefined>();
  readonly #now: () => number;

  constructor(node: string, now: () => number) {
    this.#node = node;
    this.#now = now;
  }

  all(): readonly OwnClaim[] {
    return [...this.#byName.values()];
  }

  /** From a list: what we wrote or read since then knows better. */
  addListed(row: TableRow): void {
    const claim = fromRow(row);
    if (!this.#byName.has(claim.name)) this.#byName.set(claim.name, claim);
  }

  /** The claim as just written or read. */
  see(claim: IPClaim): void {
    const { name } = claim.metadata;
    const holder = claim.spec.holders.find(({ node }) => node === this.#node);
    this.#absentSince.delete(name);
    const { phase, pool, identity = '' } = claim.spec;
    if (holder) this.#byName.set(name, { ...namesOf(holder), name, phase, pool, identity, isDoubtful: false });
    else this.#byName.delete(name);
  }

  /** A write that puts this holder into the claim was sent and not answered. */
  doubt(name: string, holder: ClaimHolder): void {
    const { pool = '', identity = '' } = this.#byName.get(name) ?? {};
    this.#byName.set(name, { ...namesOf(holder), name, phase: 'Bound', pool, identity, isDoubtful: true });
    this.#absentSince.set(name, undefined);
  }

  /**
   * The claim was looked for and is not there. While a write of ours is in doubt, that is believed only when it was so before:
   * a server that was stopped first answers what it is asked now, and then carries out what had reached it before.
   */
  seeAbsent(name: string): void {
    if (this.#absentSince.has(name)) {
      const sinceMs = this.#absentSince.get(name) ?? this.#now();
      this.#absentSince.set(name, sinceMs);
      if (this.#now() - sinceMs <= writeLimitSeconds * 1000) return;
    }
    this.#absentSince.delete(name);
    this.#byName.delete(name);
  }
}

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
