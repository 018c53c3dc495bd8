import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { applicationPoolWorkflow } from '../../contracts/application-pool.ts';
import { readClusterSettings } from '../../contracts/cluster-settings.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { ClaimFeed } from '../../kube/claim-feed.ts';
import { EndpointFeed } from '../../kube/endpoint-feed.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { labelHash } from '../../kube/label-hash.ts';
import { LeaderLease } from '../../kube/lease.ts';
import { PodFeed } from '../../kube/pod-feed.ts';
import { publishViews } from '../../kube/publish-views.ts';
import { SubnetBook } from '../../kube/subnet-book.ts';
import { type FollowedApplications, superviseSubnets } from '../../kube/supervise-subnets.ts';
import { holderOf } from '../../kube/testing/claim-fixtures.ts';
import { controlNamespace, nodeNamespace } from '../../temporal-config/queues.ts';
import { type ControlTemporal, startControlTemporal } from '../../workers/control/temporal/control-temporal.ts';
import { silent } from '../../workers/node/testing/node-world.ts';
import { bundleToday, installQuietRuntime } from '../testing/sandbox-stage.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const apiVersion = 'spiderpool.spidernet.io/v2beta1';

let stack: Stack;
let api: ApiClient;
let bundle: Awaited<ReturnType<typeof bundleToday>>;
let connection: Connection;
let control: Client;
let temporal: ControlTemporal;
let lease: LeaderLease;
let leading: Promise<void>;
let followed: FollowedApplications | undefined;
const stopped = new AbortController();

beforeAll(async () => {
  installQuietRuntime();
  [stack, bundle] = await Promise.all([startStack({ nodes: [] }), bundleToday()]);
  api = openApiClient(await endpointOf(stack.kubeconfigs.admin));
  connection = await Connection.connect({ address: stack.temporalAddress });
  control = new Client({ connection, namespace: controlNamespace });
  for (const name of ['pay', 'orbweaver-system'])
    await write('POST', '/api/v1/namespaces', { metadata: { name } }).catch(() => undefined);
  await write('POST', '/api/v1/namespaces/pay/serviceaccounts', { metadata: { name: 'default' } });
  const book = new SubnetBook({ api });
  temporal = startControlTemporal({
    address: stack.temporalAddress,
    controlNamespace,
    nodeNamespace,
    workflowBundle: bundle.codePath,
    identity: 'a',
    api,
    subnets: book,
    poolSurplus: 1,
    followedApplications: () => followed,
    log: silent,
  });
  lease = new LeaderLease({ api, namespace: 'orbweaver-system', name: 'test', identity: 'a', log: silent });
  const settings = readClusterSettings({}, []);
  const claims = new ClaimFeed({ api, log: silent });
  const endpoints = new EndpointFeed({ api, log: silent });
  const pods = new PodFeed({ api, log: silent });
  for (const feed of [claims, endpoints, pods]) void feed.follow(stopped.signal);
  const onFollowed = (now: FollowedApplications | undefined): void => {
    followed = now;
  };
  leading = lease.compete(async (term) => {
    await Promise.all([
      superviseSubnets({ api, pods, term, settings, book, hint: temporal.hintAtPool, onFollowed, log: silent }),
      publishViews({ api, claims, endpoints, term, log: silent }), // with the finalizers of pools
    ]);
  });
  await eventually('It polls', 30, () => (temporal.isConnected ? { value: true } : { state: 'not connected' }));
}, 120_000);
afterAll(async () => {
  lease?.stop();
  await leading;
  stopped.abort();
  await temporal?.stop();
  await connection?.close();
  await api?.close();
  await bundle?.remove();
  await stack?.stop();
});
afterEach(async () => {
  for (const plural of ['deployments', 'statefulsets']) await write('DELETE', `/apis/apps/v1/namespaces/pay/${plural}`);
  await write('DELETE', '/apis/orbweaver.io/v1alpha1/ipclaims');
  await eventually('No automatic pool is left', 30, async () => {
    const left = (await pools()).filter(({ metadata }) => metadata.name.startsWith('auto'));
    return left.length === 0 ? { value: true } : { state: left.map(({ metadata }) => metadata.name).join() };
  });
  await write('DELETE', `${group}/spiderippools`);
  await write('DELETE', `${group}/spidersubnets`);
});

const write = <Answer>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<Answer> =>
  api.request<Answer>({ method, path, body, timeoutMs: 10_000 });
const read = <Answer>(path: string): Promise<Answer> => api.request<Answer>({ method: 'GET', path, timeoutMs: 10_000 });

