/**
 * The runner process of one node: what a container runtime does there and no more. It runs in the node's network and mounts,
 * makes and removes network namespaces, and has its launcher execute CNI executables and measure them.
 */

import { stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { execute } from './cni-execution.ts';
import { Launcher } from './launcher.ts';
import type { CniCall, CniOutcome, RunnerAnswer, RunnerRequest } from './runner-messages.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined || process.send === undefined) throw new Error('Started by fleet.ts, with an IPC channel');

// libuv starts its threads from the thread that first needs them: this one, which never leaves its namespace.
await stat('/');
const launcher = new Launcher();
const threads = {
  /** Making a namespace waits for locks of the kernel; looking at all of them must not wait behind that. */
  changes: openThread(directory),
  looks: openThread(directory),
};

process.on('disconnect', () => process.exit());
process.on('message', (request: RunnerRequest) => {
  if (request.kind === 'calls') {
    void executeAll(request.calls, request.atOnce).then((value) => answer({ id: request.id, value }));
  } else {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    (request.kind === 'addresses' ? threads.looks : threads.changes).postMessage(request);
  }
});

function openThread(namespaces: string): Worker {
  const thread = new Worker(new URL('./namespace-thread.ts', import.meta.url), { workerData: namespaces });
  thread.on('message', answer);
  return thread;
}

function answer(message: RunnerAnswer): void {
  process.send?.(message);
}

/** `atOnce` of them are open at any time until the last ones. Answers are in the order of the calls. */
async function executeAll(calls: readonly CniCall[], atOnce: number): Promise<CniOutcome[]> {
  const outcomes: CniOutcome[] = [];
  const waiting = calls.entries();
  const lane = async (): Promise<void> => {
    for (const [index, call] of waiting) outcomes[index] = await execute(launcher, call);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return outcomes;
}
