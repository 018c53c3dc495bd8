import { parentPort, workerData } from 'node:worker_threads';
import { toFailure } from '../contracts/failures.ts';
import { kernelRefusedUnplanned } from './kernel-refused.ts';
import { createKernelTasks, type KernelTasks } from './kernel-tasks.ts';
import type { ThreadAnswer, ThreadSettings, ThreadTask } from './thread-pool.ts';

/** The whole life of a kernel thread: take a task, do it, answer. */
const { hostNetns } = workerData as ThreadSettings;
const tasks = createKernelTasks(hostNetns);

parentPort?.on('message', ({ task, argument }: ThreadTask) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
  parentPort?.postMessage(perform(task, argument));
});

function perform(task: keyof KernelTasks, argument: unknown): ThreadAnswer {
  try {
    // The pool's `run` ties the argument to the task; a message cannot carry that tie.
    return { outcome: 'done', result: (tasks[task] as (argument: unknown) => unknown)(argument) };
  } catch (error) {
    const failure = toFailure(kernelRefusedUnplanned(task, error));
    return { outcome: 'failed', failure, stack: error instanceof Error ? (error.stack ?? '') : '' };
  }
}
