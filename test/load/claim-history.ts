import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { StoreClock, Window } from './store-clock.ts';

/** A change of a claim, as a watch told of it. */
export interface ClaimChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly claim: IPClaim;
  readonly revision: number;
  readonly arrivedAtMs: number;
}

/** For so long, one address had one phase and one sandbox. */
export interface ClaimPeriod {
  readonly address: string;
  readonly phase: IPClaim['spec']['phase'];
  readonly containerID: string;
  readonly pod: string;
  readonly since: Window;
  /** Undefined: until now. */
  readonly until: Window | undefined;
}

/** While so many claims were there. */
export interface Crowd {
  readonly claims: number;
  readonly since: Window;
  readonly until: Window | undefined;
}

/** What the claims of a cluster went through. A watch tells of every change once and in order, so nothing is missed between. */
export class ClaimHistory {
  readonly #changes: ClaimChange[] = [];
  readonly #clock: StoreClock;

  constructor(clock: StoreClock) {
    this.#clock = clock;
  }

  add(change: ClaimChange): void {
    this.#changes.push(change);
  }

  periods(): readonly ClaimPeriod[] {
    const ended: ClaimPeriod[] = [];
    const standing = new Map<string, ClaimPeriod>();
    for (const change of this.#changes) {
      const { address, phase, holders } = change.claim.spec;
      const [holder] = holders;
      const { containerID, pod } = holder ?? { containerID: '', pod: '' };
      const before = standing.get(address);
      const isSame = before?.phase === phase && before.containerID === containerID && change.type === 'MODIFIED';
      if (isSame) continue;
      const moment = this.#commitOf(change);
      if (before !== undefined) ended.push({ ...before, until: moment });
      standing.delete(address);
      if (change.type !== 'DELETED') {
        standing.set(address, { address, phase, containerID, pod, since: moment, until: undefined });
      }
    }
    return [...ended, ...standing.values()];
  }

  /** Addresses that have a claim now. */
  standing(): readonly string[] {
    const addresses = new Set<string>();
    for (const { type, claim } of this.#changes) {
      if (type === 'DELETED') addresses.delete(claim.spec.address);
      else addresses.add(claim.spec.address);
    }
    return [...addresses];
  }

  /** How many claims a pool had, from change to change. */
  crowds(pool: string): readonly Crowd[] {
    const names = new Set<string>();
    const crowds: Crowd[] = [];
    for (const change of this.#changes) {
      if (change.claim.spec.pool !== pool) continue;
      if (change.type === 'DELETED') names.delete(change.claim.metadata.name);
      else names.add(change.claim.metadata.name);
      const last = crowds.at(-1);
      if (last?.claims === names.size) continue;
      const moment = this.#commitOf(change);
      if (last !== undefined) crowds[crowds.length - 1] = { ...last, until: moment };
      crowds.push({ claims: names.size, since: moment, until: undefined });
    }
    return crowds;
  }

  #commitOf({ revision, arrivedAtMs }: ClaimChange): Window {
    return this.#clock.commitOf(revision, arrivedAtMs);
  }
}
