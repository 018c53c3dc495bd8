import type { IPClaim, IPClaimSpec } from '../../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../../contracts/ip-claim.ts';
import type { ApiClient } from '../api-client.ts';
import type { TakeRequest } from '../claim-store.ts';
import type { Log } from '../log.ts';

export const silent: Log = { debug() {}, info() {}, warn() {} };

export const collection = '/apis/orbweaver.io/v1alpha1/ipclaims';

/** A holder with everything that a claim must say; tests name what matters to them. */
export const holderOf = (some: Partial<ClaimHolder> = {}): ClaimHolder => ({
  namespace: 'pay',
  pod: 'api-0',
  podUID: 'uid-0',
  interface: 'eth0',
  network: 'vlan70',
  containerID: 'c1',
  netns: '/run/netns/cni-1',
  netnsCookie: '4711',
  node: 'r7-n1',
  machineID: 'm1',
  bootID: 'b1',
  ...some,
});

export const request = (name: string, holder: ClaimHolder, pool = 'rack7-v4'): TakeRequest => ({
  name,
  address: name.includes('-') ? `${name.replaceAll('-', ':')}/64` : `${name}/22`,
  pool,
  holder,
});

/** Tells what the API server holds, past any store. */
export const inspect = async (api: ApiClient, name: string): Promise<IPClaim | undefined> =>
  api.request<IPClaim>({ method: 'GET', path: `${collection}/${name}`, timeoutMs: 5000 }).catch(() => undefined);

/** Writes a claim as another writer would. */
export async function overwrite(api: ApiClient, name: string, spec: Partial<IPClaimSpec>): Promise<void> {
  const found = await api.request<IPClaim>({ method: 'GET', path: `${collection}/${name}`, timeoutMs: 5000 });
  const body = { ...found, spec: { ...found.spec, ...spec } };
  await api.request({ method: 'PUT', path: `${collection}/${name}`, body, timeoutMs: 5000 });
}
