import { fork } from 'node:child_process';
import { once } from 'node:events';
import { NativeConnection } from '@temporalio/worker';
import { type Failure, ProvisionError, toFailure } from '../../contracts/failures.ts';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import { createSandboxWorker, installQuietRuntime, type SandboxStageOptions } from './sandbox-stage.ts';

/**
 * A worker of a node's runs in a process of its own, so that a test can kill it: its activities ask the process that started it.
 */
interface Ask {
  readonly id: number;
  readonly activity: keyof NodeActivities;
  readonly args: readonly unknown[];
}
type Answer = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly failure: Failure };

/** Starts a worker; `activities` is asked anew for each call, because what stands behind it may have been started anew. */
export async function forkSandboxWorker(options: SandboxStageOptions, activities: () => NodeActivities) {
  const child = fork(import.meta.filename, [JSON.stringify(options)]);
  const ended = once(child, 'exit');
  const answer = async ({ id, activity, args }: Ask): Promise<void> => {
    const said: Answer = await (activities()[activity] as (...args: readonly unknown[]) => Promise<unknown>)(
      ...args,
    ).then(
      (result) => ({ id, result }),
      (error: unknown) => ({ id, failure: toFailure(error) }),
    );
    if (child.connected) child.send(said);
  };
  child.on('message', (message: Ask | 'polling') => {
    if (message !== 'polling') void answer(message);
  });
  const [first] = await Promise.race([once(child, 'message'), ended]);
  if (first !== 'polling') throw new Error(`The worker ended before it polled: ${first}`);
  return {
    /** Ends it as the kernel's out-of-memory killer does. */
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

if (import.meta.main) {
  installQuietRuntime();
  const options = JSON.parse(process.argv[2] ?? '{}') as SandboxStageOptions;
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  process.on('message', (answer: Answer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('failure' in answer) call?.reject(new ProvisionError(answer.failure));
    else call?.resolve(answer.result);
  });
  process.on('disconnect', () => process.exit(1));
  const ask =
    (activity: keyof NodeActivities) =>
    (...args: readonly unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        const id = (asked += 1);
        waiting.set(id, { resolve, reject });
        process.send?.({ id, activity, args } satisfies Ask);
      });
  const connection = await NativeConnection.connect({ address: options.temporalAddress });
  const worker = await createSandboxWorker(connection, options, {
    prepareLinks: ask('prepareLinks'),
    claimAddresses: ask('claimAddresses'),
    plumbLink: ask('plumbLink'),
    lendRdma: ask('lendRdma'),
    coordinate: ask('coordinate'),
    removeLink: ask('removeLink'),
    releaseAddresses: ask('releaseAddresses'),
    answerFailure: ask('answerFailure'),
  });
  const running = worker.run();
  process.send?.('polling');
  await running;
}
