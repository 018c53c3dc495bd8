import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createNodeSteps, type NodePorts } from '../../activities/node-activities.ts';
import type { PodIdentity } from '../../contracts/attachment.ts';
import { readClusterSettings } from '../../contracts/cluster-settings.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import { FaultProxy } from '../../kube/testing/fault-proxy.ts';
import { type NodeCluster, openNodeCluster } from '../../workers/node/node-cluster.ts';
import { OpenCalls } from '../../workers/node/open-calls.ts';
import { memoryRecords, silent } from '../../workers/node/testing/node-world.ts';
import { addRequest } from '../../workflows/testing/node-model.ts';
import { startApiServer, type TestApiServer } from './api-server.ts';

/** What an ADD asks of a real API server, and how much of it one after the other: each further round costs every pod its time. */
const settings = readClusterSettings({}, []);
let server: TestApiServer;
let proxy: FaultProxy;
let directory: string;
let cluster: NodeCluster;
beforeAll(async () => {
  server = await startApiServer();
  proxy = new FaultProxy(server.endpoint);
  await proxy.listen();
  directory = await mkdtemp(join(tmpdir(), 'add-requests-'));
  await create('/api/v1/namespaces', { metadata: { name: 'pay' } });
  await create('/api/v1/namespaces/pay/serviceaccounts', { metadata: { name: 'default' } });
  await create('/apis/spiderpool.spidernet.io/v2beta1/spiderippools', {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'rack7-v4' },
    spec: { subnet: '10.70.0.0/16', ips: ['10.70.1.0-10.70.255.250'], default: true }, // so large that nobody meets anybody
  });
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigFor(proxy.endpoint.server));
  cluster = await openNodeCluster({ nodeName: 'r7-n1', kubeconfig, cluster: settings }, silent, { claimConflict() {} });
  await cluster.untilReady();
}, 60_000);
afterAll(async () => {
  await cluster?.close();
  await proxy?.stop();
  await server?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true });
}, 60_000);

const create = <Answer>(path: string, body: object): Promise<Answer> =>
  server.api.request<Answer>({ method: 'POST', path, body, timeoutMs: 10_000 });

const kubeconfigFor = (url: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });

/** Requests in the rounds in which they were made: nobody gets an answer as long as somebody still asks. */
function countRounds(): { readonly rounds: readonly (readonly string[])[]; readonly stop: () => void } {
  const rounds: string[][] = [];
  let open:
    | { readonly asked: string[]; readonly answered: Promise<void>; readonly isStillAsked: () => void }
    | undefined;
  proxy.onRequest = async ({ method, path }) => {
    if (path.includes('watch=true') || path.includes('/leases')) return undefined;
    if (open === undefined) {
      const asked: string[] = [];
      rounds.push(asked);
      const { promise, resolve } = Promise.withResolvers<void>();
      const quiet = setTimeout(() => {
        open = undefined;
        resolve();
      }, 50);
      open = { asked, answered: promise, isStillAsked: () => quiet.refresh() };
    }
    open.isStillAsked();
    open.asked.push(`${method} ${path.replace(/\?.*/, '').replace(/^.*\/(v1|v2beta1|v1alpha1)\//, '')}`);
    await open.answered;
    return undefined;
  };
  return { rounds, stop: () => (proxy.onRequest = () => undefined) };
}

/** A pod of this node that its watch has shown. */
async function podOf(name: string, annotations: object = {}): Promise<PodIdentity> {
  const pod = await create<{ metadata: { uid: string } }>('/api/v1/namespaces/pay/pods', {
    metadata: { name, annotations },
    spec: { nodeName: 'r7-n1', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'none' }] },
  });
  const identity = { namespace: 'pay', name, uid: pod.metadata.uid };
  await eventually(`The watch shows ${name}`, 30, () =>
    cluster.isWatchingPods && cluster.pods.remembered(identity) !== undefined ? { value: true } : { state: 'not yet' },
  );
  return identity;
}

/** Serves one ADD as the node worker does. Gives the rounds of its requests. */
async function add(pod: PodIdentity): Promise<readonly (readonly string[])[]> {
  const base = addRequest('eth0', crypto.randomUUID().replaceAll('-', ''), `sandbox-of-${pod.name}`);
  const request: AddRequest = { ...base, pod, arrivedAtMs: Date.now() };
  const calls = new OpenCalls();
  calls.open(request.nonce, 'ADD', request.attachment);
  const steps = createNodeSteps({
    ...cluster,
    calls,
    records: memoryRecords({ records: new Map() }),
    cluster: settings,
    kernel: noKernel,
    node: { name: 'r7-n1', machineID: 'm1', bootID: 'b1' },
    log: silent,
  });
  const { rounds, stop } = countRounds();
  try {
    cluster.prefetch(pod, request.network);
    expect(await steps.claimAddresses(request)).toHaveLength(1);
  } finally {
    stop();
  }
  return rounds.map((round) => round.toSorted());
}

/** Claiming an address looks at no namespace but that of an earlier sandbox, and here is none. */
const noKernel = { namespaceState: async () => 'alive' } as unknown as NodePorts['kernel'];

const serialRounds = [['POST ipclaims'], expect.arrayContaining(['GET spiderippools/rack7-v4'])];

it('an ADD of a plain pod waits for its claim and for the look at its pool, and else for what was begun when it came', async () => {
  const [atArrival, ...serial] = await add(await podOf('first'));
  expect(atArrival).toEqual(
    expect.arrayContaining(['GET namespaces/pay', 'GET spiderippools', 'GET spiderreservedips']),
  );
  expect(serial).toEqual(serialRounds);
});

it('the next ADD within 2 s reads nothing of that again, whatever its annotation says', async () => {
  for (let attempt = 1; ; attempt += 1) {
    const [warm, next] = [await podOf(`warm-${attempt}`), await podOf(`next-${attempt}`)];
    const named = await podOf(`named-${attempt}`, { [ippoolAnnotation]: '{"ipv4": ["rack*"]}' });
    const startedAt = performance.now();
    await add(warm);
    const others = [await add(next), await add(named)];
    if (performance.now() - startedAt > 2000) continue; // a busy machine: says nothing
    expect(others).toEqual([serialRounds, serialRounds]);
    return;
  }
});