const makeSubnet = (name: string, network: number, size = 90): Promise<unknown> =>
  write('POST', `${group}/spidersubnets`, {
    apiVersion,
    kind: 'SpiderSubnet',
    metadata: { name },
    spec: {
      ipVersion: 4,
      subnet: `10.70.${network}.0/24`,
      gateway: `10.70.${network}.1`,
      ips: [`10.70.${network}.10-10.70.${network}.${9 + size}`],
    },
  });
const workload = (name: string, replicas: number, annotations: Record<string, string>) => ({
  apiVersion: 'apps/v1',
  metadata: { name, namespace: 'pay' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name }, annotations },
      spec: { containers: [{ name: 'main', image: 'none' }] },
    },
  },
});
const from = (subnet: string, some: Record<string, string> = {}): Record<string, string> => ({
  'ipam.spidernet.io/subnet': JSON.stringify({ ipv4: [subnet] }),
  'ipam.spidernet.io/ippool-ip-number': '+0',
  ...some,
});
const deployments = '/apis/apps/v1/namespaces/pay/deployments';
const deploy = (name: string, replicas: number, annotations = from('rack7')): Promise<unknown> =>
  write('POST', deployments, { kind: 'Deployment', ...workload(name, replicas, annotations) });
const change = async (name: string, replicas: number, annotations = from('rack7')): Promise<void> => {
  const found = await read<{ metadata: object }>(`${deployments}/${name}`);
  const { metadata, ...wanted } = workload(name, replicas, annotations);
  await write('PUT', `${deployments}/${name}`, {
    kind: 'Deployment',
    ...wanted,
    metadata: { ...found.metadata, ...metadata },
  });
};

async function pools(): Promise<readonly SpiderIPPool[]> {
  return (await read<{ items: readonly SpiderIPPool[] }>(`${group}/spiderippools`)).items;
}
const sizeOf = ({ spec }: SpiderIPPool): number =>
  (spec.ips ?? []).reduce((sum, range) => {
    const [first = '', last = first] = range.split('-');
    return sum + Number(last.split('.').at(-1)) - Number(first.split('.').at(-1)) + 1;
  }, 0);
/** "application size", of all automatic pools. */
const untilPools = (...wanted: readonly string[]): Promise<readonly SpiderIPPool[]> =>
  eventually(`Pools ${wanted.join(', ')}`, 60, async () => {
    const found = (await pools()).filter(({ metadata }) => metadata.name.startsWith('auto'));
    const lines = found
      .map((pool) => `${pool.metadata.labels?.['ipam.spidernet.io/owner-application-name']} ${sizeOf(pool)}`)
      .sort();
    return JSON.stringify(lines) === JSON.stringify(wanted.toSorted()) ? { value: found } : { state: lines.join(', ') };
  });
const subnetStatus = async (name: string): Promise<NonNullable<SpiderSubnet['status']>> =>
  (await read<SpiderSubnet>(`${group}/spidersubnets/${name}`)).status ?? {};
const untilAllocated = (subnet: string, count: number, seconds = 20): Promise<unknown> =>
  eventually(`SpiderSubnet ${subnet} has given ${count}`, seconds, async () => {
    const { allocatedIPCount, controlledIPPools = '' } = await subnetStatus(subnet);
    return allocatedIPCount === count ? { value: true } : { state: `${allocatedIPCount} ${controlledIPPools}` };
  });
const runOf = (name: string) => control.workflow.getHandle(`pool/pay/Deployment/${name}/eth0/4`);
const untilState = (name: string, state: string): Promise<string> =>
  eventually(`Pool of ${name} ${state}`, 60, async () => {
    const { searchAttributes, status } = await runOf(name).describe();
    const found = `${String(searchAttributes['NetPhase'])} ${status.name}`;
    return found.startsWith(`${state} `) ? { value: found } : { state: found };
  });
const claim = (address: string, pool: string): Promise<unknown> =>
  write('POST', '/apis/orbweaver.io/v1alpha1/ipclaims', {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name: address, labels: { 'orbweaver.io/pool': labelHash(pool) } },
    spec: { address: `${address}/24`, pool, phase: 'Bound', holders: [holderOf({ pod: address })] },
  });
const release = (address: string): Promise<unknown> =>
  write('DELETE', `/apis/orbweaver.io/v1alpha1/ipclaims/${address}`);

