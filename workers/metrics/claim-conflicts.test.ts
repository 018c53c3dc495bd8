import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from '../../kube/api-client.ts';
import { ApiError } from '../../kube/api-error.ts';
import { watchingClaimConflicts } from './claim-conflicts.ts';

const path = '/apis/orbweaver.io/v1alpha1/ipclaims';

async function conflictsOf(request: Pick<ApiRequest, 'method' | 'path' | 'body'>, status: number) {
  const seen: string[] = [];
  const refusing = {
    request: () => Promise.reject(new ApiError({ request: '', status, reason: '', detail: '' })),
  } as unknown as ApiClient;
  const api = watchingClaimConflicts(refusing, (during) => seen.push(during));
  await expect(api.request({ timeoutMs: 1, ...request })).rejects.toThrow(ApiError);
  return seen;
}

describe('a write of a claim that another writer came before', () => {
  it.each([
    ['POST', path, {}, ['allocation']],
    ['PUT', `${path}/10.70.8.20`, { spec: { phase: 'Bound' } }, ['allocation']],
    ['PUT', `${path}/10.70.8.20`, { spec: { phase: 'Held' } }, ['release']],
    ['DELETE', `${path}/10.70.8.20`, {}, ['release']],
    ['GET', `${path}/10.70.8.20`, undefined, []],
    ['PUT', '/api/v1/pods/a', {}, []],
  ] as const)('%s %s %j is told of: %j', async (method, path, body, told) => {
    expect(await conflictsOf({ method, path, body }, 409)).toEqual(told);
  });

  it('is no other refusal', async () => {
    expect(await conflictsOf({ method: 'POST', path }, 500)).toEqual([]);
  });
});
