import { Pool } from 'undici';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { toJson } from './int64-json.ts';
import type { ApiEndpoint } from './kubeconfig.ts';

export type ApiMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface ApiRequest {
  readonly method: ApiMethod;
  /** Path with neither server nor query, for example "/apis/orbweaver.io/v1alpha1/ipclaims/10.70.8.20". */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** What the answer should be; plain JSON when absent. */
  readonly accept?: string;
  /** The whole request, from waiting for a connection to the last byte. */
  readonly timeoutMs: number;
}

/** One request, one answer: whoever asks decides what an unknown outcome means, so nothing here tries twice. */
export interface ApiClient {
  /** The answer's JSON. Throws `ApiError` for an answer of 400 and more, `ApiUnreachable` when none came in time. */
  request<Answer>(request: ApiRequest): Promise<Answer>;
  /** The JSON values of a watch, one per line, until the server ends it. Throws as `request` does; ends when `signal` aborts. */
  watch<Event>(request: WatchRequest): AsyncIterable<Event>;
  close(): Promise<void>;
}

export interface WatchRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string | number | boolean | undefined>>;
  /** What the objects in it should be; plain JSON when absent. */
  readonly accept?: string;
  /** A watch that is silent for so long is taken for dead. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/** For `accept`: only the metadata of an object, or of a list or watch of them (apimachinery, meta/v1). */
export const metadataOf = (kind: 'PartialObjectMetadata' | 'PartialObjectMetadataList'): string =>
  `application/json;as=${kind};v=v1;g=meta.k8s.io`;

/**
 * Opens one keep-alive pool of so many connections, of which each open watch holds one, with the endpoint's credentials. Nothing is
 * sent before the first request.
 */
export function openApiClient(endpoint: ApiEndpoint, connections = 16): ApiClient {
  const { origin, pathname } = new URL(endpoint.server);
  const prefix = pathname.replace(/\/$/, '');
  const pool = new Pool(origin, {
    connections,
    // One request per connection: giving up on a stuck one closes its own connection and holds up no other.
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: 60_000,
    connect: { ...endpoint.tls, timeout: 5_000, keepAlive: true, keepAliveInitialDelay: 15_000 },
  });

  return {
    async request<Answer>({
      method,
      path,
      query,
      body,
      accept = 'application/json',
      timeoutMs,
    }: ApiRequest): Promise<Answer> {
      const named = `${method} ${path}`;
      const giveUp = new AbortController(); // AbortSignal.timeout would keep its timer long after the answer
      const { signal } = giveUp;
      const timer = setTimeout(() => giveUp.abort(), Math.max(1, Math.ceil(timeoutMs)));
      try {
        const headers = {
          ...(await endpoint.headers()),
          accept,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        };
        const answer = await unlessAborted(
          signal,
          pool.request({
            method,
            path: prefix + path + queryText(query),
            headers,
            ...(body === undefined ? {} : { body: toJson(body) }),
            signal,
          }),
        );
        const text = await answer.body.text();
        if (answer.statusCode >= 400) throw apiError(named, answer.statusCode, answer.headers['retry-after'], text);
        return JSON.parse(text) as Answer;
      } catch (error) {
        if (error instanceof ApiError) throw error;
        throw new ApiUnreachable(
          named,
          signal.aborted ? `none within ${Math.round(timeoutMs)} ms` : reasonOf(error),
          error,
        );
      } finally {
        clearTimeout(timer);
      }
    },

    async *watch<Event>({
      path,
      query,
      accept = 'application/json',
      silenceMs,
      signal,
    }: WatchRequest): AsyncIterable<Event> {
      const named = `watch ${path}`;
      try {
        const answer = await pool.request({
          method: 'GET',
          path: prefix + path + queryText({ ...query, watch: true }),
          headers: { ...(await endpoint.headers()), accept },
          bodyTimeout: silenceMs,
          headersTimeout: 10_000,
          signal,
        });
        if (answer.statusCode >= 400) {
          throw apiError(named, answer.statusCode, answer.headers['retry-after'], await answer.body.text());
        }
        for await (const line of linesOf(answer.body)) yield JSON.parse(line) as Event;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError) throw error;
        throw new ApiUnreachable(named, reasonOf(error), error);
      }
    },

    close: () => pool.destroy(),
  };
}

/** undici looks at the signal of a waiting request only when it has a connection, and then does not send it; we wait no longer. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  work.catch(() => undefined); // it fails later, when nobody waits any more
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function queryText(query: ApiRequest['query'] = {}): string {
  const text = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) text.set(key, String(value));
  return text.size === 0 ? '' : `?${text.toString()}`;
}

function apiError(request: string, status: number, retryAfter: string | string[] | undefined, text: string): ApiError {
  const seconds = Number(retryAfter);
  const retryAfterSeconds = retryAfter !== undefined && Number.isFinite(seconds) ? seconds : undefined;
  const { reason = '', message = text.slice(0, 300) } = parseStatus(text);
  return new ApiError({ request, status, reason, detail: message, retryAfterSeconds });
}

function parseStatus(text: string): { reason?: string; message?: string } {
  try {
    const status: unknown = JSON.parse(text);
    return typeof status === 'object' && status !== null ? status : {};
  } catch {
    return {}; // a proxy's HTML, or half an answer
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}

/** "connect ECONNREFUSED 127.0.0.1:6443" instead of an AggregateError's empty message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  return error instanceof Error ? error.message || error.name : String(error);
}
