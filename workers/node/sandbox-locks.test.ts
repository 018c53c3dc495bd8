import { setImmediate as everythingDone } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { SandboxLocks } from './sandbox-locks.ts';

describe('SandboxLocks', () => {
  it('lets work on one sandbox happen one at a time, first come, first served', async () => {
    const locks = new SandboxLocks();
    const events: string[] = [];
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const all = gates.map(
      async (gate, index) =>
        await locks.hold('c1', async () => {
          events.push(`begin ${index}`);
          await gate.promise;
          events.push(`end ${index}`);
        }),
    );
    for (const gate of gates.toReversed()) gate.resolve(); // the last one is ready first, and still waits
    await Promise.all(all);
    expect(events).toEqual(['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2']);
  });

  it('does not make sandboxes wait for each other', async () => {
    const locks = new SandboxLocks();
    const gate = Promise.withResolvers<void>();
    const first = locks.hold('c1', () => gate.promise);
    await expect(locks.hold('c2', () => Promise.resolve('done'))).resolves.toBe('done');
    gate.resolve();
    await first;
  });

  it("gives the work's result, and its failure, and goes on after either", async () => {
    const locks = new SandboxLocks();
    const failed = locks.hold('c1', () => Promise.reject(new Error('refused')));
    const next = locks.hold('c1', () => Promise.resolve(7));
    await expect(failed).rejects.toThrow('refused');
    await expect(next).resolves.toBe(7);
  });

  it('forgets a sandbox that nobody works on', async () => {
    const locks = new SandboxLocks();
    const work = locks.hold('c1', () => Promise.resolve());
    expect(locks.size).toBe(1);
    await work;
    await everythingDone();
    expect(locks.size).toBe(0);
  });

  it('leaves no timer behind when a waiter got the lock in time', async () => {
    jest.useFakeTimers();
    try {
      const locks = new SandboxLocks();
      const gate = Promise.withResolvers<void>();
      const holder = locks.hold('c1', () => gate.promise);
      const waiter = locks.hold('c1', () => Promise.resolve(7), { waitMs: 4500 });
      gate.resolve();
      await holder;
      await expect(waiter).resolves.toBe(7);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  describe('a waiter that gives up', () => {
    const waiting = async () => {
      jest.useFakeTimers();
      const locks = new SandboxLocks();
      const gate = Promise.withResolvers<void>();
      const ran: string[] = [];
      const holder = locks.hold('c1', async () => {
        await gate.promise;
        ran.push('holder');
      });
      const impatient = locks.hold('c1', async () => void ran.push('impatient'), { waitMs: 50 });
      const patient = locks.hold('c1', async () => void ran.push('patient'));
      impatient.catch(() => undefined);
      await jest.advanceTimersByTimeAsync(50);
      jest.useRealTimers();
      return { locks, gate, ran, holder, impatient, patient };
    };

    it('is told who keeps it waiting, and its work never runs', async () => {
      const { gate, ran, holder, impatient, patient } = await waiting();
      await expect(impatient).rejects.toMatchObject({
        type: 'WorkerBusy',
        message: 'Another operation on sandbox c1 was not finished within 50 ms',
      });
      gate.resolve();
      await Promise.all([holder, patient]);
      expect(ran).toEqual(['holder', 'patient']);
    });

    it('does not let those behind it pass the one that holds the lock', async () => {
      const { gate, ran, holder, patient } = await waiting();
      expect(ran).toEqual([]);
      gate.resolve();
      await Promise.all([holder, patient]);
      expect(ran).toEqual(['holder', 'patient']);
    });

    it('leaves no trace', async () => {
      const { locks, gate, holder, patient } = await waiting();
      gate.resolve();
      await Promise.all([holder, patient]);
      await everythingDone();
      expect(locks.size).toBe(0);
    });
  });
});
