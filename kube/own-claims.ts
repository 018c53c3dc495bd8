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
  /** When a write of unknown outcome was last sent: until the server's own limit has passed it may still be carried out. */
  readonly #lastDoubtfulWrite = new Map<string, number>();
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
    this.#lastDoubtfulWrite.delete(name);
    const { phase, pool, identity = '' } = claim.spec;
    if (holder) this.#byName.set(name, { ...namesOf(holder), name, phase, pool, identity, isDoubtful: false });
    else this.#byName.delete(name);
  }

  /** A write that puts this holder into the claim was sent and not answered. */
  doubt(name: string, holder: ClaimHolder): void {
    const { pool = '', identity = '' } = this.#byName.get(name) ?? {};
    this.#byName.set(name, { ...namesOf(holder), name, phase: 'Bound', pool, identity, isDoubtful: true });
    this.#lastDoubtfulWrite.set(name, this.#now());
  }

  /** The claim was looked for and is not there. */
  seeAbsent(name: string): void {
    const writtenAtMs = this.#lastDoubtfulWrite.get(name);
    if (writtenAtMs !== undefined && this.#now() - writtenAtMs < serverRequestLimitMs) return;
    this.#lastDoubtfulWrite.delete(name);
    this.#byName.delete(name);
  }
}

/** kube-apiserver's --request-timeout: after it, a request that was sent is not carried out any more. */
const serverRequestLimitMs = 60_000;

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
