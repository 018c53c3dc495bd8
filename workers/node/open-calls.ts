import { type Attachment, attachmentKey } from '../../contracts/attachment.ts';
import type { CniResult } from '../../contracts/cni.ts';
import { type Failure, ProvisionError } from '../../contracts/failures.ts';

/** Who acts for a call: its run, or this process directly because the run did not in time. */
export type Owner = 'run' | 'direct';

/** One CNI call whose caller is, or was a moment ago, connected. */
export interface OpenCall {
  /** Settles in this process when the last step is done or everything is undone. */
  readonly outcome: Promise<CniResult | undefined>;
  /** Some step of it has run here. */
  readonly hasBegun: boolean;
  /** Takes the call from its run, once: from then on a step of the run for this call ends as `Superseded`. */
  takeOver(): boolean;
  /** Its caller is answered or gone. */
  close(): void;
}

/** How long a call that was taken over stays known, so that a late message of its run still meets the fact. */
const takenOverMemoryMs = 10 * 60_000;

/** The CNI calls that are open in this process, by nonce; the steps of a run find their callers here. */
export class OpenCalls {
  readonly #calls = new Map<string, Entry>();
  readonly #takenOver = new Map<string, number>();
  readonly #isDetachQueued: (attachment: Attachment) => boolean;
  readonly #nowMs: () => number;

  constructor(isDetachQueued: (attachment: Attachment) => boolean = () => false, nowMs = () => performance.now()) {
    this.#isDetachQueued = isDetachQueued;
    this.#nowMs = nowMs;
  }

  /** Registers a call before anything is sent for it. A caller that reconnects comes with the same nonce and takes its place. */
  open(nonce: string, command: 'ADD' | 'DEL', attachment: Attachment): OpenCall {
    const previous = this.#calls.get(nonce);
    const entry: Entry = {
      command,
      attachment,
      owner: 'run',
      hasBegun: previous?.hasBegun ?? false,
      isAnswered: false,
      ...Promise.withResolvers(),
    };
    entry.promise.catch(() => undefined); // a caller may be gone by the time its failure is known
    previous?.reject(hungUp(attachment));
    this.#calls.set(nonce, entry);
    return {
      outcome: entry.promise,
      get hasBegun() {
        return entry.hasBegun;
      },
      takeOver: () => {
        if (entry.owner !== 'run') return false;
        entry.owner = 'direct';
        this.#rememberTakenOver(nonce);
        return true;
      },
      close: () => {
        if (this.#calls.get(nonce) === entry) this.#calls.delete(nonce);
        entry.reject(hungUp(attachment)); // nothing once it is answered
      },
    };
  }

  isWaiting(nonce: string): boolean {
    return this.#calls.get(nonce)?.isAnswered === false;
  }

  isOwnedByRun(nonce: string): boolean {
    return !this.#takenOver.has(nonce);
  }

  isDetachWanted(attachment: Attachment): boolean {
    const isSame = (other: Entry): boolean =>
      other.command === 'DEL' &&
      other.attachment.containerID === attachment.containerID &&
      attachmentKey(other.attachment) === attachmentKey(attachment);
    return this.#calls.values().some(isSame) || this.#isDetachQueued(attachment);
  }

  noteStep(nonce: string): void {
    const entry = this.#calls.get(nonce);
    if (entry !== undefined) entry.hasBegun = true;
  }

  succeed(nonce: string, result?: CniResult): void {
    this.#answered(nonce)?.resolve(result);
  }

  fail(nonce: string, failure: Failure): void {
    this.#answered(nonce)?.reject(new ProvisionError(failure));
  }

  #answered(nonce: string): Entry | undefined {
    const entry = this.#calls.get(nonce);
    if (entry !== undefined) entry.isAnswered = true;
    return entry;
  }

  get size(): number {
    return this.#calls.size;
  }

  #rememberTakenOver(nonce: string): void {
    const nowMs = this.#nowMs();
    for (const [old, sinceMs] of this.#takenOver) {
      if (nowMs - sinceMs < takenOverMemoryMs) break; // in the order in which they came
      this.#takenOver.delete(old);
    }
    this.#takenOver.set(nonce, nowMs);
  }
}

const hungUp = ({ ifName, containerID }: Attachment): ProvisionError =>
  new ProvisionError({ type: 'CallerGone', message: `The caller for ${ifName} of sandbox ${containerID} hung up` });

interface Entry {
  readonly command: 'ADD' | 'DEL';
  readonly attachment: Attachment;
  owner: Owner;
  hasBegun: boolean;
  isAnswered: boolean;
  readonly promise: Promise<CniResult | undefined>;
  readonly resolve: (result: CniResult | undefined) => void;
  readonly reject: (failure: ProvisionError) => void;
}
