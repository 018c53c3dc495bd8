import type { ApiClient, ApiRequest } from './api-client.ts';
import { betweenTermsMs, type Term } from './lease.ts';

/** What a leader asks of the API server: nothing once its term is over, and nothing for longer than another's waits. */
export type LeaderRequest = <Answer>(request: Omit<ApiRequest, 'timeoutMs'>) => Promise<Answer>;

/** The term ended before the request was sent. */
export class TermOver extends Error {
  override readonly name = 'TermOver';
}

/**
 * A write is given up, here and by the API server, before another may lead. Should it be late all the same, it must change
 * nothing: every write carries the resourceVersion or the UID of what it is based on, or creates.
 */
export const leaderRequests =
  (api: ApiClient, term: Term): LeaderRequest =>
  async (request) => {
    const remainingMs = term.remainingMs();
    if (remainingMs === 0) throw new TermOver(`${request.method} ${request.path} was not sent: the term is over`);
    const timeoutMs = remainingMs + betweenTermsMs;
    const query = request.method === 'GET' ? {} : { fieldManager: 'orbweaver', timeout: `${Math.ceil(timeoutMs)}ms` };
    return await api.request({ ...request, query: { ...query, ...request.query }, timeoutMs });
  };
