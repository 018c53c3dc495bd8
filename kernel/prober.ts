import { Worker } from 'node:worker_threads';
import { ProvisionError } from '../contracts/failures.ts';
import type { ProbeAnswer, ProbeSpec } from './open-probes.ts';
import type { ProbeTask, ProbeThreadAnswer } from './probe-thread.ts';

interface OpenQuestion {
  readonly resolve: (answer: ProbeAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** The thread that asks the neighbours: any number of questions at a time. It starts with the first, as most nodes ask none. */
export class Prober {
  readonly #program: URL;
  readonly #onDeath: (error: Error) => void;
  readonly #open = new Map<number, OpenQuestion>();
  #thread: Worker | undefined;
  #asked = 0;
  #isClosing = false;

  constructor(program: URL, onDeath: (error: Error) => void) {
    this.#program = program;
    this.#onDeath = onDeath;
  }

  ask(spec: ProbeSpec): Promise<ProbeAnswer> {
    if (this.#isClosing) return Promise.reject(internal('Cannot ask the neighbours: the probing thread is closed'));
    const thread = (this.#thread ??= this.#start());
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      thread.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
      thread.postMessage({ id, spec } satisfies ProbeTask);
    });
  }

  /** Ends the thread; what is still asked fails. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#thread?.terminate();
  }

  #start(): Worker {
    const thread = new Worker(this.#program, { name: 'orbweaver-probe' });
    let cause: Error | undefined;
    thread.on('message', (answer: ProbeThreadAnswer) => this.#finish(thread, answer));
    thread.on('error', (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    thread.on('exit', (code) => this.#bury(cause ?? new Error(`exit code ${code}`)));
    return thread;
  }

  #finish(thread: Worker, answer: ProbeThreadAnswer): void {
    const question = this.#open.get(answer.id);
    this.#open.delete(answer.id);
    if (this.#open.size === 0) thread.unref(); // an idle thread keeps no process alive
    if (answer.outcome === 'done') question?.resolve(answer.result);
    else question?.reject(new ProvisionError(answer.failure, { cause: answer.stack }));
  }

  /** The thread ended by itself: all that was asked is lost, and the next question starts another. */
  #bury(cause: Error): void {
    this.#thread = undefined;
    const lost = [...this.#open.values()];
    this.#open.clear();
    if (!this.#isClosing) this.#onDeath(cause);
    for (const { reject } of lost)
      reject(internal('Cannot tell what the neighbours said: the probing thread died', cause));
  }
}

const internal = (message: string, cause?: Error): ProvisionError =>
  new ProvisionError({ type: 'Internal', message }, { cause });
