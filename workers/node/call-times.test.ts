import { describe, expect, it } from '@jest/globals';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { CallTimes } from './call-times.ts';

describe('the time of a call', () => {
  let nowMs = 0;
  const takes = (ms: number) => async (): Promise<never> => {
    nowMs += ms;
    return undefined as never; // what the steps give is not looked at
  };
  const steps: NodeActivities = {
    prepareLinks: takes(4),
    claimAddresses: takes(3),
    plumbLink: takes(1.25),
    lendRdma: takes(1),
    coordinate: takes(1),
    removeLink: takes(1),
    releaseAddresses: takes(2),
    answerFailure: takes(0),
  };
  const request = { nonce: 'a' } as AddRequest;

  it('is told by the steps that ran for it and by what lay around them', async () => {
    const times = new CallTimes(() => nowMs);
    const timed = times.around(steps);
    times.begin('a');
    nowMs += 6;
    const addresses = await timed.claimAddresses(request);
    nowMs += 2;
    await timed.plumbLink(request, addresses);
    nowMs += 0.5;
    expect(times.end('a')).toEqual({
      beforeFirstStepMs: 6,
      stepsMs: { claimAddresses: 3, plumbLink: 1.3 },
      betweenStepsMs: 2,
      afterLastStepMs: 0.5,
    });
  });

  it('lies before the first step when none ran', () => {
    const times = new CallTimes(() => nowMs);
    times.begin('a');
    nowMs += 4;
    expect(times.end('a')).toEqual({ beforeFirstStepMs: 4, stepsMs: {}, betweenStepsMs: 0, afterLastStepMs: 0 });
  });

  it('is not kept for a call that nobody opened, and forgotten with its end', async () => {
    const times = new CallTimes(() => nowMs);
    await times.around(steps).claimAddresses(request);
    expect(times.end('a')).toBeUndefined();
    times.begin('a');
    times.end('a');
    expect(times.end('a')).toBeUndefined();
  });
});
