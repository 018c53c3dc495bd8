import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { IPClaimSpec } from '../../contracts/crds/ipclaim.ts';
import type { SpiderEndpoint } from '../../contracts/crds/spiderendpoint.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { type ApiClient, type ApiRequest, openApiClient } from '../../kube/api-client.ts';
import { ApiError } from '../../kube/api-error.ts';
import { ClaimFeed } from '../../kube/claim-feed.ts';
import { EndpointFeed } from '../../kube/endpoint-feed.ts';
import { labelHash } from '../../kube/label-hash.ts';
import { LeaderLease } from '../../kube/lease.ts';
import { publishViews } from '../../kube/publish-views.ts';
import { collection as claimCollection, holderOf, silent } from '../../kube/testing/claim-fixtures.ts';
import { FaultProxy } from '../../kube/testing/fault-proxy.ts';
import { startApiServer, type TestApiServer } from './api-server.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const apiVersion = 'spiderpool.spidernet.io/v2beta1';
let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
  for (const namespace of ['pay', 'orbweaver-system'])
    await write('POST', '/api/v1/namespaces', { metadata: { name: namespace } }).catch(unlessThere);
}, 60_000);
afterAll(() => server?.stop(), 60_000);

function unlessThere(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 409)) throw error;
}

const write = <Answer>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<Answer> =>
  server.api.request<Answer>({ method, path, body, timeoutMs: 10_000 });
const read = <Answer>(path: string): Promise<Answer> =>
  server.api.request<Answer>({ method: 'GET', path, timeoutMs: 10_000 });

/** One process with its own connection, which can be cut; it publishes while it leads. */
class Replica {
  readonly proxy = new FaultProxy(server.endpoint);
  readonly writes: string[] = [];
  #client: ApiClient | undefined;
  #lease: LeaderLease | undefined;
  #ended: Promise<void> | undefined;
  readonly #stopped = new AbortController();

  async start(identity: string): Promise<void> {
    await this.proxy.listen();
    const client = openApiClient(this.proxy.endpoint);
    this.#client = client;
    const api: ApiClient = {
      ...client,
      request: async <Answer>(request: ApiRequest) => {
        if (request.method !== 'GET' && !request.path.includes('leases'))
          this.writes.push(`${request.method} ${request.path}`);
        return await client.request<Answer>(request);
      },
    };
    const lease = new LeaderLease({
      api,
      namespace: 'orbweaver-system',
      name: 'orbweaver-control',
      identity,
      log: silent,
    });
    this.#lease = lease;
    const claims = new ClaimFeed({ api, log: silent });
    const endpoints = new EndpointFeed({ api, log: silent });
    for (const feed of [claims, endpoints]) void feed.follow(this.#stopped.signal);
    this.#ended = lease.compete((term) => publishViews({ api, claims, endpoints, term, log: silent }));
  }

  async stop(): Promise<void> {
    this.#lease?.stop();
    await this.#ended;
    this.#stopped.abort();
    await this.#client?.close();
    await this.proxy.stop();
  }
}

let replicas: Replica[];
async function start(identity: string): Promise<Replica> {
  const replica = new Replica();
  replicas.push(replica);
  await replica.start(identity);
  return replica;
}
beforeEach(async () => {
  replicas = [];
  await write('POST', `${group}/spiderippools`, {
    apiVersion,
    kind: 'SpiderIPPool',
    metadata: { name: 'rack7-v4' },
    spec: { subnet: '10.70.0.0/16', gateway: '10.70.0.1', ips: ['10.70.8.1-10.70.9.250'] },
  });
});
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await write('DELETE', claimCollection);
  await write('DELETE', `${group}/namespaces/pay/spiderendpoints`);
  await write('DELETE', `${group}/spiderippools/rack7-v4`);
}, 30_000);

async function claim(pod: string, address: string, some: Partial<IPClaimSpec> = {}): Promise<void> {
  await write('POST', claimCollection, {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name: address, labels: { 'orbweaver.io/pool': labelHash('rack7-v4') } },
    spec: {
      address: `${address}/16`,
      pool: 'rack7-v4',
      phase: 'Bound',
      holders: [holderOf({ pod, podUID: `uid-${pod}` })],
      ...some,
    },
  });
}
const release = (address: string): Promise<unknown> => write('DELETE', `${claimCollection}/${address}`);

