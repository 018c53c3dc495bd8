import { describe, expect, it } from '@jest/globals';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { type RunEvent, readRunHistory, type StepEvent } from './run-history.ts';
import { readHistory } from './testing/history-file.ts';

const recorded = async (name: string) => readRunHistory(await readHistory(name));
const stepsOf = (events: readonly RunEvent[]): readonly StepEvent[] => events.filter((event) => event.kind === 'step');

describe('a recorded history', () => {
  it('begins with the request of the first ADD', async () => {
    const { first, events } = await recorded('attached');
    expect(first).toMatchObject({ pod: { namespace: 'pay', name: 'api-0' }, attachment: { ifName: 'eth0' } });
    expect(events[0]).toMatchObject({ kind: 'add', id: 'start', request: first });
  });

  it('has a step for each local activity, with its result and its time', async () => {
    const steps = stepsOf((await recorded('attached')).events);
    expect(steps.map(({ name, attempts }) => [name, attempts])).toEqual([
      ['claimAddresses', 1],
      ['plumbLink', 1],
    ]);
    expect(steps[0]?.result).toMatchObject([{ address: '10.70.8.20/22' }]);
    for (const { startedAtMs, endedAtMs, lastAttemptMs } of steps) {
      expect(lastAttemptMs).toBeGreaterThan(0);
      expect(endedAtMs).toBe(startedAtMs + lastAttemptMs);
    }
  });

  it.each(['attached', 'exhausted', 'undo-repeated', 'released', 'second-interface-failed'])(
    '"%s" has its steps one after the other, none of them before the ADD',
    async (name) => {
      const { first, events } = await recorded(name);
      let freeAtMs: number = first.arrivedAtMs;
      for (const { startedAtMs, endedAtMs } of stepsOf(events)) {
        expect(startedAtMs).toBeGreaterThanOrEqual(freeAtMs);
        freeAtMs = endedAtMs;
      }
    },
  );

  it('makes one step of attempts before and after server timers', async () => {
    const undo = stepsOf((await recorded('undo-repeated')).events).find(({ name }) => name === 'removeLink');
    // 200, 400 and 800 ms are waited for in the worker, 1.6 and 3.2 s by the server.
    expect(undo).toMatchObject({
      attempts: 6,
      isRetrying: false,
      retriedAfter: { message: 'netlink socket closed' },
    });
    expect((undo?.endedAtMs ?? 0) - (undo?.startedAtMs ?? 0)).toBeGreaterThan(6200);
  });

  it('gives our failures whole: type, message and remedy', async () => {
    const { events } = await recorded('exhausted');
    const failure = {
      type: 'PoolExhausted',
      message: 'Cannot claim an IPv4 address from pool "rack7-v4": all 71 are in use',
      remedy: expect.stringContaining('orb pools rack7-v4'),
    };
    expect(stepsOf(events)[0]?.failure).toEqual(failure);
    expect(events.at(-1)).toMatchObject({ kind: 'closed', how: 'Failed', failure });
  });

  it('joins every update to its answer', async () => {
    const { events } = await recorded('released');
    const calls = events
      .filter((event) => event.kind === 'add' || event.kind === 'detach')
      .map(({ kind, id }) => [kind, id] as const);
    const answers = events.filter((event) => event.kind === 'answer').map(({ to }) => to);
    expect(calls.map(([kind]) => kind)).toEqual(['add', 'add', 'detach', 'detach']);
    expect(answers).toEqual(calls.slice(1).map(([, id]) => id));
  });

  it('says why it was terminated', async () => {
    expect((await recorded('terminated')).events.at(-1)).toMatchObject({
      how: 'Terminated',
      reason: 'its DEL was done by records and marks',
    });
  });

  it('says since when nobody took it up', async () => {
    const { waitingSinceMs, startedAtMs } = await recorded('no-worker');
    expect(waitingSinceMs).toBeGreaterThanOrEqual(startedAtMs);
    expect((await recorded('attached')).waitingSinceMs).toBeUndefined();
  });
});

describe('a history in trouble', () => {
  it('tells of workers that were killed or cannot replay', async () => {
    const { events = [] } = await readHistory('no-worker');
    const eventTime = { seconds: 1_795_260_000, nanos: 500_000_000 } as unknown as NonNullable<
      History['events']
    >[number]['eventTime'];
    const told = readRunHistory({
      events: [
        ...(events ?? []),
        { eventTime: eventTime ?? null, workflowTaskTimedOutEventAttributes: {} },
        {
          eventTime: eventTime ?? null,
          workflowTaskFailedEventAttributes: { failure: { message: 'nondeterminism', applicationFailureInfo: {} } },
        },
      ],
    });
    expect(told.events.slice(-2)).toEqual([
      {
        kind: 'stall',
        atMs: 1_795_260_000_500,
        why: 'the node worker took up the run and was not heard of again in time',
      },
      { kind: 'stall', atMs: 1_795_260_000_500, why: 'the node worker cannot go on with the run: nondeterminism' },
    ]);
  });

  it('of another workflow is refused', () => {
    expect(() => readRunHistory({ events: [] })).toThrow('does not begin with the request of an ADD');
    expect(() => readRunHistory({ events: [{ workflowExecutionStartedEventAttributes: {} }] })).toThrow(
      'does not begin',
    );
  });
});
