import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { toolPath } from '../../deploy/toolchain/parts.ts';
import { AnswerReader, encodeRequest, type LaunchAnswer, type LaunchRequest } from './launcher-frames.ts';

export type Launch = Omit<LaunchRequest, 'id'>;

/**
 * The program that starts executables for us (launcher.c). Node would fork: 6 to 8 ms for a process of its size, which no container
 * runtime takes. It sees the namespaces and cgroup of whoever makes this, and ends with it.
 */
export class Launcher {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, PromiseWithResolvers<LaunchAnswer>>();
  readonly #reader = new AnswerReader();
  #lastId = 0;
  #ended: string | undefined;

  /** Needs the part `fleet-launcher`. */
  constructor() {
    this.#process = spawn(toolPath('fleet-launcher'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.stdin.on('error', () => undefined); // its end says it too
    this.#process.stdout.on('data', (chunk: Buffer) => {
      for (const answer of this.#reader.read(chunk)) this.#settle(answer);
    });
    this.#process.once('error', (error) => this.#end(error.message));
    this.#process.once('close', (code, signal) => this.#end(signal ?? `exit code ${code}`));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /**
   * Starts an executable and waits for its end and for all of its stdout.
   * @throws {Error} when the launcher has ended, or ends meanwhile. An executable that cannot be started is an answer.
   */
  start(launch: Launch): Promise<LaunchAnswer> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended));
    this.#lastId += 1;
    const waiter = Promise.withResolvers<LaunchAnswer>();
    this.#waiting.set(this.#lastId, waiter);
    this.#process.stdin.write(encodeRequest({ ...launch, id: this.#lastId }));
    return waiter.promise;
  }

  /** Kills what still runs, and waits for the launcher's end. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const end = Promise.withResolvers<void>();
    this.#process.once('close', () => end.resolve());
    this.#process.stdin.end();
    await end.promise;
  }

  #settle(answer: LaunchAnswer): void {
    this.#waiting.get(answer.id)?.resolve(answer);
    this.#waiting.delete(answer.id);
  }

  #end(how: string): void {
    this.#ended ??= `The launcher of CNI executables ended: ${how}`;
    for (const { reject } of this.#waiting.values()) reject(new Error(this.#ended));
    this.#waiting.clear();
  }
}