const pool = (): Promise<SpiderIPPool> => read<SpiderIPPool>(`${group}/spiderippools/rack7-v4`);
const endpoints = async (): Promise<readonly SpiderEndpoint[]> =>
  (await read<{ items: readonly SpiderEndpoint[] }>(`${group}/spiderendpoints`)).items;

/** What the views say, a fact a line. */
async function views(): Promise<readonly string[]> {
  const { status: { allocatedIPCount = -1, totalIPCount = -1, allocatedIPs = '{}' } = {} } = await pool();
  const records = Object.entries(JSON.parse(allocatedIPs) as Record<string, { pod: string; podUid: string }>);
  return [
    `${allocatedIPCount} of ${totalIPCount}`,
    ...records.map(([address, { pod, podUid }]) => `${address} ${pod} ${podUid}`),
    ...(await endpoints())
      .map(({ metadata, status }) => {
        const addresses = status?.current.ips.map(({ interface: nic, ipv4, ipv6 }) => `${nic}=${ipv4 ?? ipv6}`);
        return `${metadata.namespace}/${metadata.name} ${status?.ownerControllerType} ${status?.ownerControllerName} ${addresses?.join()}`;
      })
      .toSorted(),
  ];
}

async function untilViews(...wanted: readonly string[]): Promise<void> {
  await eventually(`The views say ${wanted.join('; ')}`, 60, async () => {
    const found = await views();
    return found.join('\n') === wanted.join('\n') ? { value: true } : { state: found.join('\n') };
  });
}

describe('what is published on a real API server', () => {
  it('follows claims as they come, change and go', async () => {
    await start('a');
    await untilViews('0 of 506');
    await claim('api-0', '10.70.8.20');
    await claim('api-1', '10.70.8.9');
    await untilViews(
      '2 of 506',
      '10.70.8.20 pay/api-0 uid-api-0',
      '10.70.8.9 pay/api-1 uid-api-1',
      'pay/api-0 Pod api-0 eth0=10.70.8.20/16',
      'pay/api-1 Pod api-1 eth0=10.70.8.9/16',
    );
    await claim('api-0', '10.70.8.21', { holders: [holderOf({ podUID: 'uid-api-0', interface: 'net1' })] });
    await release('10.70.8.9');
    await untilViews(
      '2 of 506',
      '10.70.8.20 pay/api-0 uid-api-0',
      '10.70.8.21 pay/api-0 uid-api-0',
      'pay/api-0 Pod api-0 eth0=10.70.8.20/16,net1=10.70.8.21/16',
    );
    await release('10.70.8.20');
    await release('10.70.8.21');
    await untilViews('0 of 506');
    expect((await pool()).status).not.toHaveProperty('allocatedIPs');
  });

  it('names the top controller of a pod', async () => {
    const owned = (kind: string, name: string, uid: string, version = 'apps/v1') => ({
      ownerReferences: [{ apiVersion: version, kind, name, uid, controller: true }],
    });
    const selector = { matchLabels: { app: 'api' } };
    const template = { metadata: { labels: { app: 'api' } }, spec: { containers: [{ name: 'c', image: 'none' }] } };
    await write('POST', '/api/v1/namespaces/pay/serviceaccounts', { metadata: { name: 'default' } });
    const replicaSet = await write<{ readonly metadata: { readonly uid: string } }>(
      'POST',
      '/apis/apps/v1/namespaces/pay/replicasets',
      {
        metadata: { name: 'api-5b', ...owned('Deployment', 'api', 'd-0') },
        spec: { replicas: 0, selector, template },
      },
    );
    for (const [name, owner] of [
      ['api-5b-x', owned('ReplicaSet', 'api-5b', replicaSet.metadata.uid)],
      ['db-0', owned('StatefulSet', 'db', 's-0')],
      ['clone', owned('CloneSet', 'clones', 'c-0', 'apps.kruise.io/v1alpha1')],
    ] as const) {
      await write('POST', '/api/v1/namespaces/pay/pods', {
        metadata: { name, ...owner },
        spec: { automountServiceAccountToken: false, containers: [{ name: 'c', image: 'none' }] },
      });
    }
    await start('a');
    await claim('api-5b-x', '10.70.8.1');
    await claim('db-0', '10.70.8.2');
    await claim('clone', '10.70.8.3');
    await eventually('All endpoints are there', 60, async () => {
      const found = (await endpoints()).map(
        ({ metadata, status }) => `${metadata.name} ${status?.ownerControllerType}/${status?.ownerControllerName}`,
      );
      const isComplete =
        found.toSorted().join() === 'api-5b-x Deployment/api,clone CloneSet/clones,db-0 StatefulSet/db';
      return isComplete ? { value: true } : { state: found.join() };
    });
  });

  it('is put right when somebody else changes or removes it', async () => {
    await start('a');
    await claim('api-0', '10.70.8.20');
    const facts = ['1 of 506', '10.70.8.20 pay/api-0 uid-api-0', 'pay/api-0 Pod api-0 eth0=10.70.8.20/16'] as const;
    await untilViews(...facts);
    await write('DELETE', `${group}/namespaces/pay/spiderendpoints/api-0`);
    const changed = await pool();
    await write('PUT', `${group}/spiderippools/rack7-v4/status`, { ...changed, status: { allocatedIPCount: 99 } });
    await untilViews(...facts);
  });

  it('costs few writes: one for each pod, and one a second for the pool, however many claims come', async () => {
    const replica = await start('a');
    await untilViews('0 of 506');
    replica.writes.length = 0;
    const beganAt = performance.now();
    for (let at = 1; at <= 60; at += 1) {
      await claim(`api-${at}`, `10.70.8.${at}`);
      await claim(`api-${at}`, `10.70.9.${at}`, {
        holders: [holderOf({ pod: `api-${at}`, podUID: `uid-api-${at}`, interface: 'net1' })],
      });
    }
    await eventually('All are published', 60, async () => {
      const [{ status }, { length }] = await Promise.all([pool(), endpoints()]);
      const count = status?.allocatedIPCount;
      return count === 120 && length === 60 ? { value: true } : { state: `${count}, ${length} endpoints` };
    });
    const seconds = (performance.now() - beganAt) / 1000;
    const poolWrites = replica.writes.filter((line) => line.includes('spiderippools')).length;
    expect(poolWrites).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
    expect(replica.writes.length - poolWrites).toBeLessThanOrEqual(120);
    const [{ metadata } = { metadata: {} }] = await endpoints();
    expect(JSON.stringify((metadata as { managedFields?: unknown }).managedFields).length).toBeLessThan(250);
  });
});

