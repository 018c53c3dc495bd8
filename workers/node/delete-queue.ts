import { randomUUID } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../activities/node-ports.ts';
import type { Attachment } from '../../contracts/attachment.ts';
import { attachmentKey } from '../../contracts/attachment.ts';
import { decodeRequest, QUEUE_FILE_NAME, queueFileName, type RequestFrame } from '../../contracts/frame.ts';

export interface DeleteQueueOptions {
  readonly directory: string;
  /** Reads the attachment that a frame wants gone; throws for a frame that is no DEL. */
  readonly attachmentOf: (frame: RequestFrame) => Attachment;
  /** Takes it away; throws when something is left, and the file stays. `attempt` counts from 1. */
  readonly detach: (frame: RequestFrame, attempt: number) => Promise<void>;
  readonly log: Log;
  readonly nowMs?: () => number;
}

const atOnce = 4;
const longestPauseMs = 10_000;
const ownDraft = '.tmp-worker-';
/** Writing a DEL takes the executable milliseconds. */
const abandonedAfterMs = 60_000;

/**
 * DELs that could not be done when they were called wait here as files: put by this worker, or by the CNI executable while no
 * worker ran. Each is tried again, with growing pauses, until it is done; the addresses stay held meanwhile.
 */
export class DeleteQueue {
  readonly #options: Required<DeleteQueueOptions>;
  readonly #waiting = new Map<string, Attachment>();
  readonly #working = new Set<string>();
  readonly #attempts = new Map<string, { readonly attempt: number; readonly notBeforeMs: number }>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #wasRead = false;

  constructor(options: DeleteQueueOptions) {
    this.#options = { nowMs: Date.now, ...options };
  }

  /** Makes the directory and reads what waits there, so that no ADD passes a DEL of its own sandbox; tries nothing yet. */
  async read(): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    await this.#removeAbandoned();
    await this.#refresh();
    this.#wasRead = true;
  }

  /** Begins to work the queue off, and goes on whenever a file appears. */
  start(): void {
    this.#watcher = watch(this.#options.directory, () => this.#soon(0));
    this.#soon(0);
  }

  /** Tries everything again at once: what kept them waiting is back. */
  retryNow(): void {
    this.#attempts.clear();
    this.#soon(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  get size(): number {
    return this.#waiting.size;
  }

  has(attachment: Attachment): boolean {
    const key = attachmentKey(attachment);
    return this.#waiting
      .values()
      .some((other) => other.containerID === attachment.containerID && attachmentKey(other) === key);
  }

  /** Keeps a DEL on disk; it is there for good when this returns (write, fsync, rename, fsync of the directory). */
  async put(frame: Uint8Array, nonce: string): Promise<void> {
    const { directory, nowMs } = this.#options;
    // Not the executable's name for it: it makes a draft of its own when this process is killed over ours, or is late.
    const temporary = join(directory, `${ownDraft}${randomUUID()}`);
    await synced(temporary, 'w', (file) => file.writeFile(frame));
    await rename(temporary, join(directory, queueFileName(BigInt(Math.trunc(nowMs() * 1e6)), nonce)));
    await synced(directory, 'r');
    this.#soon(1000); // it was just tried
  }

  #soon(delayMs: number): void {
    if (this.#isClosed || !this.#wasRead) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#work(), delayMs);
    this.#timer.unref();
  }

  async #work(): Promise<void> {
    const { log, nowMs } = this.#options;
    try {
      await this.#refresh();
      for (const name of this.#waiting.keys()) {
        if (this.#working.size >= atOnce) return; // each end calls again
        if (this.#working.has(name) || (this.#attempts.get(name)?.notBeforeMs ?? 0) > nowMs()) continue;
        this.#working.add(name);
        void this.#try(name).finally(() => {
          this.#working.delete(name);
          this.#soon(0);
        });
      }
    } catch (err) {
      log.error({ err, remedy: `See whether ${this.#options.directory} can be read` }, 'queue of DELs not read');
    }
    if (this.#waiting.size > 0 && this.#working.size === 0) this.#soon(500);
  }

  async #try(name: string): Promise<void> {
    const { directory, detach, log, nowMs } = this.#options;
    const attempt = (this.#attempts.get(name)?.attempt ?? 0) + 1;
    try {
      const frame = decodeRequest(await readFile(join(directory, name)));
      if (frame !== 'incomplete') await detach(frame, attempt);
      await rm(join(directory, name));
      this.#attempts.delete(name);
      this.#waiting.delete(name);
      log.info({ file: name, attempt }, 'queued DEL done');
    } catch (err) {
      const pauseMs = Math.min(longestPauseMs, 500 * 2 ** attempt);
      this.#attempts.set(name, { attempt, notBeforeMs: nowMs() + pauseMs });
      log.warn({ err, file: name, attempt, pauseMs }, 'queued DEL not done yet');
    }
  }

  /**
   * Half-written files of an executable or a worker that was killed: nobody was told that they are there. An executable may be
   * writing just now; no worker but this one is.
   */
  async #removeAbandoned(): Promise<void> {
    const { directory, nowMs } = this.#options;
    for (const name of await readdir(directory)) {
      if (!name.startsWith('.tmp-')) continue;
      const isOurs = name.startsWith(ownDraft);
      const { mtimeMs } = await stat(join(directory, name)).catch(() => ({ mtimeMs: Infinity })); // renamed meanwhile
      if (isOurs || mtimeMs < nowMs() - abandonedAfterMs) await rm(join(directory, name), { force: true });
    }
  }

  async #refresh(): Promise<void> {
    const { directory, attachmentOf, log } = this.#options;
    const names = (await readdir(directory)).filter((name) => QUEUE_FILE_NAME.test(name)).sort();
    for (const known of this.#waiting.keys()) if (!names.includes(known)) this.#waiting.delete(known);
    for (const name of names) {
      if (this.#waiting.has(name)) continue;
      const path = join(directory, name);
      try {
        const frame = decodeRequest(await readFile(path));
        if (frame === 'incomplete') throw new Error('The file ends too early');
        this.#waiting.set(name, attachmentOf(frame));
      } catch (err) {
        if (isAbsent(err)) continue; // done, or taken away by hand, since the directory was listed
        await rename(path, join(directory, `corrupt-${name}`));
        log.error(
          { err, file: `corrupt-${name}`, remedy: 'Its sandbox is found by the comparison at start' },
          'queued DEL is no DEL',
        );
      }
    }
  }
}

const isAbsent = (err: unknown): boolean => (err as NodeJS.ErrnoException | null)?.code === 'ENOENT';

async function synced(path: string, flags: string, write?: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await write?.(file);
    await file.sync();
  } finally {
    await file.close();
  }
}
