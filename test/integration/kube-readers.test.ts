import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { PodReader } from '../../kube/pod-reader.ts';
import type { PodObject, PodView } from '../../kube/pod-view.ts';
import { PoolReader } from '../../kube/pool-reader.ts';
import { silent } from '../../kube/testing/claim-fixtures.ts';
import { FaultProxy } from '../../kube/testing/fault-proxy.ts';
import { startApiServer, type TestApiServer } from './api-server.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await write('POST', '/api/v1/namespaces', { metadata: { name: 'pay' } });
  await write('POST', '/api/v1/namespaces/pay/serviceaccounts', { metadata: { name: 'default' } });
}, 60_000);
afterAll(() => server?.stop(), 60_000);

const write = <Answer>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<Answer> =>
  server.api.request<Answer>({ method, path, body, timeoutMs: 10_000 });

const podPath = '/api/v1/namespaces/pay/pods';

const createPod = (
  name: string,
  { node = 'r7-n1', ...metadata }: { node?: string; annotations?: object } = {},
): Promise<PodObject> =>
  write('POST', podPath, {
    metadata: { name, ...metadata },
    spec: {
      nodeName: node,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image: 'none' }],
    },
  });
const deletePod = (name: string): Promise<unknown> => write('DELETE', `${podPath}/${name}`, { gracePeriodSeconds: 0 });

async function until(what: string, isSo: () => boolean, seen: () => unknown): Promise<void> {
  const end = Date.now() + 30_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`waited for ${what}, saw ${JSON.stringify(seen())}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

describe('the pods of a node, watched on a real API server', () => {
  let proxy: FaultProxy;
  let client: ApiClient;
  let reader: PodReader;
  let gone: PodView[];
  beforeEach(async () => {
    proxy = new FaultProxy(server.endpoint);
    await proxy.listen();
    client = openApiClient(proxy.endpoint);
    gone = [];
    reader = new PodReader({ api: client, node: 'r7-n1', log: silent, onGone: (pod) => gone.push(pod) });
    reader.start();
  });
  afterEach(async () => {
    await reader.stop();
    await client.close();
    await proxy.stop();
    await write('DELETE', podPath, { gracePeriodSeconds: 0 });
  });
  const names = (): string[] =>
    reader
      .all()
      .map(({ name }) => name)
      .toSorted();
  const watched = (...wanted: string[]): Promise<void> =>
    until(wanted.join(), () => names().join() === wanted.join(), names);

  it('are known soon after they are bound, those of other nodes never', async () => {
    await createPod('other', { node: 'r7-n2' });
    const { metadata } = await createPod('api-0', { annotations: { 'ipam.spidernet.io/ippool': '{}' } });
    await watched('api-0');
    const identity = { namespace: 'pay', name: 'api-0', uid: metadata.uid };
    expect(await reader.find(identity)).toMatchObject({
      uid: metadata.uid,
      annotations: { 'ipam.spidernet.io/ippool': '{}' },
      isAlive: true,
    });
    expect(await reader.find({ ...identity, uid: '' })).toMatchObject({ uid: metadata.uid });
    expect(await reader.find({ ...identity, uid: 'another' })).toBeUndefined();
    expect(await reader.find({ ...identity, name: 'other', uid: '' })).toMatchObject({ node: 'r7-n2' });
    expect(await reader.find({ ...identity, name: 'nobody' })).toBeUndefined();
  });

  it('are gone when they are deleted, and when they finish', async () => {
    const deleted = await createPod('deleted');
    const finished = await createPod('finished');
    await watched('deleted', 'finished');
    await deletePod('deleted');
    await write('PUT', `${podPath}/finished/status`, { ...finished, status: { phase: 'Succeeded' } });
    await until(
      'both',
      () => gone.length >= 2,
      () => gone,
    );
    expect(gone.map(({ uid }) => uid).toSorted()).toEqual([deleted.metadata.uid, finished.metadata.uid].toSorted());
    expect(await reader.findLive({ namespace: 'pay', name: 'finished', uid: finished.metadata.uid })).toMatchObject({
      isAlive: false,
    });
  });

  it('that went while the API server was away are told of when it is back', async () => {
    const { metadata } = await createPod('api-0');
    await watched('api-0');
    await proxy.refuse();
    await deletePod('api-0');
    await createPod('api-1');
    await expect(reader.findLive({ namespace: 'pay', name: 'api-0', uid: metadata.uid })).rejects.toMatchObject({
      type: 'ApiServerUnavailable',
      message: expect.stringContaining('Cannot read pod pay/api-0'),
    });
    await proxy.listen();
    await watched('api-1');
    expect(gone.map(({ uid }) => uid)).toEqual([metadata.uid]);
  });
});

describe('pools on a real API server', () => {
  it('are read with their reservations, and afresh one by one', async () => {
    const group = '/apis/spiderpool.spidernet.io/v2beta1';
    const apiVersion = 'spiderpool.spidernet.io/v2beta1';
    const pool = { apiVersion, kind: 'SpiderIPPool', metadata: { name: 'rack7-v4' }, spec: { subnet: '10.70.8.0/22' } };
    const created = await write<object>('POST', `${group}/spiderippools`, pool);
    await write('POST', `${group}/spiderreservedips`, {
      apiVersion,
      kind: 'SpiderReservedIP',
      metadata: { name: 'printers' },
      spec: { ips: ['10.70.8.9'] },
    });
    const reader = new PoolReader({ api: server.api, now: () => 0 }); // what was read stays recent
    const { pools, reserved } = await reader.recent();
    expect(pools.map(({ spec }) => spec.subnet)).toEqual(['10.70.8.0/22']);
    expect(reserved.map(({ spec }) => spec.ips)).toEqual([['10.70.8.9']]);

    await write('PUT', `${group}/spiderippools/rack7-v4`, { ...created, spec: { ...pool.spec, disable: true } });
    expect((await reader.recent()).pools[0]?.spec.disable).toBe(false);
    expect((await reader.fresh('rack7-v4'))?.spec.disable).toBe(true);
    await write('DELETE', `${group}/spiderippools/rack7-v4`);
    expect(await reader.fresh('rack7-v4')).toBeUndefined();
  });
});
