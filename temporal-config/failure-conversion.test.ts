import { describe, expect, it } from '@jest/globals';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  DefaultFailureConverter,
  defaultPayloadConverter,
  RetryState,
} from '@temporalio/common';
import { type Failure, failures, isFailureType, ProvisionError } from '../contracts/failures.ts';
import { fromTemporal, toApplicationFailure } from './failure-conversion.ts';

const types = Object.keys(failures).filter(isFailureType);

/** Through the wire format, as between worker, server and client. */
const acrossProcesses = (error: Error): Error => {
  const converter = new DefaultFailureConverter();
  return converter.failureToError(converter.errorToFailure(error, defaultPayloadConverter), defaultPayloadConverter);
};

describe('a failure of ours', () => {
  it.each(types)('%s comes back from Temporal as it went in', (type) => {
    const failure: Failure = { type, message: 'what could not be done', remedy: 'what to do' };
    expect(fromTemporal(acrossProcesses(toApplicationFailure(failure)))).toEqual(failure);
    expect(fromTemporal(acrossProcesses(toApplicationFailure(new ProvisionError(failure))))).toEqual(failure);
  });

  it.each(types)('%s is retried by Temporal exactly when the table says so', (type) => {
    expect(toApplicationFailure({ type, message: '' }).nonRetryable).toBe(!failures[type].retry);
  });

  it('is found under what an activity and an update wrap around it', () => {
    const cause = toApplicationFailure({ type: 'PoolExhausted', message: 'all 3 are in use' });
    const activity = new ActivityFailure(
      'Activity task failed',
      'claimAddresses',
      '1',
      RetryState.MAXIMUM_ATTEMPTS_REACHED,
      'r7-n1',
      cause,
    );
    const update = new Error('Workflow Update failed', { cause: activity });
    expect(fromTemporal(update)).toEqual({ type: 'PoolExhausted', message: 'all 3 are in use' });
  });

  it('is not converted twice', () => {
    const once = toApplicationFailure({ type: 'Cancelled', message: 'stopped' });
    expect(toApplicationFailure(once)).toBe(once);
  });

  it('is told by its type alone when its details were lost', () => {
    const bare = ApplicationFailure.create({ type: 'UnwindStuck', message: 'stuck' });
    expect(fromTemporal(bare)).toEqual({ type: 'UnwindStuck', message: 'stuck' });
  });
});

describe('anything else', () => {
  it('that was cancelled is Cancelled, wrapped or not', () => {
    expect(fromTemporal(new CancelledFailure('cancelled')).type).toBe('Cancelled');
    expect(fromTemporal(new Error('update failed', { cause: new CancelledFailure('cancelled') })).type).toBe(
      'Cancelled',
    );
  });

  it.each([
    ApplicationFailure.create({ type: 'TypeError', message: 'x is not a function' }),
    new Error('x is not a function'),
    ApplicationFailure.create({ type: 'constructor', message: 'x is not a function' }),
  ])('is Internal with its own message', (error) => {
    expect(fromTemporal(error)).toEqual({ type: 'Internal', message: 'x is not a function' });
  });
});
