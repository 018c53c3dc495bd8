import type { ApiClient } from './api-client.ts';

interface SelfSubjectReview {
  readonly status?: { readonly userInfo?: { readonly username?: string } };
}

/** Our own user name, as the API server knows us: of a ServiceAccount "system:serviceaccount:<namespace>:<name>". */
export async function whoAmI(api: ApiClient): Promise<string> {
  const review = await api.request<SelfSubjectReview>({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    timeoutMs: 3000,
  });
  const name = review.status?.userInfo?.username;
  if (name === undefined) throw new Error('The API server does not say who we are');
  return name;
}