describe('an application’s pool', () => {
  it('comes, grows, shrinks and goes with it, and its run tells of it', async () => {
    await makeSubnet('rack7', 7);
    await deploy('api', 3);
    const [pool] = await untilPools('api 3');
    const name = pool?.metadata.name ?? '';
    await untilState('api', 'Ready');
    await untilAllocated('rack7', 3);
    const [began] = (await runOf('api').fetchHistory()).events ?? [];
    expect(began?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted).toBe(true);

    await change('api', 5);
    await untilPools('api 5');
    await claim('10.70.7.10', name);
    await claim('10.70.7.11', name);
    await change('api', 1);
    await untilPools('api 2'); // two are in use
    await untilState('api', 'Shrinking');
    await release('10.70.7.10');
    await untilPools('api 1');
    await untilAllocated('rack7', 1);

    await write('DELETE', `${deployments}/api`);
    await untilState('api', 'Removing');
    await release('10.70.7.11');
    await untilPools();
    await untilAllocated('rack7', 0);
    await untilState('api', 'Gone');
    expect((await runOf('api').describe()).status.name).toBe('COMPLETED');
  });

  it('waits for its Subnet, and comes as soon as that has enough', async () => {
    await deploy('api', 3);
    await untilState('api', 'WaitingForSubnet');
    await makeSubnet('rack7', 7, 4);
    await untilPools('api 3');
    await deploy('web', 2);
    await untilState('web', 'WaitingForSubnet');
    await change('api', 1);
    await untilPools('api 1', 'web 2');
  });

  it('§12.3 #30: is replaced when it uses another Subnet, and goes when it wishes for none', async () => {
    await makeSubnet('rack7', 7);
    await makeSubnet('rack8', 8);
    await deploy('api', 2);
    const [pool] = await untilPools('api 2');
    await claim('10.70.7.10', pool?.metadata.name ?? '');
    await change('api', 2, from('rack8'));
    await untilPools('api 2', 'api 2');
    await untilState('api', 'Replacing');
    await release('10.70.7.10');
    await untilAllocated('rack7', 0);
    expect(await untilPools('api 2')).toMatchObject([{ spec: { subnet: '10.70.8.0/24' } }]);
    await change('api', 2, {});
    await untilPools();
  });

  it('I00015: that is kept is taken over by the next of its name and kind', async () => {
    const kept = from('rack7', { 'ipam.spidernet.io/ippool-reclaim': 'false' });
    await makeSubnet('rack7', 7);
    await deploy('api', 2, kept);
    const [first] = await untilPools('api 2');
    await write('DELETE', `${deployments}/api`);
    await untilState('api', 'Kept');
    await deploy('api', 3, from('rack7'));
    const [second] = await untilPools('api 3');
    expect(second?.metadata.uid).toBe(first?.metadata.uid);
  });
});

describe('an application of a third party', () => {
  const foreign = 'example.org/v1';
  const define = (kind: string, plural: string, subresources: object) =>
    write('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.example.org` },
      spec: {
        group: 'example.org',
        scope: 'Namespaced',
        names: { kind, plural },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            subresources,
          },
        ],
      },
    });
  beforeAll(async () => {
    await define('Fleet', 'fleets', {
      scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
    });
    await define('Swarm', 'swarms', {});
    await stack.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  });

  async function withPod(kind: string, plural: string, name: string, ipNumber: string): Promise<void> {
    const body = { apiVersion: foreign, kind, metadata: { name }, spec: { replicas: 4 } };
    const path = `/apis/${foreign}/namespaces/pay/${plural}`;
    const made = await eventually(`${kind} ${name}`, 60, async () => ({
      value: await write<{ metadata: { uid: string } }>('POST', path, body),
    }));
    const owner = { apiVersion: foreign, kind, name, uid: made.metadata.uid, controller: true };
    const annotations = from('rack7', { 'ipam.spidernet.io/ippool-ip-number': ipNumber });
    await write('POST', '/api/v1/namespaces/pay/pods', {
      metadata: { name: `${name}-0`, annotations, ownerReferences: [owner] },
      spec: { automountServiceAccountToken: false, containers: [{ name: 'main', image: 'none' }] },
    });
  }
  const end = async (plural: string, name: string): Promise<void> => {
    await write('DELETE', `/apis/${foreign}/namespaces/pay/${plural}/${name}`);
    await write('DELETE', `/api/v1/namespaces/pay/pods/${name}-0`, { gracePeriodSeconds: 0 });
  };

  it('T00002: has a pool of a fixed number, which goes with it', async () => {
    await makeSubnet('rack7', 7);
    await withPod('Swarm', 'swarms', 'fixed', '3');
    await untilPools('fixed 3');
    await end('swarms', 'fixed');
    await untilPools();
  });

  it('§12.3 #31: has as many as it wants replicas and more where the API says how many those are, and is refused elsewhere', async () => {
    await makeSubnet('rack7', 7);
    await withPod('Fleet', 'fleets', 'scaled', '+2');
    await withPod('Swarm', 'swarms', 'unscaled', '+2');
    await untilPools('scaled 6');
    const run = control.workflow.getHandle('pool/pay/Swarm.example.org/unscaled/eth0/4');
    await eventually('It is refused', 60, async () => {
      const phase = String((await run.describe()).searchAttributes['NetPhase']);
      return phase === 'Refused' ? { value: true } : { state: phase };
    });
    const { currentDetails } = await run.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toContain('only supports a fixed number');
    await end('fleets', 'scaled');
    await end('swarms', 'unscaled');
  });
});

