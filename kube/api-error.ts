/** The API server answered with a refusal: a Kubernetes `Status`, or what stands before it said something else. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  /** Kubernetes' word for it, for example "AlreadyExists"; empty when the answer was no `Status`. */
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(answer: {
    request: string;
    status: number;
    reason: string;
    detail: string;
    retryAfterSeconds?: number | undefined;
  }) {
    super(
      `${answer.request} was answered with ${answer.status}${answer.reason && ` ${answer.reason}`}: ${answer.detail}`,
    );
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterSeconds = answer.retryAfterSeconds;
  }
}

/** No answer came: refused, reset, or not in time. What was asked may have happened all the same. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable';

  constructor(request: string, why: string, cause?: unknown) {
    super(`${request} got no answer: ${why}`, { cause });
  }
}

export const hasStatus = (error: unknown, status: number): boolean =>
  error instanceof ApiError && error.status === status;

/** For `catch`: an answer with this status is no failure, and says undefined. Everything else is thrown on. */
export const unless =
  (status: number) =>
  (error: unknown): undefined => {
    if (!hasStatus(error, status)) throw error;
  };

/**
 * For `catch`: there is no such object, which says undefined. A 404 with any other reason is thrown on: the kind is not served, as
 * while the API server starts, and that is no answer about an object.
 */
export function unlessNoObject(error: unknown): undefined {
  if (!(error instanceof ApiError && error.status === 404 && error.reason === 'NotFound')) throw error;
}

/**
 * This answer does not say whether the request took effect: none came, or 408, 429 or 5xx, behind which an earlier try may
 * have been carried out.
 */
export const leavesDoubt = (error: unknown): error is ApiError | ApiUnreachable =>
  error instanceof ApiUnreachable ||
  (error instanceof ApiError && (error.status === 408 || error.status === 429 || error.status >= 500));

/** There was no connection to send the request on, so it cannot have happened. */
export const neverSent = (error: unknown): boolean =>
  error instanceof ApiUnreachable && causesOf(error.cause).some(({ code }) => notConnected.has(code ?? ''));

/** connect(2), and undici's own limit for it. */
const notConnected = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

/** Node tries every address of a name and gathers what each said. */
const causesOf = (cause: unknown): readonly NodeJS.ErrnoException[] =>
  cause instanceof AggregateError
    ? (cause.errors as NodeJS.ErrnoException[])
    : [(cause ?? {}) as NodeJS.ErrnoException];
