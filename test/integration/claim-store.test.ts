import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { ClaimStore } from '../../kube/claim-store.ts';
import { collection, holderOf, inspect, request, silent } from '../../kube/testing/claim-fixtures.ts';
import { claimStoreContract } from '../../kube/testing/claim-store-contract.ts';
import { type Fault, FaultProxy } from '../../kube/testing/fault-proxy.ts';
import { startApiServer, type TestApiServer } from './api-server.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
}, 60_000);
afterAll(() => server?.stop(), 60_000);

const removeAllClaims = (api: ApiClient): Promise<unknown> =>
  api.request({ method: 'DELETE', path: collection, timeoutMs: 10_000 });

const emptied = async (): Promise<ApiClient> => {
  await removeAllClaims(server.api);
  return server.api;
};

claimStoreContract('a real API server', emptied);

describe('claims when the way to the API server is bad', () => {
  const name = '10.70.8.20';
  const attachment = { containerID: 'c1', interface: 'eth0', network: 'vlan70' };
  let api: ApiClient;
  let proxy: FaultProxy;
  let client: ApiClient;
  let store: ClaimStore;
  let aheadMs: number;
  beforeEach(async () => {
    api = await emptied();
    proxy = new FaultProxy(server.endpoint);
    await proxy.listen();
    client = openApiClient(proxy.endpoint);
    aheadMs = 0;
    store = new ClaimStore({
      api: client,
      node: 'r7-n1',
      log: silent,
      deadlineMs: 1500,
      now: () => Date.now() + aheadMs,
    });
    await store.loadOwn();
  });
  afterEach(async () => {
    await client.close();
    await proxy.stop();
  });

  /** Spoils the first request of this method, and tells how often that method came. */
  const spoilFirst = (method: string, fault: Fault): (() => number) => {
    let seen = 0;
    proxy.onRequest = (incoming) => {
      if (incoming.method !== method) return undefined;
      seen += 1;
      return seen === 1 ? fault : undefined;
    };
    return () => seen;
  };
  const spoilAll = (method: string, fault: Fault): void => {
    proxy.onRequest = (incoming) => (incoming.method === method ? fault : undefined);
  };
  const heal = (): void => {
    proxy.onRequest = () => undefined;
  };
  /** Past the faults. */
  const seen = async (): Promise<IPClaim> => {
    const found = await inspect(api, name);
    if (found === undefined) throw new Error(`No claim ${name}`);
    return found;
  };
  const claims = async (): Promise<string> => (await server.kubectl('get', 'ipclaims', '-o', 'name')).trim();

  const faults: readonly Fault[] = [
    'lost before it arrives',
    'lost after it took effect',
    'hangs before it arrives',
    'hangs after it took effect',
    { status: 408, after: 'nothing' },
    { status: 429, after: 'nothing', retryAfterSeconds: 1 },
    { status: 500, after: 'nothing' },
    { status: 503, after: 'nothing' },
    { status: 504, after: 'effect' },
  ];
  const once = faults.map((fault) => [JSON.stringify(fault), fault] as const);
  const forGood = once.filter(([, fault]) => typeof fault === 'string' || fault.retryAfterSeconds === undefined);

  it.each(once)('takes an address with exactly one claim when the create is spoilt once: %s', async (_, fault) => {
    const creates = spoilFirst('POST', fault);
    expect(await store.take(request(name, holderOf()))).toBe('ours');
    expect(creates()).toBe(2);
    expect((await inspect(api, name))?.spec.holders).toEqual([holderOf()]);
    expect(await claims()).toBe(`ipclaim.orbweaver.io/${name}`);
    expect(store.own()).toMatchObject([{ name, isDoubtful: false }]);
  });

  it.each(forGood)(
    'fails in time when every create is spoilt, and its release leaves nothing: %s',
    async (_, fault) => {
      spoilAll('POST', fault);
      await expect(store.take(request(name, holderOf()))).rejects.toMatchObject({
        type: 'ApiServerUnavailable',
        message: expect.stringContaining(`Cannot create IPClaim "${name}": POST ${collection}`),
        remedy: expect.stringContaining('kubectl get --raw /readyz'),
      });
      expect(store.ownByContainer('c1')).toMatchObject([{ name, isDoubtful: true }]);
      heal();
      const release = () => store.release({ ...attachment, disposition: 'undo' });
      if ((await claims()) === '') {
        await expect(release()).rejects.toThrow('may still carry it out');
        aheadMs += 6000;
      }
      await release();
      expect(await claims()).toBe('');
      expect(store.own()).toEqual([]);
    },
  );

  it('releases a create that the API server carries out after it was looked for in vain', async () => {
    spoilAll('POST', 'hangs before it arrives');
    await expect(store.take(request(name, holderOf()))).rejects.toThrow('got no answer');
    heal();
    await expect(store.release({ ...attachment, disposition: 'undo' })).rejects.toThrow('may still carry it out');
    await new ClaimStore({ api, node: 'r7-n1', log: silent }).take(request(name, holderOf())); // the late create
    expect(await store.release({ ...attachment, disposition: 'undo' })).toEqual([name]);
    expect(await claims()).toBe('');
  });

  it('leaves no doubt where there was no connection to send a create on', async () => {
    await proxy.stop();
    await expect(store.take(request(name, holderOf()))).rejects.toMatchObject({ type: 'ApiServerUnavailable' });
    expect(store.own()).toEqual([]);
    expect(await store.release({ ...attachment, disposition: 'undo' })).toEqual([]);
  });

  it.each(once)('releases its claim when the delete is spoilt once: %s', async (_, fault) => {
    await store.take(request(name, holderOf()));
    spoilFirst('DELETE', fault);
    expect(await store.release({ ...attachment, disposition: 'delete' })).toEqual([name]);
    expect(await claims()).toBe('');
    expect(store.own()).toEqual([]);
  });

  it.each(once)('holds a claim and takes it over when each update is spoilt once: %s', async (_, fault) => {
    await store.take(request(name, holderOf()));
    spoilFirst('PUT', fault);
    expect(await store.release({ ...attachment, disposition: 'hold' })).toEqual([name]);
    expect((await inspect(api, name))?.spec).toMatchObject({ phase: 'Held', kept: true });
    spoilFirst('PUT', fault);
    expect(await store.adopt(await seen(), { holder: holderOf({ containerID: 'c2' }) })).toBe('ours');
    expect((await inspect(api, name))?.spec).toMatchObject({
      phase: 'Bound',
      kept: true,
      holders: [{ containerID: 'c2' }],
    });
  });

  it('finds the claim that a take-over without an answer may have made its own', async () => {
    await store.take(request(name, holderOf()));
    await store.release({ ...attachment, disposition: 'hold' });
    let isCut = false;
    proxy.onRequest = ({ method }) => {
      if (isCut) return 'hangs before it arrives';
      isCut = method === 'PUT';
      return isCut ? 'hangs after it took effect' : undefined;
    };
    await expect(store.adopt(await seen(), { holder: holderOf({ containerID: 'c2' }) })).rejects.toMatchObject({
      type: 'ApiServerUnavailable',
    });
    heal();
    expect((await inspect(api, name))?.spec.phase).toBe('Bound');
    expect(await store.release({ ...attachment, containerID: 'c2', disposition: 'undo' })).toEqual([name]);
    expect((await inspect(api, name))?.spec).toMatchObject({ phase: 'Held', kept: true });
  });

  it('yields when another took the address while its own create was lost', async () => {
    const rival = new ClaimStore({ api, node: 'r7-n2', log: silent });
    proxy.onRequest = async ({ method }) => {
      if (method !== 'POST') return undefined;
      heal();
      await rival.take(request(name, holderOf({ node: 'r7-n2', podUID: 'uid-1', containerID: 'c2' })));
      return 'lost before it arrives';
    };
    expect(await store.take(request(name, holderOf()))).toBe('taken');
    expect((await inspect(api, name))?.spec.holders[0]?.containerID).toBe('c2');
    expect(store.own()).toEqual([]);
  });

  it('says that the API server is away when it refuses connections, and works again when it is back', async () => {
    await proxy.refuse();
    const cause = { type: 'ApiServerUnavailable', message: expect.stringContaining('ECONNREFUSED') };
    await expect(store.take(request(name, holderOf()))).rejects.toMatchObject(cause);
    await expect(store.takenNames('rack7-v4', { notBeforeMs: Date.now() })).rejects.toMatchObject(cause);
    await proxy.listen();
    expect(await store.take(request(name, holderOf()))).toBe('ours');
    expect(await claims()).toBe(`ipclaim.orbweaver.io/${name}`);
  });

  it('shares one list among all who wait for a pool, and none that began before they asked', async () => {
    let lists = 0;
    proxy.onRequest = async ({ path }) => {
      if (!path.includes('labelSelector')) return undefined;
      lists += 1;
      if (lists > 1) return undefined;
      // While the first list is on its way an address is taken, and then somebody asks again.
      await new ClaimStore({ api, node: 'r7-n2', log: silent }).take(request(name, holderOf({ node: 'r7-n2' })));
      latecomers = Array.from({ length: 10 }, () => store.takenNames('rack7-v4', { notBeforeMs: Date.now() }));
      return 'lost after it took effect';
    };
    let latecomers: ReturnType<ClaimStore['takenNames']>[] = [];
    await store.takenNames('rack7-v4', { notBeforeMs: Date.now() });
    const readings = await Promise.all(latecomers);
    expect(readings.map(({ names }) => names.has(name))).toEqual(Array.from({ length: 10 }, () => true));
    expect(lists).toBe(3); // the first, its repetition, and one for everybody who came in between
  });

  it('reads a pool of many pages as it stood at one moment', async () => {
    const many = Array.from({ length: 1200 }, (_, at) => `10.80.${Math.floor(at / 250)}.${(at % 250) + 1}`);
    for (let from = 0; from < many.length; from += 40) {
      await Promise.all(
        many.slice(from, from + 40).map((each, at) => {
          const writer = new ClaimStore({ api, node: 'r7-n1', log: silent, deadlineMs: 20_000 });
          return writer.take(request(each, holderOf({ podUID: `uid-${from + at}` })));
        }),
      );
    }
    const { names } = await store.takenNames('rack7-v4', { notBeforeMs: Date.now() });
    expect([...names].toSorted()).toEqual(many.toSorted());
  }, 60_000);
});
