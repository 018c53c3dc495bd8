import { join } from 'node:path';
import type { ObjectMeta } from '../../contracts/crds/object-meta.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { placedPod } from '../fleet/placed-pod.ts';
import type { CopyOrder } from './copy-strangers.ts';
import type { BenchPool } from './pools.ts';
import { elsewhere, type Stranger, strangerOf, strangersClaim } from './stranger.ts';

const claims = '/apis/orbweaver.io/v1alpha1/ipclaims';
const endpoints = '/apis/spiderpool.spidernet.io/v2beta1/namespaces/default/spiderendpoints';
const pods = '/api/v1/namespaces/default/pods';
const atATime = 5000;

/**
 * Fills a pool with pods of another node, their claims and what is published of them. The first one comes by the API server; the
 * others are copies of its objects in etcd, thousands a second. Nothing is published yet of the last `unpublished`.
 */
export async function fillPool(
  fleet: Fleet,
  pool: BenchPool,
  { unpublished = 0, onProgress }: { readonly unpublished?: number; readonly onProgress: (fact: string) => void },
): Promise<void> {
  const stranger = strangerOf(pool, 0);
  const uids = await makeOriginal(fleet.api, pool, stranger);
  const keys = [
    `/registry/pods/default/${stranger.name}`,
    `/registry/spiderpool.spidernet.io/spiderendpoints/default/${stranger.name}`,
    `/registry/orbweaver.io/ipclaims/${stranger.address}`,
  ];
  const program = join(repositoryRoot, 'test/bench/copy-strangers.ts');
  for (let from = 1; from < pool.used; from += atATime) {
    const to = Math.min(pool.used, from + atATime);
    const order = { pool, original: { stranger, uids }, keys, from, to, unpublishedFrom: pool.used - unpublished };
    await fleet.stack.control.exec([process.execPath, program], { input: JSON.stringify(order satisfies CopyOrder) });
    await untilNoticed(fleet.api, strangerOf(pool, to - 1));
    onProgress(`${to} of ${pool.used} addresses of ${pool.subnet} are in use by others`);
  }
}

/** The API server's memory follows etcd; more at a time than it can take up would have every watch begin anew. */
async function untilNoticed(api: ApiClient, { name, address }: Stranger): Promise<void> {
  await eventually(`The API server noticed ${name}`, 120, async () => {
    for (const path of [`${pods}/${name}`, `${claims}/${address}`])
      await api.request({ method: 'GET', path, query: { resourceVersion: '0' }, timeoutMs: 30_000 });
    return { value: true };
  });
}

/** Gives the UIDs of its objects. */
async function makeOriginal(api: ApiClient, pool: BenchPool, stranger: Stranger): Promise<readonly string[]> {
  const post = <Made>(path: string, body: object): Promise<Made> =>
    api.request<Made>({ method: 'POST', path, body, timeoutMs: 10_000 });
  await post('/api/v1/nodes', { metadata: { name: elsewhere } }).catch((error: unknown) => {
    if (!hasStatus(error, 409)) throw error; // there since another pool was filled
  });
  const uidOf = ({ metadata }: { readonly metadata: ObjectMeta }): string => metadata.uid ?? '';
  const podUID = uidOf(await post(pods, placedPod(elsewhere, { name: stranger.name })));
  const claimUID = uidOf(await post(claims, strangersClaim(pool, stranger, podUID)));
  const endpointUID = await eventually(`The endpoint of ${stranger.name} is published`, 30, async () => {
    const path = `${endpoints}/${stranger.name}`;
    return { value: uidOf(await api.request({ method: 'GET', path, timeoutMs: 10_000 })) };
  });
  return [podUID, claimUID, endpointUID];
}