describe('two replicas on a real API server', () => {
  it('write nothing when the leader changes, except what differs, and remove what nobody stands behind', async () => {
    const first = await start('a');
    await claim('api-0', '10.70.8.20');
    await claim('api-1', '10.70.8.21');
    await claim('api-2', '10.70.8.22');
    await eventually('Endpoints are there', 60, async () => {
      const { length } = await endpoints();
      return length === 3 ? { value: true } : { state: `${length} endpoints` };
    });
    await first.stop();
    await release('10.70.8.22');
    const before = await endpoints();
    const second = await start('b');
    await untilViews(
      '2 of 506',
      '10.70.8.20 pay/api-0 uid-api-0',
      '10.70.8.21 pay/api-1 uid-api-1',
      'pay/api-0 Pod api-0 eth0=10.70.8.20/16',
      'pay/api-1 Pod api-1 eth0=10.70.8.21/16',
    );
    expect(second.writes.toSorted()).toEqual([
      `DELETE ${group}/namespaces/pay/spiderendpoints/api-2`,
      `PUT ${group}/spiderippools/rack7-v4/status`,
    ]);
    const kept = new Map(before.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
    for (const { metadata } of await endpoints()) expect(metadata.resourceVersion).toBe(kept.get(metadata.name));
  });

  it('change places when the leader loses its connection, and it never writes again', async () => {
    const first = await start('a');
    await untilViews('0 of 506');
    const second = await start('b');
    await first.proxy.refuse();
    const writesOfFirst = first.writes.length;
    await claim('api-0', '10.70.8.20');
    await untilViews('1 of 506', '10.70.8.20 pay/api-0 uid-api-0', 'pay/api-0 Pod api-0 eth0=10.70.8.20/16');
    expect(second.writes.length).toBeGreaterThan(0);
    await first.proxy.listen();
    await release('10.70.8.20');
    await untilViews('0 of 506');
    expect(first.writes.length).toBe(writesOfFirst);
    const lease = '/apis/coordination.k8s.io/v1/namespaces/orbweaver-system/leases/orbweaver-control';
    expect(await read<{ spec: { holderIdentity: string } }>(lease)).toMatchObject({ spec: { holderIdentity: 'b' } });
  });
});
