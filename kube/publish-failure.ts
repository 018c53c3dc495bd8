import { hasStatus } from './api-error.ts';
import { TermOver } from './leader-writes.ts';
import type { Log } from './log.ts';

/** Says why something was not published, unless that is in the nature of things: it will be tried again. */
export const failureLog =
  (log: Log, message: string) =>
  (err: unknown, object: string): void => {
    const isExpected = err instanceof TermOver || hasStatus(err, 409);
    log[isExpected ? 'debug' : 'warn']({ err, object }, message);
  };
