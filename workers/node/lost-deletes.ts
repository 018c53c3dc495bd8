import { setTimeout as sleep } from 'node:timers/promises';
import { Semaphore } from 'async-mutex';
import { type KnownSandbox, knownSandboxes } from '../../activities/known-sandbox.ts';
import { lookForProof, type ProofPorts } from '../../activities/look-for-proof.ts';
import type { AttachmentRecord, Log, OwnClaim } from '../../activities/node-ports.ts';
import type { Restored } from '../../activities/restore-claims.ts';
import type { PodIdentity } from '../../contracts/attachment.ts';
import type { ClaimHolder } from '../../contracts/ip-claim.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';

export interface LostDeletesPorts extends ProofPorts {
  readonly records: { list(containerID?: string): Promise<readonly AttachmentRecord[]> };
  readonly claims: {
    /** This node's claims as remembered. */
    own(): readonly RememberedClaim[];
    /** This node as the holder of a claim, read now; undefined when it holds that claim no more. */
    holderOf(name: string): Promise<ClaimHolder | undefined>;
    /** Frees what is Held, and not sticky, for a pod that is gone. */
    freeHeld(podUID: string): Promise<readonly string[]>;
  };
  readonly pods: {
    /** Undefined when the API server says that there is none such. */
    find(pod: PodIdentity): Promise<{ readonly isAlive: boolean } | undefined>;
    /** As the pod watch last showed it, without asking anybody. */
    remembered(pod: PodIdentity): { readonly isAlive: boolean } | undefined;
  };
  /** Takes an attachment away by the normal path, or keeps the wish on disk. */
  readonly detach: (gone: Omit<DetachRequest, 'nonce' | 'reason'>) => Promise<unknown>;
  /** Claims again what living sandboxes use and no claim names. */
  readonly restoreClaims: () => Promise<Restored>;
  readonly log: Log;
  /** Told of each sandbox that was taken away, with the time since it was looked at first. */
  readonly onTaken?: (reason: 'pod gone' | 'compared', seconds: number) => void;
  readonly pauses?: Partial<Pauses>;
}

/** What a comparison found and settled, in numbers. */
export interface Comparison extends Restored {
  /** Sandboxes that were gone without their DEL. */
  readonly detached: number;
  /** Addresses that were held for pods that are gone. */
  readonly freed: number;
}

export interface RememberedClaim extends OwnClaim {
  readonly namespace: string;
  readonly pod: string;
}

interface Pauses {
  /** Between two looks at a sandbox whose pod is gone: doubled from the first to the longest. */
  readonly firstLookMs: number;
  readonly longestLookMs: number;
  readonly comparisonMs: number;
  /** After a comparison that failed. */
  readonly retryMs: number;
}

/** With the longest pause, a namespace that ends is noticed in a second: half of what a reclaim may take. */
const usualPauses: Pauses = { firstLookMs: 250, longestLookMs: 1000, comparisonMs: 600_000, retryMs: 2000 };
/** Detaches at once: a node has 200 sandboxes and ten seconds, and a run that its killed worker left takes up to two. */
const atOnce = 32;

/**
 * Takes away what no DEL took away. A pod that is gone is the reason to look at its sandboxes, never the proof: each is looked at
 * again until it is proven gone, for as long as its namespace lives.
 *
 * The pod watch says which to look at. It may miss something, so everything is compared at start and every ten minutes: records and
 * claims of this node against namespaces, boots and pods.
 */
export class LostDeletes {
  readonly #ports: LostDeletesPorts;
  readonly #pauses: Pauses;
  /** Sandboxes that are being followed, by container ID. */
  readonly #followed = new Set<string>();
  readonly #turn = new Semaphore(atOnce);
  readonly #closed = new AbortController();

  constructor(ports: LostDeletesPorts) {
    this.#ports = ports;
    this.#pauses = { ...usualPauses, ...ports.pauses };
  }

  /** Compares now and every ten minutes. Resolves after the first comparison that succeeded. */
  async start(): Promise<void> {
    await this.#compareUntilDone();
    void this.#compareAgainAndAgain();
  }

  close(): void {
    this.#closed.abort();
  }

  /** Sandboxes that still live although their pods are gone. */
  get size(): number {
    return this.#followed.size;
  }

  /** A pod of this node was deleted, or finished for good. */
  podGone(pod: PodIdentity): void {
    void this.#freeHeld(pod.uid);
    for (const { phase, podUID, containerID } of this.#own()) {
      if (phase === 'Bound' && podUID === pod.uid) this.#follow(containerID);
    }
  }

  /** The pods of this node were listed anew: what is Bound for one that is not alive lost its event, or will have one. */
  podsListed(): void {
    for (const { phase, namespace, pod, podUID, containerID } of this.#own()) {
      const isAlive = this.#ports.pods.remembered({ namespace, name: pod, uid: podUID })?.isAlive === true;
      if (phase === 'Bound' && !isAlive) this.#follow(containerID);
    }
  }

