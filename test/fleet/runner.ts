import { join } from 'node:path';
import type { StackNode } from '../../deploy/dev/node.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import type { RunnerAnswer, RunnerWork } from './runner-messages.ts';

/** The runner of one node, seen from the program that drives the fleet. */
export class Runner {
  readonly process: StackProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #ended: string | undefined;

  constructor(node: StackNode) {
    this.process = node.spawn(
      `${node.name}/runner`,
      [process.execPath, join(import.meta.dirname, 'node-runner.ts'), netnsDirectoryOf(node)],
      { ipc: true },
    );
    this.process.child.on('message', (answer: RunnerAnswer) => this.#settle(answer));
    void this.process.ended.then((how) => {
      this.#ended = `The runner of ${node.name} ended: ${how}\n${this.process.tail()}`;
      for (const { reject } of this.#waiting.values()) reject(new Error(this.#ended));
      this.#waiting.clear();
    });
  }

  /** @throws {Error} with what the runner says, or when it has ended. */
  ask<Kind extends keyof RunnerWork>(kind: Kind, ask: RunnerWork[Kind]['ask']): Promise<RunnerWork[Kind]['answer']> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended));
    this.#lastId += 1;
    const waiter = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#lastId, waiter);
    this.process.child.ref(); // a program that waits for an answer must not end before it
    this.process.child.send({ id: this.#lastId, kind, ...ask });
    return waiter.promise as Promise<RunnerWork[Kind]['answer']>; // the id ties the answer to this question
  }

  async stop(): Promise<void> {
    if (!this.process.isRunning) return;
    if (this.process.child.connected) this.process.child.disconnect();
    await this.process.stop('SIGKILL');
  }

  #settle(answer: RunnerAnswer): void {
    const waiter = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.process.child.unref();
    if ('value' in answer) waiter?.resolve(answer.value);
    else waiter?.reject(new Error(answer.error));
  }
}

/** Where sandboxes' namespaces are mounted on a node of the fleet; the same directory as for hand-made ones. */
export const netnsDirectoryOf = (node: StackNode): string => join(node.paths.state, 'netns');
