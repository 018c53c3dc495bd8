import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { toFailure } from '../contracts/failures.ts';
import { kernelRefusedUnplanned } from './kernel-refused.ts';
import { OpenProbes, type ProbeAnswer, type ProbeSpec } from './open-probes.ts';
import { systemCalls } from './system-calls.ts';
import type { ThreadAnswer } from './thread-pool.ts';

export interface ProbeTask {
  readonly id: number;
  readonly spec: ProbeSpec;
}

export type ProbeThreadAnswer = { readonly id: number } & ThreadAnswer<ProbeAnswer>;

/** How long a new question may have to wait for its thread to look up from the sockets. */
const turnMs = 10;

/** The whole life of the probing thread: while anything is asked it blocks in poll(2), and takes new questions in between. */
if (parentPort !== null) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const tell = (answer: ProbeThreadAnswer): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
    port.postMessage(answer);
  };
  const probes = new OpenProbes(systemCalls, {
    answered: (id, result) => tell({ id, outcome: 'done', result }),
    failed: (id, error) => {
      const stack = error instanceof Error ? (error.stack ?? '') : '';
      tell({ id, outcome: 'failed', failure: toFailure(kernelRefusedUnplanned('probe', error)), stack });
    },
  });
  port.on('message', ({ id, spec }: ProbeTask) => {
    probes.ask(id, spec);
    while (!probes.isIdle) {
      probes.turn(turnMs);
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        const task = next.message as ProbeTask; // nobody else writes to this port
        probes.ask(task.id, task.spec);
      }
    }
  });
}
