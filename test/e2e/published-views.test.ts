import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { SpiderEndpoint } from '../../contracts/crds/spiderendpoint.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { type Cluster, deployment, startCluster, underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';

let cluster: Cluster;
let api: ApiClient;
beforeAll(async () => {
  cluster = await startCluster({ nodes: ['node-a'], controlWorkers: 3, logLevel: 'debug' });
  api = openApiClient(await endpointOf(cluster.stack.kubeconfigs.admin));
  await cluster.stack.apply(
    underlayPool('web-v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('web-v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
  );
}, 120_000);
afterAll(async () => {
  await api?.close();
  await cluster?.stack.stop();
}, 60_000);

const read = <Answer>(path: string): Promise<Answer> => api.request<Answer>({ method: 'GET', path, timeoutMs: 10_000 });
const list = async <Item>(path: string): Promise<readonly Item[]> =>
  (await read<{ items: readonly Item[] }>(path)).items;
const group = '/apis/spiderpool.spidernet.io/v2beta1';

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly phase: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/** Waits for the pods, and until the addresses of those that went are free: a DEL comes a while after its pod went. */
async function untilRunning(count: number): Promise<readonly Pod[]> {
  return await eventually(`${count} pods Running, and no claims but theirs`, 120, async () => {
    const [pods, claims] = await Promise.all([
      list<Pod>('/api/v1/namespaces/default/pods'),
      list<IPClaim>('/apis/orbweaver.io/v1alpha1/ipclaims'),
    ]);
    const running = pods.filter(({ status }) => status.phase === 'Running');
    return running.length === count && pods.length === count && claims.length === 2 * count
      ? { value: running }
      : {
          state: `${pods.map(({ metadata, status }) => `${metadata.name} ${status.phase}`).join()}; ${claims.length} claims`,
        };
  });
}

/** What should be published of the pods, by their own word for it: the addresses that kubelet was told. */
const expected = (pods: readonly Pod[]): readonly string[] => {
  const byPool = (family: 4 | 6): readonly string[] =>
    pods
      .map(({ metadata, status }) => {
        const ip = status.podIPs?.find((address) => address.ip.includes(':') === (family === 6))?.ip;
        return `web-v${family} ${ip} default/${metadata.name} ${metadata.uid}`;
      })
      .toSorted();
  return [
    `web-v4 ${pods.length} of 250`,
    ...byPool(4),
    `web-v6 ${pods.length} of 255`,
    ...byPool(6),
    ...pods
      .map(({ metadata, spec, status }) => {
        const [v4, v6] = status.podIPs ?? [];
        return `${metadata.name} ${metadata.uid} ${spec.nodeName} Deployment/web eth0 ${v4?.ip}/16 via 10.70.0.1 ${v6?.ip}/64 via fd00:70::1`;
      })
      .toSorted(),
  ];
};

async function published(): Promise<readonly string[]> {
  const [pools, endpoints] = await Promise.all([
    list<SpiderIPPool>(`${group}/spiderippools`),
    list<SpiderEndpoint>(`${group}/spiderendpoints`),
  ]);
  return [
    ...pools.flatMap(({ metadata: { name }, status: { allocatedIPs = '{}', allocatedIPCount, totalIPCount } = {} }) => [
      `${name} ${allocatedIPCount} of ${totalIPCount}`,
      ...Object.entries(JSON.parse(allocatedIPs) as Record<string, { pod: string; podUid: string }>)
        .map(([ip, { pod, podUid }]) => `${name} ${ip} ${pod} ${podUid}`)
        .toSorted(),
    ]),
    ...endpoints
      .map(({ metadata, status }) => {
        const { current, ownerControllerType, ownerControllerName } = status ?? {};
        const interfaces = current?.ips.map(
          (nic) => `${nic.interface} ${nic.ipv4} via ${nic.ipv4Gateway} ${nic.ipv6} via ${nic.ipv6Gateway}`,
        );
        return `${metadata.name} ${current?.uid} ${current?.node} ${ownerControllerType}/${ownerControllerName} ${interfaces?.join()}`;
      })
      .toSorted(),
  ];
}

async function untilPublished(pods: readonly Pod[], seconds: number): Promise<void> {
  const wanted = expected(pods).join('\n');
  await eventually('The views are as the pods', seconds, async () => {
    const found = (await published()).join('\n');
    return found === wanted ? { value: true } : { state: `${found}\nand not\n${wanted}` };
  });
}

async function leader(): Promise<StackProcess> {
  return await eventually('A control worker leads', 30, async () => {
    const { spec } = await read<{ spec: { holderIdentity: string } }>(
      '/apis/coordination.k8s.io/v1/namespaces/orbweaver-system/leases/orbweaver-control',
    );
    const [name = ''] = spec.holderIdentity.split('_');
    const found = cluster.controlWorkers.find((worker) => worker.name === name && worker.isRunning);
    return found ? { value: found } : { state: `the lease says "${spec.holderIdentity}"` };
  });
}

const scale = (replicas: number): Promise<string> =>
  cluster.stack.kubectl('scale', 'deployment', 'web', `--replicas=${replicas}`);

describe('pool status and SpiderEndpoint', () => {
  it('show the pods of a Deployment within 2 s', async () => {
    await cluster.stack.apply(deployment('web', 6));
    await untilPublished(await untilRunning(6), 2);
  }, 180_000);

  it('go on after kill -9 of the control worker that publishes them: another does within 10 s', async () => {
    const killed = await leader();
    await killed.stop('SIGKILL');
    await scale(8);
    await untilPublished(await untilRunning(8), 10);
    expect((await leader()).name).not.toBe(killed.name);
  }, 180_000);

  it('go on after SIGTERM of the control worker that publishes them: another takes over at once', async () => {
    const stopped = await leader();
    await stopped.stop('SIGTERM');
    await scale(5);
    await untilPublished(await untilRunning(5), 4);
    expect((await leader()).name).not.toBe(stopped.name);
  }, 180_000);

  it('are zero and nothing when the Deployment is deleted', async () => {
    await cluster.stack.kubectl('delete', 'deployment', 'web', '--wait=true');
    await untilPublished(await untilRunning(0), 2);
  }, 180_000);
});
