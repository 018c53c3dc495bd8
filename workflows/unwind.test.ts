import { describe, expect, it } from '@jest/globals';
import { ProvisionError } from '../contracts/failures.ts';
import { fromTemporal } from '../temporal-config/failure-conversion.ts';
import { type Shield, Unwind } from './unwind.ts';

function open(shield: Shield = (work) => work()) {
  const events: string[] = [];
  const saga = new Unwind(shield);
  const step = (name: string, { fails = '', undoFails = '' } = {}) =>
    saga.step(name, {
      run: async () => {
        events.push(`run ${name}`);
        if (fails !== '') throw new ProvisionError({ type: 'KernelRefused', message: fails });
        return name;
      },
      undo: async () => {
        events.push(`undo ${name}`);
        if (undoFails !== '')
          throw new ProvisionError({ type: 'ApiServerUnavailable', message: undoFails, remedy: 'start it' });
      },
    });
  return { saga, step, events };
}

const reason = new ProvisionError({ type: 'KernelRefused', message: 'no such device' });

describe('Unwind', () => {
  it('gives the result of a step', async () => {
    await expect(open().step('addresses')).resolves.toBe('addresses');
  });

  it('undoes newest first and throws what made it necessary', async () => {
    const { saga, step, events } = open();
    await step('addresses');
    await step('link');
    const failure = await saga.unwind(reason).catch(fromTemporal);
    expect(failure).toEqual({ type: 'KernelRefused', message: 'no such device' });
    expect(events).toEqual(['run addresses', 'run link', 'undo link', 'undo addresses']);
  });

  it('undoes the step that failed too: it may have taken effect', async () => {
    const { saga, step, events } = open();
    await expect(step('addresses', { fails: 'reply lost' })).rejects.toThrow('reply lost');
    await saga.unwind(reason).catch(() => undefined);
    expect(events).toEqual(['run addresses', 'undo addresses']);
  });

  it('stops at the first undo that fails and names it, its cause and the first reason', async () => {
    const { saga, step, events } = open();
    await step('addresses');
    await step('link', { undoFails: 'the API server is away' });
    const failure = await saga.unwind(reason).catch(fromTemporal);
    expect(failure).toEqual({
      type: 'UnwindStuck',
      message: 'Cannot undo step "link" (the API server is away) after the attachment failed: no such device',
      remedy: 'start it',
    });
    expect(events).not.toContain('undo addresses');
  });

  it('stops without calling it stuck when an undo finds that the attachment belongs to somebody else by now', async () => {
    const { saga, step, events } = open();
    await step('addresses');
    await saga.step('link', {
      run: () => Promise.resolve(),
      undo: () =>
        Promise.reject(new ProvisionError({ type: 'Superseded', message: 'its caller knows that it is complete' })),
    });
    const failure = await saga.unwind(reason).catch(fromTemporal);
    expect(failure).toEqual({ type: 'Superseded', message: 'its caller knows that it is complete' });
    expect(events).toEqual(['run addresses']);
  });

  it('undoes inside the shield, whole', async () => {
    const events: string[] = [];
    const inner = open(async (work) => {
      events.push('shield up');
      const done = await work();
      events.push('shield down');
      return done;
    });
    await inner.step('addresses');
    await inner.saga.unwind(reason).catch(() => undefined);
    expect(events).toEqual(['shield up', 'shield down']);
    expect(inner.events).toEqual(['run addresses', 'undo addresses']);
  });

  it('undoes nothing of a request that another owner serves', async () => {
    const { saga, step, events } = open();
    await step('addresses');
    const failure = await saga
      .unwind(new ProvisionError({ type: 'Superseded', message: 'taken over' }))
      .catch(fromTemporal);
    expect(failure).toEqual({ type: 'Superseded', message: 'taken over' });
    expect(events).toEqual(['run addresses']);
  });
});
