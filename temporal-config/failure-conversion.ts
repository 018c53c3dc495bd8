import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { type Failure, failures, isFailureType, toFailure } from '../contracts/failures.ts';

/** Our failure as Temporal carries it: its type is ours, its details hold the whole of it. */
export function toApplicationFailure(error: Error | Failure): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const failure = error instanceof Error ? toFailure(error) : error;
  return ApplicationFailure.create({
    type: failure.type,
    message: failure.message,
    nonRetryable: !failures[failure.type].retry,
    details: [failure],
  });
}

/**
 * Finds our failure in what a workflow or a client caught. A failing local activity surfaces bare, a remote one wrapped, an
 * update's inside a client error: so this walks the causes and trusts none of the wrappers.
 */
export function fromTemporal(error: unknown): Failure {
  for (let link: unknown = error; link instanceof Error; link = link.cause) {
    if (link instanceof ApplicationFailure && isFailureType(link.type)) {
      const [failure] = (link.details ?? []) as readonly Failure[];
      return failure ?? { type: link.type, message: link.message };
    }
    if (link instanceof CancelledFailure) {
      return { type: 'Cancelled', message: 'The attachment was cancelled before it was complete' };
    }
  }
  return toFailure(error);
}
