import type { Failure } from '../contracts/failures.ts';
import type { OpenCalls } from './node-ports.ts';

/** Tells the caller of a failed ADD why, after everything is undone; nobody may be there to hear it. */
export const createAnswerFailure =
  (calls: Pick<OpenCalls, 'fail'>) =>
  async (nonce: string, failure: Failure): Promise<void> => {
    calls.fail(nonce, failure);
  };