it('I00006/I00008: 30 applications that are created, scaled and deleted at once end at zero', async () => {
  await makeSubnet('rack7', 7);
  const names = Array.from({ length: 30 }, (_, at) => `many-${at}`);
  const lines = (size: number): readonly string[] => names.map((name) => `${name} ${size}`);
  await Promise.all(names.map((name) => deploy(name, 1)));
  await untilPools(...lines(1));
  await Promise.all(names.map((name) => change(name, 3)));
  await untilPools(...lines(3));
  await untilAllocated('rack7', 90);
  await Promise.all(names.map((name) => change(name, 2)));
  const made = await untilPools(...lines(2));
  expect(new Set(made.flatMap(({ spec }) => spec.ips)).size).toBeGreaterThanOrEqual(30);
  await Promise.all(names.map((name) => write('DELETE', `${deployments}/${name}`)));
  await untilPools();
  await untilAllocated('rack7', 0, 45); // what was recorded for a pool as it went is doubted for 20 s
  await eventually('No run is open', 60, async () => {
    const query = `WorkflowType = '${applicationPoolWorkflow}' AND ExecutionStatus = 'Running'`;
    const { count } = await control.workflow.count(query);
    return count === 0 ? { value: true } : { state: `${count} are` };
  });
}, 120_000);

describe('a Subnet', () => {
  const makePool = (name: string, address: string, spec: object = {}): Promise<SpiderIPPool> =>
    write<SpiderIPPool>('POST', `${group}/spiderippools`, {
      apiVersion,
      kind: 'SpiderIPPool',
      metadata: { name },
      spec: { subnet: '10.70.7.0/24', ips: [address], ...spec },
    });

  it('D00007: records what its manual pools have, as long as they have it', async () => {
    await makeSubnet('rack7', 7);
    await makePool('manual', '10.70.7.20-10.70.7.22');
    await untilAllocated('rack7', 3);
    const found = await eventually('It is taken on', 60, async () => {
      const [pool] = await pools();
      return pool?.metadata.ownerReferences === undefined ? { state: 'by nobody' } : { value: pool };
    });
    const spec = { ...found.spec, ips: ['10.70.7.20-10.70.7.25'], excludeIPs: ['10.70.7.21'] };
    await write('PUT', `${group}/spiderippools/manual`, { ...found, spec });
    await untilAllocated('rack7', 5);
    await write('DELETE', `${group}/spiderippools/manual`);
    await untilAllocated('rack7', 0);
  });

  it('D00008: takes on pools of its CIDR, whichever was there first, with gateway and routes where they say nothing', async () => {
    await makePool('before', '10.70.7.20');
    await makeSubnet('rack7', 7);
    await makePool('after', '10.70.7.21', { gateway: '10.70.7.2' });
    const adopted = await eventually('Both are taken on', 60, async () => {
      const found = await pools();
      const owners = found.map(({ metadata }) => metadata.ownerReferences?.[0]?.name ?? 'nobody');
      return owners.join() === 'rack7,rack7' ? { value: found } : { state: owners.join() };
    });
    expect(adopted.map(({ metadata, spec }) => `${metadata.name} ${spec.gateway}`)).toEqual([
      'after 10.70.7.2',
      'before 10.70.7.1',
    ]);
    await untilAllocated('rack7', 2);
    expect(JSON.parse((await subnetStatus('rack7')).controlledIPPools ?? '')).toEqual({
      after: { ips: ['10.70.7.21'] },
      before: { ips: ['10.70.7.20'] },
    });
  });
});
