import { setTimeout as sleep } from 'node:timers/promises';
import { ProvisionError } from '../contracts/failures.ts';
import { ApiError, ApiUnreachable, hasStatus, leavesDoubt } from './api-error.ts';

/** The instant by which an operation has its answer or fails. */
export interface Deadline {
  remainingMs(): number;
}

export function deadlineIn(ms: number): Deadline {
  const end = performance.now() + ms;
  return { remainingMs: () => end - performance.now() };
}

/**
 * Repeats an attempt that may be repeated (doing it twice equals doing it once) while its outcome is unknown or another
 * writer came first, until the deadline. Each attempt gets two thirds of the time that is left, so that one lost answer never
 * uses up all of it, and a server that is only slow is not asked the same again and again. Throws `ApiServerUnavailable` with the
 * last cause; any other refusal of the API server as well.
 *
 * @param what The operation as a message names it, for example 'create IPClaim "10.70.8.20"'.
 */
export async function persist<Answer>(
  what: string,
  deadline: Deadline,
  attempt: (timeoutMs: number) => Promise<Answer>,
): Promise<Answer> {
  let lastFailure: unknown = new ApiUnreachable('it', 'no time was left to ask');
  for (let pauseMs = 20; deadline.remainingMs() > 0; pauseMs = Math.min(2 * pauseMs, 320)) {
    const remainingMs = deadline.remainingMs();
    try {
      return await attempt(Math.min(remainingMs, Math.max(shortestTryMs, (2 * remainingMs) / 3)));
    } catch (error) {
      lastFailure = error;
      if (!leavesDoubt(error) && !isOvertaken(error)) break;
      const askedToWaitMs = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
      const waitMs = Math.max(pauseMs, askedToWaitMs);
      if (waitMs >= deadline.remainingMs()) break;
      await sleep(waitMs);
    }
  }
  throw apiServerUnavailable(what, lastFailure);
}

const shortestTryMs = 200;

/** Another writer changed or removed the object since it was read. */
const isOvertaken = (error: unknown): boolean => hasStatus(error, 409) || hasStatus(error, 404);

/** Why the API server did not do it, and what to look at. A refusal that is our own mistake, and any other error, stays as it is. */
export function apiServerUnavailable(what: string, cause: unknown): unknown {
  const isOurMistake = cause instanceof ApiError && (cause.status === 400 || cause.status === 422);
  if (isOurMistake || !(cause instanceof ApiError || cause instanceof ApiUnreachable)) return cause;
  const message = `Cannot ${what}: ${cause.message}`;
  return new ProvisionError({ type: 'ApiServerUnavailable', message, remedy: remedyFor(cause) }, { cause });
}

const remedies: Readonly<Record<number, string>> = {
  401: "Renew the credentials of this node's worker: its token or client certificate is not accepted",
  403: "Grant it to this worker's ServiceAccount: kubectl apply -f deploy/rbac",
  404: 'Install the CRDs: kubectl apply -f deploy/crds',
};

const remedyFor = (cause: ApiError | ApiUnreachable): string =>
  (cause instanceof ApiError ? remedies[cause.status] : undefined) ??
  'See whether the API server answers on this node: kubectl get --raw /readyz';