  /** Compares everything once: what is proven gone is taken away, what is not but has no pod any more is followed. */
  async compare(): Promise<Comparison> {
    const { log, records, claims, pods, restoreClaims } = this.#ports;
    const kept = await records.list();
    const bound = claims.own().filter(({ phase }) => phase === 'Bound');
    const sandboxes = knownSandboxes(kept, await this.#holders(bound));
    const outcomes = await Promise.all(
      sandboxes.map(async (sandbox) => {
        const fromMs = performance.now();
        const outcome = await this.#takeAwayIfGone(sandbox).catch((err: unknown) => {
          log.warn({ err, containerID: sandbox.containerID }, 'sandbox not compared, it is looked at again');
          return 'unknown' as const;
        });
        if (outcome === 'taken') this.#told('compared', fromMs);
        const isAlive = outcome === 'lives' && (await pods.find(sandbox.pod))?.isAlive === true;
        if (outcome === 'unknown' || (outcome === 'lives' && !isAlive)) this.#follow(sandbox.containerID);
        return outcome;
      }),
    );
    const detached = outcomes.filter((outcome) => outcome === 'taken').length;
    const freed = await this.#freeHeldOfGonePods();
    const result = { detached, freed, ...(await restoreClaims()) };
    log.info({ records: kept.length, claims: bound.length, ...result }, 'compared with records and claims');
    return result;
  }

  async #compareUntilDone(): Promise<void> {
    const { log } = this.#ports;
    while (!this.#closed.signal.aborted) {
      try {
        await this.compare();
        return;
      } catch (err) {
        log.warn({ err, retryMs: this.#pauses.retryMs }, 'not compared with records and claims yet');
        await this.#pause(this.#pauses.retryMs);
      }
    }
  }

  async #compareAgainAndAgain(): Promise<void> {
    for (;;) {
      await this.#pause(this.#pauses.comparisonMs);
      if (this.#closed.signal.aborted) return;
      await this.#compareUntilDone();
    }
  }

  #follow(containerID: string): void {
    if (this.#followed.has(containerID) || this.#closed.signal.aborted) return;
    this.#followed.add(containerID);
    void this.#lookUntilDone(containerID).finally(() => this.#followed.delete(containerID));
  }

  async #lookUntilDone(containerID: string): Promise<void> {
    let sandbox: KnownSandbox | undefined;
    const { log } = this.#ports;
    const { firstLookMs, longestLookMs } = this.#pauses;
    const fromMs = performance.now();
    for (let pauseMs = firstLookMs; ; pauseMs = Math.min(2 * pauseMs, longestLookMs)) {
      try {
        sandbox ??= await this.#recall(containerID);
        if (sandbox === undefined || this.#isWanted(sandbox)) return;
        const outcome = await this.#takeAwayIfGone(sandbox);
        if (outcome === 'taken') this.#told('pod gone', fromMs);
        if (outcome !== 'lives') return;
      } catch (err) {
        log.warn({ err, containerID }, 'sandbox without a pod not looked at');
      }
      await this.#pause(pauseMs);
      if (this.#closed.signal.aborted) return;
    }
  }

  #told(reason: 'pod gone' | 'compared', fromMs: number): void {
    this.#ports.onTaken?.(reason, (performance.now() - fromMs) / 1000);
  }

  /** A pod may come back under its UID: the mirror of a static pod that was deleted by hand. */
  #isWanted({ pod }: KnownSandbox): boolean {
    return this.#ports.pods.remembered(pod)?.isAlive === true;
  }

  /** What is known of a sandbox now; undefined when its DEL came meanwhile. */
  async #recall(containerID: string): Promise<KnownSandbox | undefined> {
    const { records, claims } = this.#ports;
    const bound = claims.own().filter((claim) => claim.phase === 'Bound' && claim.containerID === containerID);
    const [kept, holders] = await Promise.all([records.list(containerID), this.#holders(bound)]);
    return knownSandboxes(
      kept,
      holders.filter((holder) => holder.containerID === containerID),
    )[0];
  }

  async #holders(claims: readonly RememberedClaim[]): Promise<readonly ClaimHolder[]> {
    const holders = await Promise.all(claims.map(({ name }) => this.#ports.claims.holderOf(name)));
    return holders.filter((holder) => holder !== undefined);
  }

  /** What is left of a sandbox that is gone is taken away, or waits on disk. Throws when neither could be done. */
  async #takeAwayIfGone(sandbox: KnownSandbox): Promise<'lives' | 'taken' | 'nothing left'> {
    const { isGone, because } = await lookForProof(sandbox.places, this.#ports);
    if (!isGone) return 'lives';
    return await this.#turn.runExclusive(async () => {
      const { detach, log } = this.#ports;
      const { containerID, pod } = sandbox;
      const left = (await this.#recall(containerID))?.attachments ?? []; // its DEL may have come after all
      for (const attachment of left) await detach({ attachment, pod });
      if (left.length === 0) return 'nothing left';
      log.info({ containerID, pod, because }, 'sandbox is gone without its DEL, taken away');
      return 'taken';
    });
  }

  async #freeHeld(podUID: string): Promise<void> {
    const { claims, log } = this.#ports;
    const isHeld = (): boolean => this.#own().some((claim) => claim.phase === 'Held' && claim.podUID === podUID);
    while (isHeld() && !this.#closed.signal.aborted) {
      try {
        const freed = await claims.freeHeld(podUID);
        if (freed.length > 0) log.info({ podUID, claims: freed }, 'addresses held for a pod that is gone freed');
        return;
      } catch (err) {
        log.warn({ err, podUID }, 'addresses held for a pod that is gone not freed yet');
        await this.#pause(this.#pauses.retryMs);
      }
    }
  }

  async #freeHeldOfGonePods(): Promise<number> {
    const { claims, pods } = this.#ports;
    const held = claims.own().filter(({ phase, identity }) => phase === 'Held' && identity === '');
    const freed = await Promise.all(
      held.map(async ({ namespace, pod: name, podUID }) => {
        const pod = await pods.find({ namespace, name, uid: podUID });
        return pod?.isAlive === true ? [] : await claims.freeHeld(podUID);
      }),
    );
    return new Set(freed.flat()).size;
  }

  /** None before they are listed: the comparison at start comes after that. */
  #own(): readonly RememberedClaim[] {
    try {
      return this.#ports.claims.own();
    } catch {
      return [];
    }
  }

  async #pause(pauseMs: number): Promise<void> {
    await sleep(pauseMs, undefined, { signal: this.#closed.signal, ref: false }).catch(() => undefined);
  }
}
