import type { ApiClient, ApiRequest } from './api-client.ts';
import { unless } from './api-error.ts';
import { type Deadline, persist } from './persist.ts';

/**
 * Reads one object; undefined when it is not there, which is an answer and not asked for again.
 *
 * @param what As a failure names it: 'read SpiderIPPool "rack7-v4"'.
 * @throws {ProvisionError} `ApiServerUnavailable` when there is no answer in time.
 */
export const findObject = <Answer>(
  api: ApiClient,
  what: string,
  request: Omit<ApiRequest, 'timeoutMs'>,
  deadline: Deadline,
): Promise<Answer | undefined> =>
  persist(what, deadline, (timeoutMs) => api.request<Answer>({ ...request, timeoutMs }).catch(unless(404)));
