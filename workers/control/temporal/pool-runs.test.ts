import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { PoolSubject } from '../../../ipam/auto-pools/pool-wish.ts';
import { hintAtPool } from './pool-runs.ts';

const subject: PoolSubject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'pay',
  name: 'api',
  ifName: 'eth0',
  family: 4,
};

/** A Temporal server that answers a start by `start`, and what it was asked. */
function open(start: () => Promise<unknown> = async () => ({})) {
  const asked: string[] = [];
  const clientOf = (name: string): Client =>
    ({
      withDeadline: (_: number, call: () => Promise<unknown>) => call(),
      workflow: {
        start: (_: string, { requestEagerStart }: { requestEagerStart?: boolean }) => {
          asked.push(`${name}: start${requestEagerStart === true ? ', eagerly' : ''}`);
          return start();
        },
        signalWithStart: async () => void asked.push(`${name}: signal with start`),
      },
    }) as unknown as Client;
  const clients = { control: clientOf('control'), worker: clientOf('worker') };
  return { asked, hint: (isMostLikelyNew: boolean) => hintAtPool(clients, subject, {}, isMostLikelyNew) };
}
afterEach(() => void jest.useRealTimers());

describe('a hint at an application’s pool', () => {
  it('begins the run of a new one eagerly, on the connection of the worker that executes it', async () => {
    const { asked, hint } = open();
    await hint(true);
    expect(asked).toEqual(['worker: start, eagerly']);
  });

  it('signals the run of one that is known', async () => {
    const { asked, hint } = open();
    await hint(false);
    expect(asked).toEqual(['control: signal with start']);
  });

  it('signals the run that another leader, or an earlier hint, has begun', async () => {
    const { asked, hint } = open(() => Promise.reject(new WorkflowExecutionAlreadyStartedError('open', 'id', 'pool')));
    await hint(true);
    expect(asked).toEqual(['worker: start, eagerly', 'control: signal with start']);
  });

  it('fails when Temporal fails', async () => {
    const { asked, hint } = open(() => Promise.reject(new Error('transport error')));
    await expect(hint(true)).rejects.toThrow('transport error');
    expect(asked).toEqual(['worker: start, eagerly']);
  });

  it('fails when Temporal does not answer: that connection keeps no deadline of its own', async () => {
    jest.useFakeTimers();
    const { hint } = open(() => new Promise(() => undefined));
    await Promise.all([
      expect(hint(true)).rejects.toThrow('did not answer within 5000 ms'),
      jest.advanceTimersByTimeAsync(5000),
    ]);
  });
});
