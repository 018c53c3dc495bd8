import { Worker } from 'node:worker_threads';
import { type Failure, ProvisionError } from '../contracts/failures.ts';
import type { KernelTasks } from './kernel-tasks.ts';

export interface ThreadSettings {
  readonly hostNetns: string | undefined;
}

export interface ThreadTask {
  readonly task: keyof KernelTasks;
  readonly argument: unknown;
}

/** Failures cross threads as values: a class does not survive the copy. */
export type ThreadAnswer<Result = unknown> =
  | { readonly outcome: 'done'; readonly result: Result }
  | { readonly outcome: 'failed'; readonly failure: Failure; readonly stack: string };

interface WaitingTask extends ThreadTask {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Threads that do one kernel task each at a time, in the order in which tasks came.
 *
 * The kernel's locks and grace periods hold a thread for milliseconds; none of that may hold the event loop.
 */
export class ThreadPool {
  readonly #program: URL;
  readonly #limit: number;
  readonly #settings: ThreadSettings;
  readonly #onDeath: (error: Error) => void;
  readonly #threads = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #waiting: WaitingTask[] = [];
  readonly #running = new Map<Worker, WaitingTask>();
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(program: URL, threads: number, settings: ThreadSettings, onDeath: (error: Error) => void) {
    this.#program = program;
    this.#limit = threads;
    this.#settings = settings;
    this.#onDeath = onDeath;
    for (let count = 0; count < threads; count += 1) this.#start();
  }

  /** Tasks that no thread has taken yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  run<Task extends keyof KernelTasks>(
    task: Task,
    argument: Parameters<KernelTasks[Task]>[0],
  ): Promise<ReturnType<KernelTasks[Task]>> {
    if (this.#closing !== undefined) return Promise.reject(internal(`Cannot ${task}: the kernel threads are closed`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, argument, resolve: resolve as (result: unknown) => void, reject });
      this.#next();
    });
  }

  /** Lets every task that was accepted finish, then ends the threads. */
  async close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    this.#settleClosing();
    await this.#closing.promise;
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }

  #start(): void {
    const thread = new Worker(this.#program, { workerData: this.#settings, name: 'orbweaver-kernel' });
    let cause: Error | undefined;
    thread.on('message', (answer: ThreadAnswer) => this.#finish(thread, answer));
    thread.on('error', (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    thread.on('exit', (code) => this.#bury(thread, cause ?? new Error(`exit code ${code}`)));
    thread.unref(); // an idle thread keeps no process alive
    this.#threads.add(thread);
    this.#idle.push(thread);
  }

  #next(): void {
    if (this.#waiting.length > 0 && this.#idle.length === 0 && this.#threads.size < this.#limit) this.#start();
    const thread = this.#waiting.length === 0 ? undefined : this.#idle.shift();
    const work = thread === undefined ? undefined : this.#waiting.shift();
    if (thread === undefined || work === undefined) return;
    this.#running.set(thread, work);
    thread.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
    thread.postMessage({ task: work.task, argument: work.argument } satisfies ThreadTask);
  }

  #finish(thread: Worker, answer: ThreadAnswer): void {
    const work = this.#running.get(thread);
    this.#running.delete(thread);
    thread.unref();
    this.#idle.push(thread);
    if (answer.outcome === 'done') work?.resolve(answer.result);
    else work?.reject(new ProvisionError(answer.failure, { cause: answer.stack }));
    this.#next();
    this.#settleClosing();
  }

  /**
   * A thread ended by itself: its task is lost, and its place is filled when the next task comes. So threads that cannot even
   * start cost one task each and no endless round of starting.
   */
  #bury(thread: Worker, cause: Error): void {
    this.#threads.delete(thread);
    const idleAt = this.#idle.indexOf(thread);
    if (idleAt >= 0) this.#idle.splice(idleAt, 1);
    const work = this.#running.get(thread);
    this.#running.delete(thread);
    work?.reject(internal(`Cannot tell how "${work.task}" ended: its kernel thread died`, cause));
    if (this.#closing === undefined || work !== undefined) this.#onDeath(cause);
    this.#next();
    this.#settleClosing();
  }

  #settleClosing(): void {
    if (this.#running.size === 0 && this.#waiting.length === 0) this.#closing?.resolve();
  }
}

const internal = (message: string, cause?: Error): ProvisionError =>
  new ProvisionError({ type: 'Internal', message }, { cause });
