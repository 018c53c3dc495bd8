import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@temporalio/client';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { underlay } from '../../deploy/dev/layout.ts';
import { orbweaverNetwork } from '../../deploy/dev/multus.ts';
import { labelText } from '../../ipam/auto-pools/pool-identity.ts';
import { automaticPoolLabels } from '../../ipam/automatic-pool.ts';
import { poolMemoryMs } from '../../kube/pool-reader.ts';
import { controlNamespace } from '../../temporal-config/queues.ts';
import { poolsOf, type RunningPod, RunningPods, sleepingContainer, sleepingPod } from './running-pods.ts';
import { TestCluster } from './test-cluster.ts';

/** Pools that applications get from a SpiderSubnet. Names begin with the id of the case (spec/ipam.md §11.6, §11.7). */
let cluster: TestCluster;
let pods: RunningPods;
beforeAll(async () => {
  cluster = await TestCluster.start();
  pods = new RunningPods(cluster);
  await cluster.stack.apply(second, ...subnets, ...kruise);
  await cluster.stack.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
}, 180_000);
afterAll(() => cluster?.stop(), 60_000);

const seconds = 240_000;
const group = '/apis/spiderpool.spidernet.io/v2beta1';
const subnet = (name: string, cidr: string, ips: readonly string[], spec: object = {}) => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderSubnet',
  metadata: { name },
  spec: { subnet: cidr, ips, ...spec },
});
const toOffice = (gw: string) => ({ dst: '10.201.0.0/16', gw });
const subnets = [
  subnet('underlay4', underlay.v4.subnet, ['10.70.20.1-10.70.29.250'], { gateway: underlay.v4.gateway }),
  subnet('underlay6', underlay.v6.subnet, ['fd00:70::20:1-fd00:70::20:ff'], { gateway: underlay.v6.gateway }),
  subnet('net1', '10.71.0.0/16', ['10.71.0.10-10.71.0.99']),
  subnet('reserved', '10.72.0.0/24', ['10.72.0.1-10.72.0.20']),
  subnet('tiny', '10.73.0.0/24', ['10.73.0.1-10.73.0.3']),
  subnet('record', '10.74.0.0/24', ['10.74.0.1-10.74.0.99']),
  subnet('first', '10.75.0.0/24', ['10.75.0.1-10.75.0.99'], {
    gateway: '10.75.0.254',
    routes: [toOffice('10.75.0.253')],
  }),
];
const second = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name: 'second', namespace: 'default' },
  spec: { config: JSON.stringify({ ...orbweaverNetwork, name: 'second', clean_gateway: true }) },
};
/** A controller of a third party as its CRD shows it: we do not run it, so its pods are made by the test. */
const definition = (kind: string, plural: string, hasScale: boolean) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.apps.kruise.io` },
  spec: {
    group: 'apps.kruise.io',
    scope: 'Namespaced',
    names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        subresources: {
          status: {},
          ...(hasScale && { scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } }),
        },
      },
    ],
  },
});
const kruise = [definition('CloneSet', 'clonesets', true), definition('StatefulSet', 'statefulsets', true)];

type Annotations = Readonly<Record<string, string>>;
const from = (name: string, some: Annotations = {}): Annotations => ({
  'ipam.spidernet.io/subnet': JSON.stringify({ ipv4: [name] }),
  ...some,
});
const number = (text: string): Annotations => ({ 'ipam.spidernet.io/ippool-ip-number': text });
const kept: Annotations = { 'ipam.spidernet.io/ippool-reclaim': 'false' };

const template = (app: string, annotations: Annotations) => ({
  metadata: { labels: { app }, annotations },
  spec: { terminationGracePeriodSeconds: 0, containers: [sleepingContainer('main')] },
});
const workload = (kind: string, name: string, annotations: Annotations, spec: object = {}) => ({
  apiVersion: kind.endsWith('Job') ? 'batch/v1' : 'apps/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec: { selector: { matchLabels: { app: name } }, template: template(name, annotations), ...spec },
});
const deployment = (name: string, replicas: number, annotations: Annotations) =>
  workload('Deployment', name, annotations, { replicas });
const jobSpec = (app: string, annotations: Annotations) => {
  const { metadata, spec } = template(app, annotations);
  return { parallelism: 2, template: { metadata, spec: { ...spec, restartPolicy: 'Never' } } };
};

async function poolsOfApp(name: string): Promise<readonly SpiderIPPool[]> {
  const { items } = await cluster.api.request<{ items: readonly SpiderIPPool[] }>({
    method: 'GET',
    path: `${group}/spiderippools`,
    query: { labelSelector: `${automaticPoolLabels.applicationName}=${labelText(name)}` },
    timeoutMs: 5000,
  });
  return items;
}
/** Number of IPv4 addresses, of IPv6 for a pool of that family. */
function sizeOf({ spec }: SpiderIPPool): number {
  const last = (text: string): number =>
    Number.parseInt(text.split(/[.:]/).at(-1) ?? '', spec.ipVersion === 6 ? 16 : 10);
  return (spec.ips ?? []).reduce((sum, range) => {
    const [first = '', end = first] = range.split('-');
    return sum + last(end) - last(first) + 1;
  }, 0);
}
/** Pools of an application as "NIC size", in order. */
const untilPools = (name: string, wanted: readonly string[], withinSeconds = 60): Promise<readonly SpiderIPPool[]> =>
  eventually(`Pools of ${name}: ${wanted.join() || 'none'}`, withinSeconds, async () => {
    const found = await poolsOfApp(name);
    const lines = found.map((pool) => `${pool.metadata.labels?.[automaticPoolLabels.ifName]} ${sizeOf(pool)}`).sort();
    return lines.join() === wanted.toSorted().join() ? { value: found } : { state: lines.join() };
  });
const allocatedOf = async (name: string): Promise<SpiderSubnet['status']> => {
  const path = `${group}/spidersubnets/${name}`;
  return (await cluster.api.request<SpiderSubnet>({ method: 'GET', path, timeoutMs: 5000 })).status;
};
const remove = (kind: string, ...names: readonly string[]): Promise<string> =>
  cluster.stack.kubectl('delete', kind, ...names, '--wait=false');

describe('I00003: an application of every kind', () => {
  const kinds = [
    ['Deployment', workload('Deployment', 'i3-deployment', from('underlay4', number('+1')), { replicas: 2 }), 3],
    ['ReplicaSet', workload('ReplicaSet', 'i3-replicaset', from('underlay4', number('+0')), { replicas: 2 }), 2],
    [
      'StatefulSet',
      workload('StatefulSet', 'i3-statefulset', from('underlay4', number('+0')), {
        replicas: 2,
        serviceName: 'i3',
        podManagementPolicy: 'Parallel',
        ordinals: { start: 3 },
      }),
      2,
    ],
    ['DaemonSet', workload('DaemonSet', 'i3-daemonset', from('underlay4')), 3],
    ['Job', { ...workload('Job', 'i3-job', {}), spec: jobSpec('i3-job', from('underlay4', number('+0'))) }, 2],
    [
      'CronJob',
      {
        ...workload('CronJob', 'i3-cronjob', {}),
        spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: jobSpec('i3-cronjob', from('underlay4', number('5'))) } },
      },
      5,
    ],
  ] as const;
  const nameOf = (kind: string): string => `i3-${kind.toLowerCase()}`;
  beforeAll(async () => {
    await cluster.stack.apply(...kinds.map(([, object]) => object));
    await cluster.stack.kubectl('create', 'job', 'i3-cronjob-now', '--from=cronjob/i3-cronjob');
  }, seconds);

  it.each(kinds.map(([kind, , size]) => [kind, size] as const))(
    '%s: has a pool of %d addresses, of which its pods get theirs',
    async (kind, size) => {
      const [pool] = await untilPools(nameOf(kind), [`eth0 ${size}`]);
      const running = await pods.ofApp(nameOf(kind), 2);
      expect(running.flatMap(poolsOf)).toEqual([`eth0 ${pool?.metadata.name}`, `eth0 ${pool?.metadata.name}`]);
    },
    seconds,
  );

  it(
    'grows and shrinks with its replicas',
    async () => {
      const scalable = ['Deployment', 'ReplicaSet', 'StatefulSet'];
      const scale = (replicas: number): Promise<unknown> =>
        Promise.all(
          scalable.map((kind) =>
            cluster.stack.kubectl('scale', `${kind}/${nameOf(kind)}`.toLowerCase(), `--replicas=${replicas}`),
          ),
        );
      await scale(4);
      await Promise.all([
        ...scalable.map((kind) => pods.ofApp(nameOf(kind), 4)),
        untilPools(nameOf('Deployment'), ['eth0 5']),
        untilPools(nameOf('ReplicaSet'), ['eth0 4']),
        untilPools(nameOf('StatefulSet'), ['eth0 4']),
      ]);
      await scale(1);
      await Promise.all([
        ...scalable.map((kind) => pods.ofApp(nameOf(kind), 1)),
        untilPools(nameOf('Deployment'), ['eth0 2']),
        untilPools(nameOf('ReplicaSet'), ['eth0 1']),
        untilPools(nameOf('StatefulSet'), ['eth0 1'], 120), // what sticks to an ordinal is freed by a sweep
      ]);
    },
    seconds,
  );

  it(
    'has all its pods made anew within its surplus',
    async () => {
      const before = await pods.ofApp(nameOf('Deployment'), 1);
      await cluster.stack.kubectl('rollout', 'restart', 'deployment/i3-deployment');
      await cluster.stack.kubectl('rollout', 'status', 'deployment/i3-deployment', '--timeout=120s');
      const after = await pods.ofApp(nameOf('Deployment'), 1);
      expect(after[0]?.name).not.toBe(before[0]?.name);
      await untilPools(nameOf('Deployment'), ['eth0 2']);
    },
    seconds,
  );

  it(
    'takes its pool with it',
    async () => {
      await Promise.all(kinds.map(([kind]) => remove(kind, nameOf(kind))));
      await Promise.all(kinds.map(([kind]) => untilPools(nameOf(kind), [], 150)));
    },
    seconds,
  );
});

describe('an application', () => {
  it(
    'E00010: that names a Subnet of one family has addresses of that family',
    async () => {
      const six = { 'ipam.spidernet.io/subnet': '{"ipv6": ["underlay6"]}' };
      await cluster.stack.apply(deployment('e10-four', 1, from('underlay4')), deployment('e10-six', 1, six));
      const [four] = await pods.ofApp('e10-four', 1);
      const [sixth] = await pods.ofApp('e10-six', 1);
      expect(four?.nics.map(({ address }) => address)).toEqual([expect.stringMatching(/^10\.70\./)]);
      expect(sixth?.nics.map(({ address }) => address)).toEqual([expect.stringMatching(/^fd00:70::20:/)]);
      await remove('deployment', 'e10-four', 'e10-six');
    },
    seconds,
  );

  it(
    'I00011: has no reserved address in its pool',
    async () => {
      await cluster.stack.apply(
        {
          apiVersion: 'spiderpool.spidernet.io/v2beta1',
          kind: 'SpiderReservedIP',
          metadata: { name: 'i11' },
          spec: { ips: ['10.72.0.1-10.72.0.3', '10.72.0.5'] },
        },
        deployment('i11', 0, from('reserved', number('3'))),
      );
      const [pool] = await untilPools('i11', ['eth0 3']);
      expect(pool?.spec.ips).toEqual(['10.72.0.4', '10.72.0.6-10.72.0.7']);
      await remove('deployment', 'i11');
    },
    seconds,
  );

  it(
    'I00012, I00021: has a pool for each NIC and family, and takes over the one that was kept of its first NIC',
    async () => {
      await cluster.stack.apply(deployment('i12', 1, from('underlay4', { ...kept, ...number('2') })));
      const [single] = await untilPools('i12', ['eth0 2']);
      await pods.ofApp('i12', 1);
      await cluster.stack.kubectl('delete', 'deployment', 'i12', '--cascade=foreground', '--wait=true');
      const nics = JSON.stringify([
        { interface: 'eth0', ipv4: ['underlay4'], ipv6: ['underlay6'] },
        { interface: 'net1', ipv4: ['net1'] },
      ]);
      const both = {
        'ipam.spidernet.io/subnets': nics,
        'k8s.v1.cni.cncf.io/networks': 'default/second',
        ...number('3'),
      };
      await cluster.stack.apply(deployment('i12', 1, both));
      const made = await untilPools('i12', ['eth0 3', 'eth0 3', 'net1 3']);
      expect(made.map(({ metadata }) => metadata.uid)).toContain(single?.metadata.uid);
      const [pod] = await pods.ofApp('i12', 1);
      expect(pod?.nics.map(({ name }) => name)).toEqual(['eth0', 'eth0', 'net1']);
      await remove('deployment', 'i12');
      await untilPools('i12', []);
    },
    seconds,
  );

  it(
    'I00015, I00016, I00019: takes over the pool that was kept of its name and kind, and takes it along when it says so',
    async () => {
      await cluster.stack.apply(deployment('i15', 1, from('underlay4', { ...kept, ...number('1') })));
      const [first] = await untilPools('i15', ['eth0 1']);
      await pods.ofApp('i15', 1);
      await cluster.stack.kubectl('delete', 'deployment', 'i15', '--cascade=foreground', '--wait=true');
      const other = workload('StatefulSet', 'i15', from('underlay4', number('1')), { replicas: 1, serviceName: 'i15' });
      await cluster.stack.apply(other);
      await untilPools('i15', ['eth0 1', 'eth0 1']);
      await cluster.stack.kubectl('delete', 'statefulset', 'i15', '--cascade=foreground', '--wait=true');

      await cluster.stack.apply(deployment('i15', 2, from('underlay4', { ...kept, ...number('2') })));
      const second = await eventually('The kept pool has grown', 60, async () => {
        const found = (await poolsOfApp('i15')).find(({ metadata }) => metadata.uid === first?.metadata.uid);
        return found && sizeOf(found) === 2 ? { value: found } : { state: found ? String(sizeOf(found)) : 'gone' };
      });
      const running = await pods.ofApp('i15', 2);
      expect(new Set(running.flatMap(poolsOf))).toEqual(new Set([`eth0 ${second.metadata.name}`]));

      await cluster.stack.apply(deployment('i15', 2, from('underlay4', number('2'))));
      await eventually('The pool is to go with it', 60, async () => {
        const pool = (await poolsOfApp('i15')).find(({ metadata }) => metadata.uid === first?.metadata.uid);
        const label = pool?.metadata.labels?.[automaticPoolLabels.reclaim];
        return label === 'true' ? { value: true } : { state: String(label) };
      });
      await remove('deployment', 'i15');
      await untilPools('i15', [], 120);
    },
    seconds,
  );

  it(
    'I00017: of a very long name has a pool, and a pod that uses it',
    async () => {
      const name = `i17-${'long'.repeat(25)}`;
      const { spec, ...rest } = deployment('i17', 1, from('underlay4'));
      await cluster.stack.apply({ ...rest, metadata: { name, namespace: 'default' }, spec });
      const [pool] = await untilPools(name, ['eth0 2']);
      const [pod] = await pods.ofApp('i17', 1);
      expect(pod?.nics.map(({ pool }) => pool)).toEqual([pool?.metadata.name]);
      await remove('deployment', name);
      await untilPools(name, []);
    },
    seconds,
  );

  it(
    'I00018: has a pool whose addresses nobody else can change',
    async () => {
      await cluster.stack.apply(deployment('i18', 0, from('underlay4', number('2'))));
      const [pool] = await untilPools('i18', ['eth0 2']);
      const patch = JSON.stringify({ spec: { ips: ['10.70.29.1-10.70.29.9'] } });
      await expect(
        cluster.stack.kubectl('patch', 'spiderippool', pool?.metadata.name ?? '', '--type=merge', '-p', patch),
      ).rejects.toThrow('denied the request');
      await remove('deployment', 'i18');
    },
    seconds,
  );

  it(
    'I00020: keeps its surplus to itself',
    async () => {
      await cluster.stack.apply(deployment('i20-first', 1, from('tiny', number('+2'))));
      const [pool] = await untilPools('i20-first', ['eth0 3']);
      await pods.ofApp('i20-first', 1);
      const named = { 'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: [pool?.metadata.name] }) };
      await cluster.stack.apply(
        deployment('i20-second', 1, from('tiny', number('1'))),
        sleepingPod('i20-thief', named),
      );
      await pods.untilRefused('i20-thief', new RegExp(pool?.metadata.name ?? 'there is no pool'));
      expect(await poolsOfApp('i20-second')).toEqual([]);
      const control = new Client({ connection: cluster.temporal.connection, namespace: controlNamespace });
      const run = control.workflow.getHandle('pool/default/Deployment/i20-second/eth0/4');
      await eventually('It waits for its Subnet', 60, async () => {
        const phase = String((await run.describe()).searchAttributes['NetPhase']);
        return phase === 'WaitingForSubnet' ? { value: true } : { state: phase };
      });
      await remove('deployment', 'i20-first', 'i20-second');
    },
    seconds,
  );

  it(
    'I00022: does not suffer from what somebody made up in the record of its Subnet',
    async () => {
      const status = {
        controlledIPPools: JSON.stringify({
          ghost: { ips: ['10.74.0.1-10.74.0.50'] },
          auto: { ips: ['10.74.0.51-10.74.0.99'], application: 'apps_v1_Deployment_default_ghost' },
        }),
        allocatedIPCount: 99,
      };
      const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
      await cluster.stack.kubectl('patch', 'spidersubnet', 'record', ...patch);
      await cluster.stack.apply(deployment('i22', 0, from('record', number('4'))));
      await untilPools('i22', ['eth0 4'], 90);
      await eventually('Only what is true is recorded', 60, async () => {
        const found = await allocatedOf('record');
        return found?.allocatedIPCount === 4 ? { value: true } : { state: found?.controlledIPPools ?? '' };
      });
      await remove('deployment', 'i22');
    },
    seconds,
  );

  it(
    'I00023: is needed: a pod of its own gets no pool',
    async () => {
      await cluster.stack.apply(sleepingPod('i23', from('underlay4')));
      await pods.untilRefused('i23', /controller/);
    },
    seconds,
  );
});

describe('D00008: a pool of the same CIDR as a SpiderSubnet', () => {
  const pool = (name: string, cidr: string, ips: string) => ({
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name },
    spec: { subnet: cidr, ips: [ips] },
  });
  const routesOf = async (name: string): Promise<string> => await pods.exec(await pods.one(name), 'ip', 'route');
  const fromPool = (name: string) => ({ 'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: [name] }) });

  it(
    'inherits gateway and routes when it comes second',
    async () => {
      await cluster.stack.apply(pool('d8-second', '10.75.0.0/24', '10.75.0.5'));
      await cluster.stack.apply(sleepingPod('d8-second', fromPool('d8-second')));
      const routes = await routesOf('d8-second');
      expect(routes).toContain('default via 10.75.0.254 dev eth0');
      expect(routes).toContain('10.201.0.0/16 via 10.75.0.253 dev eth0');
    },
    seconds,
  );

  it(
    'inherits gateway and routes when it was there first',
    async () => {
      await cluster.stack.apply(pool('d8-first', '10.76.0.0/24', '10.76.0.5'));
      await cluster.stack.apply(
        subnet('second', '10.76.0.0/24', ['10.76.0.1-10.76.0.99'], {
          gateway: '10.76.0.254',
          routes: [toOffice('10.76.0.253')],
        }),
      );
      await eventually('The pool is adopted', 60, async () => {
        const path = `${group}/spiderippools/d8-first`;
        const { spec } = await cluster.api.request<SpiderIPPool>({ method: 'GET', path, timeoutMs: 5000 });
        return spec.gateway === '10.76.0.254' ? { value: true } : { state: `gateway ${spec.gateway}` };
      });
      await sleep(poolMemoryMs); // a node may have read the pool before that
      await cluster.stack.apply(sleepingPod('d8-first', fromPool('d8-first')));
      const routes = await routesOf('d8-first');
      expect(routes).toContain('default via 10.76.0.254 dev eth0');
      expect(routes).toContain('10.201.0.0/16 via 10.76.0.253 dev eth0');
      await cluster.stack.kubectl('delete', 'pod', 'd8-first', 'd8-second', '--wait=true');
      await cluster.stack.kubectl('delete', 'spiderippool', 'd8-first', 'd8-second', '--wait=true');
    },
    seconds,
  );
});

describe('an application of a third party', () => {
  const owner = async (kind: string, name: string, spec: object = {}) => {
    const apiVersion = 'apps.kruise.io/v1alpha1';
    await cluster.stack.apply({ apiVersion, kind, metadata: { name, namespace: 'default' }, spec });
    const plural = `${kind.toLowerCase()}s.apps.kruise.io`;
    const uid = await cluster.stack.kubectl('get', plural, name, '-o', 'jsonpath={.metadata.uid}');
    return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
  };
  const ownedPod = (name: string, app: string, annotations: Annotations, by: object) => {
    const { metadata, ...rest } = sleepingPod(name, annotations, { labels: { app } });
    return { ...rest, metadata: { ...metadata, ownerReferences: [by] } };
  };

  it(
    'T00001: gets addresses from the pools that its pods name',
    async () => {
      await cluster.stack.apply({
        apiVersion: 'spiderpool.spidernet.io/v2beta1',
        kind: 'SpiderIPPool',
        metadata: { name: 't1' },
        spec: { subnet: underlay.v4.subnet, gateway: underlay.v4.gateway, ips: ['10.70.28.1-10.70.28.9'] },
      });
      const named = { 'ipam.spidernet.io/ippool': '{"ipv4": ["t1"]}' };
      const clones = await owner('CloneSet', 't1');
      const set = await owner('StatefulSet', 't1');
      await cluster.stack.apply(ownedPod('t1-clone', 't1', named, clones), ownedPod('t1-0', 't1', named, set));
      expect((await pods.ofApp('t1', 2)).flatMap(poolsOf)).toEqual(['eth0 t1', 'eth0 t1']);
      await remove('clonesets.apps.kruise.io', 't1');
      await remove('statefulsets.apps.kruise.io', 't1');
    },
    seconds,
  );

  it(
    'T00002, T00004, T00005: has a pool of a fixed number, kept or gone with it, and none of another kind',
    async () => {
      const annotations = from('underlay4', { ...number('3'), ...kept });
      const first = await owner('CloneSet', 't2');
      await cluster.stack.apply(ownedPod('t2-a', 't2', annotations, first));
      const [pool] = await untilPools('t2', ['eth0 3']);
      expect((await pods.ofApp('t2', 1)).flatMap(poolsOf)).toEqual([`eth0 ${pool?.metadata.name}`]);
      await cluster.stack.kubectl('delete', 'clonesets.apps.kruise.io', 't2', '--cascade=foreground', '--wait=true');

      const other = await owner('StatefulSet', 't2');
      await cluster.stack.apply(ownedPod('t2-0', 't2', from('underlay4', number('1')), other));
      await untilPools('t2', ['eth0 1', 'eth0 3']);
      await cluster.stack.kubectl('delete', 'statefulsets.apps.kruise.io', 't2', '--cascade=foreground', '--wait=true');
      await untilPools('t2', ['eth0 3'], 120);

      const again = await owner('CloneSet', 't2');
      await cluster.stack.apply(ownedPod('t2-b', 't2', from('underlay4', number('2')), again));
      const [taken] = await untilPools('t2', ['eth0 2']);
      expect(taken?.metadata.uid).toBe(pool?.metadata.uid);
      await pods.ofApp('t2', 1);
      await cluster.stack.kubectl('delete', 'clonesets.apps.kruise.io', 't2', '--cascade=foreground', '--wait=true');
      await untilPools('t2', [], 120);
    },
    seconds,
  );

  it(
    'has as many addresses as it wants replicas and more, where the API can say how many those are',
    async () => {
      const clones = await owner('CloneSet', 't3', { replicas: 4 });
      await cluster.stack.apply(ownedPod('t3-a', 't3', from('underlay4', number('+2')), clones));
      await untilPools('t3', ['eth0 6']);
      await remove('clonesets.apps.kruise.io', 't3');
      await untilPools('t3', [], 120);
    },
    seconds,
  );
});

describe('I00006, I00008: thirty applications at once', () => {
  const names = Array.from({ length: 30 }, (_, index) => `i6-${index}`);
  const [grown, emptied] = [names.slice(0, 15), names.slice(15)];
  /** How many of them have one pool of so many addresses. */
  const untilSized = (sizes: ReadonlyMap<string, number>): Promise<true> =>
    eventually('Every application has its pool', 180, async () => {
      const query = { labelSelector: automaticPoolLabels.applicationName };
      const path = `${group}/spiderippools`;
      const { items } = await cluster.api.request<{ items: readonly SpiderIPPool[] }>({
        method: 'GET',
        path,
        query,
        timeoutMs: 5000,
      });
      const found = items
        .filter(({ metadata }) => metadata.labels?.[automaticPoolLabels.applicationName]?.startsWith('i6-'))
        .map((pool) => `${pool.metadata.labels?.[automaticPoolLabels.applicationName]} ${sizeOf(pool)}`)
        .toSorted();
      const wanted = [...sizes].map(([name, size]) => `${name} ${size}`).toSorted();
      return found.join() === wanted.join() ? { value: true } : { state: found.join(', ') };
    });
  const scale = (some: readonly string[], replicas: number): Promise<string> =>
    cluster.stack.kubectl('scale', 'deployment', ...some, `--replicas=${replicas}`);

  it('are made, scaled up and down and deleted: each pool follows, no address is given twice, nothing stays', async () => {
    await cluster.stack.apply(...names.map((name) => deployment(name, 1, from('underlay4'))));
    await Promise.all([scale(grown, 2), scale(emptied, 0)]);
    const sizes = new Map([...grown.map((name) => [name, 3] as const), ...emptied.map((name) => [name, 1] as const)]);
    await untilSized(sizes);
    const running: RunningPod[] = [];
    for (const name of grown) running.push(...(await pods.ofApp(name, 2, 180)));
    expect(new Set(running.flatMap(({ nics }) => nics.map(({ address }) => address))).size).toBe(30);
    await remove('deployment', ...names);
    await untilSized(new Map());
  }, 600_000);
});

it(
  'I00006: in the end the Subnets have given nothing',
  async () => {
    await eventually('Nothing is recorded', 120, async () => {
      const left = await Promise.all(
        subnets.map(async ({ metadata: { name } }) => `${name} ${(await allocatedOf(name))?.controlledIPPools ?? ''}`),
      );
      const manual = 'underlay4 {"t1":{"ips":["10.70.28.1-10.70.28.9"]}}';
      const odd = left.filter((line) => !line.endsWith(' ') && line !== manual);
      return odd.length === 0 ? { value: true } : { state: odd.join('; ') };
    });
  },
  seconds,
);
