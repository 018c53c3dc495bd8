import { describe, expect, it } from '@jest/globals';
import type { CniResult } from '../../contracts/cni.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { addRequest } from '../../workflows/testing/node-model.ts';
import { attachThroughRun } from './attach-service.ts';
import { OpenCalls } from './open-calls.ts';

const request = addRequest();
const result: CniResult = { interfaces: [], ips: [{ address: '10.70.8.20/22' }], routes: [], dns: {} };
const another: CniResult = { ...result, ips: [{ address: '10.70.8.21/22' }] };
const failure = { type: 'PoolExhausted', message: 'all 3 are in use' } as const;

describe('an ADD through its run', () => {
  const open = () => {
    const calls = new OpenCalls();
    return { calls, call: calls.open(request.nonce, 'ADD', request.attachment) };
  };

  it('is answered by the last step, before Temporal replied', async () => {
    const { calls, call } = open();
    const add = () => {
      calls.succeed(request.nonce, result);
      return new Promise<never>(() => undefined);
    };
    await expect(attachThroughRun({ add }, request, call)).resolves.toBe(result);
  });

  it('is answered by a run that knew the attachment already', async () => {
    const { call } = open();
    await expect(attachThroughRun({ add: async () => another }, request, call)).resolves.toBe(another);
  });

  it('waits for the last step when Temporal only said that the run was started', async () => {
    const { calls, call } = open();
    const answer = attachThroughRun({ add: () => Promise.resolve(undefined) }, request, call);
    await Promise.resolve();
    calls.succeed(request.nonce, result);
    await expect(answer).resolves.toBe(result);
  });

  it('fails with what the run says after everything is undone', async () => {
    const { calls, call } = open();
    const answer = attachThroughRun({ add: () => Promise.resolve(undefined) }, request, call);
    calls.fail(request.nonce, failure);
    await expect(answer).rejects.toMatchObject(failure);
  });

  it('fails when Temporal cannot be reached', async () => {
    const { call } = open();
    const away = new ProvisionError({ type: 'TemporalUnavailable', message: 'away' });
    await expect(attachThroughRun({ add: () => Promise.reject(away) }, request, call)).rejects.toBe(away);
  });

  it('keeps the answer when Temporal fails afterwards', async () => {
    const { calls, call } = open();
    const gate = Promise.withResolvers<undefined>();
    const answer = attachThroughRun({ add: () => gate.promise }, request, call);
    calls.succeed(request.nonce, result);
    await expect(answer).resolves.toBe(result);
    gate.reject(new Error('connection lost'));
    await expect(gate.promise).rejects.toThrow('connection lost');
  });
});
