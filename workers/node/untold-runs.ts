import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../activities/node-ports.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';

export interface UntoldRunsOptions {
  readonly directory: string;
  /** Keeps the DEL until its run was told: on disk, to be tried again and again. */
  readonly keep: (request: DetachRequest) => Promise<void>;
  readonly log: Log;
}

/**
 * DELs that were answered and that Temporal has not recorded yet. The last step answers before it is recorded, so a worker that
 * is killed in between, or a Temporal server, leaves a run open that nobody would tell again: the runtime has its answer.
 *
 * One file each, on tmpfs like the attachment records: for milliseconds, or as long as a busy server takes.
 */
export class UntoldRuns {
  readonly #options: UntoldRunsOptions;

  constructor(options: UntoldRunsOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  /** Remembers that this DEL is about to be answered, until its run was told, or could not be and the DEL is kept. */
  note(request: DetachRequest, told: Promise<unknown>): void {
    const path = join(this.#options.directory, request.nonce);
    told.catch(() => undefined); // it may fail after this has, which is the caller's to know
    writeFileSync(path, JSON.stringify(request), { mode: 0o600 });
    told
      .catch(() => this.#options.keep(request))
      .then(() => rmSync(path, { force: true }))
      .catch((err: unknown) =>
        this.#options.log.warn(
          { err, ...request.attachment },
          'run that misses its DEL not told, the next start tries again',
        ),
      );
  }

  /** Keeps what the last worker did not live to see recorded. */
  async recover(): Promise<void> {
    const { directory, keep, log } = this.#options;
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const request = parse(readFileSync(path, 'utf8'));
      if (request !== undefined) {
        await keep(request);
        log.info({ ...request.attachment }, 'DEL that was answered and perhaps not recorded goes to its run again');
      }
      rmSync(path, { force: true });
    }
  }
}

/** Undefined for a file whose writer was killed over it: it had not answered yet, and the runtime asks again. */
function parse(text: string): DetachRequest | undefined {
  try {
    return JSON.parse(text) as DetachRequest;
  } catch {
    return undefined;
  }
}
