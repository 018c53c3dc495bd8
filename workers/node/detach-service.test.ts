import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ProvisionError } from '../../contracts/failures.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { type DetachOptions, DetachService } from './detach-service.ts';
import { OpenCalls } from './open-calls.ts';
import { SandboxLocks } from './sandbox-locks.ts';
import { silent } from './testing/node-world.ts';

const request = detachRequest(addRequest());
const never = <T>(): Promise<T> => new Promise(() => undefined);
const later = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function open(detach: DetachOptions['runs']['detach'], steps: Partial<DetachOptions['steps']> = {}) {
  const done: string[] = [];
  const untold: string[] = [];
  const outcomes: string[] = [];
  const [calls, locks] = [new OpenCalls(), new SandboxLocks()];
  const service = new DetachService({
    calls,
    locks,
    log: silent,
    untold: {
      note({ nonce }, told) {
        untold.push(nonce);
        told.then(
          () => void outcomes.push('told'),
          () => void outcomes.push('not told'),
        );
      },
    },
    runs: { detach },
    steps: {
      removeLink: async () => void done.push('link removed'),
      releaseAddresses: async () => void done.push('addresses released'),
      ...steps,
    },
  });
  const outcomeWithin = async (durationMs: number): Promise<string> => {
    let outcome = 'pending';
    service.detach(request).then(
      (value) => void (outcome = value),
      (error: unknown) => void (outcome = String(error)),
    );
    await jest.advanceTimersByTimeAsync(durationMs);
    return outcome;
  };
  return { service, calls, locks, done, untold, outcomes, outcomeWithin };
}

describe('a DEL', () => {
  it('is done by the run, and this process undoes nothing itself', async () => {
    const { service, done, untold, calls } = open(() => Promise.resolve('detached'));
    await expect(service.detach(request)).resolves.toBe('undone');
    expect({ done, untold }).toEqual({ done: [], untold: [] });
    expect(calls.size).toBe(0);
  });

  it('is answered when the last step is done, before Temporal has recorded it, and is remembered until then', async () => {
    const { service, calls, done, untold } = open(() => {
      calls.succeed(request.nonce);
      return never();
    });
    await expect(service.detach(request)).resolves.toBe('undone');
    expect({ done, untold }).toEqual({ done: [], untold: [request.nonce] });
  });

  it('is wanted, as an ADD that still runs can see, until it is over', async () => {
    const gate = Promise.withResolvers<'detached'>();
    const { service, calls } = open(() => gate.promise);
    const detached = service.detach(request);
    expect(calls.isDetachWanted(request.attachment)).toBe(true);
    gate.resolve('detached');
    await detached;
    expect(calls.isDetachWanted(request.attachment)).toBe(false);
  });

  it('is undone here, link before addresses, when no run is there', async () => {
    const { service, done } = open(() => Promise.resolve('no-run'));
    await expect(service.detach(request)).resolves.toBe('undone');
    expect(done).toEqual(['link removed', 'addresses released']);
  });

  it('is undone here when the run is late, which is left time to hear of it before it is asked again', async () => {
    const { outcomeWithin, done, untold } = open(() => never());
    expect(await outcomeWithin(3100)).toBe('undone');
    expect({ done, untold }).toEqual({ done: ['link removed', 'addresses released'], untold: [request.nonce] });
  });

  it('of one who keeps asking is undone here when the run is late, and the run is said to be open', async () => {
    const { service, done, untold } = open(() => never());
    const detached = service.detach(request, { keepsAsking: true });
    await jest.advanceTimersByTimeAsync(3100);
    expect(await detached).toBe('run-open');
    expect({ done, untold }).toEqual({ done: ['link removed', 'addresses released'], untold: [] });
  });

  it.each([
    ['heard of it late', () => Promise.resolve('detached' as const), 'told'],
    ['was overtaken', () => Promise.reject(new ProvisionError({ type: 'Superseded', message: 'late' })), 'told'],
    ['failed', () => Promise.reject(new ProvisionError({ type: 'KernelRefused', message: 'busy' })), 'not told'],
    ['never reacts', () => never<'detached'>(), 'not told'],
  ])('whose run %s after it was answered', async (_, end, expected) => {
    const { service, outcomes } = open(() => later(4000).then(end));
    const detached = service.detach(request);
    await jest.advanceTimersByTimeAsync(15_000);
    expect(await detached).toBe('undone');
    expect(outcomes).toEqual([expected]);
  });

  it.each([
    ['cannot be reached', () => Promise.reject(new ProvisionError({ type: 'TemporalUnavailable', message: 'away' }))],
    ['failed to detach', () => Promise.reject(new ProvisionError({ type: 'KernelRefused', message: 'busy' }))],
  ])('is undone here when the run %s, and says that the run is still open', async (_, detach) => {
    const { outcomeWithin, done } = open(detach);
    expect(await outcomeWithin(3100)).toBe('run-open');
    expect(done).toEqual(['link removed', 'addresses released']);
  });

  it('belongs to this process from then on: a late step of the run is superseded', async () => {
    const { outcomeWithin, calls } = open(() => never());
    expect(calls.isOwnedByRun(request.nonce)).toBe(true);
    await outcomeWithin(3100);
    expect(calls.isOwnedByRun(request.nonce)).toBe(false);
  });

  it('is taken over before its first step here, so that the run does nothing beside it', async () => {
    const owned: boolean[] = [];
    const { service, calls } = open(() => Promise.resolve('no-run'), {
      removeLink: async () => void owned.push(calls.isOwnedByRun(request.nonce)),
    });
    await service.detach(request);
    expect(owned).toEqual([false]);
  });

  it('waits for whoever works on its sandbox', async () => {
    const { service, locks, done } = open(() => Promise.resolve('no-run'));
    const gate = Promise.withResolvers<void>();
    const holder = locks.hold(request.attachment.containerID, () => gate.promise);
    const detached = service.detach(request);
    await jest.advanceTimersByTimeAsync(1000);
    expect(done).toEqual([]);
    gate.resolve();
    await holder;
    await expect(detached).resolves.toBe('undone');
  });

  it('is given up within 5 s when its sandbox stays locked', async () => {
    const { outcomeWithin, locks, done } = open(() => Promise.resolve('no-run'));
    void locks.hold(request.attachment.containerID, () => never());
    expect(await outcomeWithin(4900)).toMatch(/Not done within 4500 ms|was not finished within 4500 ms/);
    expect(done).toEqual([]);
  });

  it('is given up within 5 s when an undo does not come to an end', async () => {
    const { outcomeWithin, calls } = open(() => never(), { removeLink: () => never() });
    expect(await outcomeWithin(4900)).toContain('Not done within 4500 ms');
    expect(calls.size).toBe(0);
  });

  it('fails with the undo that failed, and frees no address of a link that is still there', async () => {
    const { service, done } = open(() => Promise.resolve('no-run'), {
      removeLink: () =>
        Promise.reject(new ProvisionError({ type: 'KernelRefused', message: 'RTNETLINK: device or resource busy' })),
    });
    await expect(service.detach(request)).rejects.toThrow('device or resource busy');
    expect(done).toEqual([]);
  });
});
