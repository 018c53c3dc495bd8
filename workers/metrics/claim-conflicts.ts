import type { ApiClient, ApiRequest } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';

/** What the refused write was for. */
export type ClaimConflict = 'allocation' | 'release';

/** The same client, which tells of each write of a claim that was refused because another writer was first (409). */
export const watchingClaimConflicts = (api: ApiClient, onConflict: (during: ClaimConflict) => void): ApiClient => ({
  ...api,
  async request<Answer>(request: ApiRequest): Promise<Answer> {
    try {
      return await api.request<Answer>(request);
    } catch (error) {
      if (isClaimWrite(request) && hasStatus(error, 409)) onConflict(purposeOf(request));
      throw error;
    }
  },
});

const isClaimWrite = ({ method, path }: ApiRequest): boolean =>
  method !== 'GET' && path.startsWith('/apis/orbweaver.io/v1alpha1/ipclaims');

/** A claim is made, or put in use again, for an ADD; every other change gives it back. */
function purposeOf({ method, body }: ApiRequest): ClaimConflict {
  if (method === 'POST') return 'allocation';
  const { spec } = (body ?? {}) as { readonly spec?: { readonly phase?: string } };
  return method === 'PUT' && spec?.phase === 'Bound' ? 'allocation' : 'release';
}
