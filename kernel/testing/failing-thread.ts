import { parentPort } from 'node:worker_threads';
import type { ThreadAnswer, ThreadTask } from '../thread-pool.ts';

/** Stands in for a kernel thread: answers with its argument, or dies of it. */
parentPort?.on('message', ({ argument }: ThreadTask) => {
  if (argument === 'exit') process.exit(3);
  if (argument === 'throw') throw new Error('thrown outside a task');
  const answer: ThreadAnswer =
    argument === 'refuse'
      ? { outcome: 'failed', failure: { type: 'KernelRefused', message: 'no', remedy: 'yes' }, stack: 'a stack' }
      : { outcome: 'done', result: argument };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
  parentPort?.postMessage(answer);
});
