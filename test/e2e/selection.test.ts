import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deployment, underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { orbweaverNetwork } from '../../deploy/dev/multus.ts';
import { poolsOf, RunningPods, sleepingPod } from './running-pods.ts';
import { TestCluster } from './test-cluster.ts';

/**
 * Which pools a pod gets, through kubelet, containerd and Multus. Everything is begun at once, and each test waits for its own
 * pods; names begin with the id of the case (spec/ipam.md §11).
 */
let cluster: TestCluster;
let pods: RunningPods;
beforeAll(async () => {
  cluster = await TestCluster.start();
  pods = new RunningPods(cluster);
  const { stack } = cluster;
  await stack.kubectl('label', 'node', 'node-a', 'rack=7');
  await stack.kubectl('label', 'node', 'node-b', 'rack=8');
  await stack.apply(...namespaces, ...networks, ...pools);
  for (const { metadata } of namespaces) {
    await stack.kubectl('wait', '--for=create', 'serviceaccount/default', '-n', metadata.name, '--timeout=30s');
  }
  await cluster.remember();
  await stack.apply(...workloads);
}, 180_000);
afterAll(() => cluster?.stop(), 60_000);

/** Twenty addresses of their own, which no other pool has. */
const v4 = (name: string, third: number, spec: object = {}) =>
  underlayPool(name, 4, [`10.70.${third}.1-10.70.${third}.20`], { default: false, ...spec });
const v6 = (name: string, group: string, spec: object = {}) =>
  underlayPool(name, 6, [`fd00:70::${group}:1-fd00:70::${group}:20`], { default: false, ...spec });

const namespace = (name: string, { labels = {}, annotations = {} }: { labels?: object; annotations?: object }) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels, annotations },
});
const namespaces = [
  namespace('a00004', { annotations: { 'ipam.spidernet.io/default-ipv4-ippool': '["a00004-namespace"]' } }),
  namespace('a00006', {
    annotations: {
      'ipam.spidernet.io/default-ipv4-ippool': '["a00006-*"]',
      'ipam.spidernet.io/default-ipv6-ippool': '["a00006-v6?"]',
    },
  }),
  namespace('l00003', { labels: { team: 'pay' } }),
  namespace('l00009-x', {
    labels: { shared: 'x' },
    annotations: { 'ipam.spidernet.io/default-ipv4-ippool': '["l00009"]' },
  }),
  namespace('l00009-y', {
    labels: { shared: 'y' },
    annotations: { 'ipam.spidernet.io/default-ipv4-ippool': '["l00009"]' },
  }),
];

/** A second network on the same wire, whose interfaces carry no default route. */
const second = { ...orbweaverNetwork, name: 'second', clean_gateway: true };
const networks = ['second', 'third'].map((name) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name, namespace: 'default' },
  spec: { config: JSON.stringify({ ...second, name }) },
}));

const selects = (matchLabels: object) => ({ matchLabels });
const pools = [
  v4('cluster-v4', 10, { default: true }),
  v6('cluster-v6', '10', { default: true }),
  v4('a00002', 11),
  v4('a00004-pod', 12),
  v4('a00004-namespace', 13),
  v4('a00005-nic', 14),
  v4('a00005-plain', 15),
  v4('a00006-v4', 16),
  v6('a00006-v6a', '16'),
  v4('a00010-eth0', 17),
  v4('a00010-net1', 18),
  v4('a00011', 19),
  underlayPool('a00016-one', 4, ['10.70.20.1'], { default: false }),
  underlayPool('a00016-three', 4, ['10.70.21.1-10.70.21.3'], { default: false }),
  v4('e00009-v4', 22),
  v6('e00009-v6', '22'),
  v4('m00036', 23),
  v4('l00001', 24, { nodeAffinity: selects({ rack: '7' }) }),
  v4('l00003', 25, { namespaceAffinity: selects({ team: 'pay' }) }),
  v4('l00005', 26, { podAffinity: selects({ tier: 'one' }) }),
  v4('l00009', 27, {
    namespaceAffinity: { matchExpressions: [{ key: 'shared', operator: 'In', values: ['x', 'y'] }] },
  }),
  v4('d00009-eth0', 28, { multusName: ['underlay'] }), // in our own namespace
  v4('d00009-net1', 29, { multusName: ['default/second'] }),
  v4('d00010', 30, { multusName: ['default/third'] }),
  v4('d00011', 31, { nodeName: ['node-a'] }),
  v4('d00013', 32, { nodeName: ['node-a'], nodeAffinity: selects({ rack: '8' }) }),
  v4('d00014', 33, { namespaceName: ['l00003'] }),
  v4('d00016', 34, { namespaceName: ['l00003'], namespaceAffinity: selects({ team: 'nobody' }) }),
];

const ippool = (ipv4: readonly string[] = [], ipv6: readonly string[] = []) => ({
  'ipam.spidernet.io/ippool': JSON.stringify({ ...(ipv4.length > 0 && { ipv4 }), ...(ipv6.length > 0 && { ipv6 }) }),
});
const ippools = (...nics: readonly object[]) => ({ 'ipam.spidernet.io/ippools': JSON.stringify(nics) });
const onSecond = { 'k8s.v1.cni.cncf.io/networks': 'default/second' };
const compact = [{ name: 'second', namespace: 'default', interface: 'net1' }];

const workloads = [
  sleepingPod('a00002', {
    ...ippool(['a00002']),
    'ipam.spidernet.io/routes': '[{"dst": "10.200.0.0/16", "gw": "10.70.0.9"}]',
  }),
  sleepingPod('a00003-missing', ippool(['no-such-pool'])),
  sleepingPod('a00003-type', { 'ipam.spidernet.io/ippool': '{"ipv4": "a00002"}' }),
  sleepingPod('a00003-key', { 'ipam.spidernet.io/ippool': '{"IPv44": ["a00002"]}' }),
  sleepingPod('a00003-list', { 'ipam.spidernet.io/ippools': '{"ipv4": ["a00002"]}' }),
  sleepingPod('a00003-default-route', {
    'ipam.spidernet.io/ippools': '[{"interface": "eth0", "ipv4": ["a00002"], "cleangateway": "no"}]',
  }),
  sleepingPod('a00003-route', {
    ...ippool(['a00002']),
    'ipam.spidernet.io/routes': '[{"dst": "nowhere", "gw": "10.70.0.9"}]',
  }),
  sleepingPod('a00004-pod', ippool(['a00004-pod']), { namespace: 'a00004' }),
  sleepingPod('a00004-namespace', {}, { namespace: 'a00004' }),
  sleepingPod('a00004-cluster'),
  sleepingPod('a00005', { ...ippools({ interface: 'eth0', ipv4: ['a00005-n*'] }), ...ippool(['a00005-plain']) }),
  sleepingPod('a00006', {}, { namespace: 'a00006' }),
  sleepingPod('a00010-named', {
    ...onSecond,
    ...ippools(
      { interface: 'net1', ipv4: ['a00010-net1'], cleangateway: true },
      { interface: 'eth0', ipv4: ['a00010-eth0'] },
    ),
  }),
  sleepingPod('a00010-unnamed', {
    ...onSecond,
    ...ippools({ ipv4: ['a00010-eth0'] }, { ipv4: ['a00010-net1'], cleangateway: true }),
  }),
  sleepingPod('a00011-clean', ippools({ interface: 'eth0', ipv4: ['a00011'], cleangateway: true })),
  sleepingPod('a00011-kept', ippools({ interface: 'eth0', ipv4: ['a00011'], cleangateway: false })),
  sleepingPod('a00013', { ...onSecond, ...ippools({ interface: 'eth0', ipv4: ['a00010-eth0'] }) }),
  sleepingPod(
    'a00014',
    ippools({ interface: 'eth0', ipv4: ['a00010-eth0'] }, { interface: 'eth0', ipv4: ['a00010-net1'] }),
  ),
  deployment('a00016', 2, {
    ...onSecond,
    ...ippools(
      { interface: 'eth0', ipv4: ['a00016-three'] },
      { interface: 'net1', ipv4: ['a00016-one'], cleangateway: true },
    ),
  }),
  sleepingPod('e00009-ippool', ippool(['e00009-v4'])),
  sleepingPod('e00009-ippools', ippools({ interface: 'eth0', ipv6: ['e00009-v6'] })),
  sleepingPod('m00036', { 'k8s.v1.cni.cncf.io/networks': JSON.stringify(compact), ...ippool(['m00036']) }),
  sleepingPod('m00037', { 'k8s.v1.cni.cncf.io/networks': JSON.stringify(compact, null, 2), ...ippool(['m00036']) }),
  sleepingPod('l00001', ippool(['l00001']), { node: 'node-a' }),
  sleepingPod('l00002', ippool(['l00001']), { node: 'node-b' }),
  sleepingPod('l00003', ippool(['l00003']), { namespace: 'l00003' }),
  sleepingPod('l00004', ippool(['l00003'])),
  sleepingPod('l00005', ippool(['l00005']), { labels: { tier: 'one' } }),
  sleepingPod('l00006', ippool(['l00005']), { labels: { tier: 'two' } }),
  sleepingPod('l00009', {}, { namespace: 'l00009-x' }),
  sleepingPod('l00009', {}, { namespace: 'l00009-y' }),
  sleepingPod('d00009-named', {
    ...onSecond,
    ...ippools(
      { interface: 'eth0', ipv4: ['d00009-*'] },
      { interface: 'net1', ipv4: ['d00009-*'], cleangateway: true },
    ),
  }),
  sleepingPod('d00009-unnamed', {
    ...onSecond,
    ...ippools({ ipv4: ['d00009-*'] }, { ipv4: ['d00009-*'], cleangateway: true }),
  }),
  sleepingPod('d00010', ippool(['d00010'])),
  sleepingPod('d00011', ippool(['d00011']), { node: 'node-a' }),
  sleepingPod('d00012', ippool(['d00011']), { node: 'node-b' }),
  sleepingPod('d00013', ippool(['d00013']), { node: 'node-a' }),
  sleepingPod('d00014', ippool(['d00014']), { namespace: 'l00003' }),
  sleepingPod('d00015', ippool(['d00014'])),
  sleepingPod('d00016', ippool(['d00016']), { namespace: 'l00003' }),
];

const seconds = 300_000;

describe('the level that decides', () => {
  it(
    'A00004: pod annotation beats namespace annotation, which beats the cluster default',
    async () => {
      expect(poolsOf(await pods.one('a00004-pod', 'a00004'))).toEqual(['eth0 a00004-pod']);
      expect(poolsOf(await pods.one('a00004-namespace', 'a00004'))).toEqual(['eth0 a00004-namespace']);
      expect(poolsOf(await pods.one('a00004-cluster'))).toEqual(['eth0 cluster-v4', 'eth0 cluster-v6']);
    },
    seconds,
  );

  it(
    'A00005, A00015: annotation ippools beats ippool, and its wildcard finds the pool',
    async () => {
      expect(poolsOf(await pods.one('a00005'))).toEqual(['eth0 a00005-nic']);
    },
    seconds,
  );

  it(
    'A00006, A00007: the namespace’s wildcards find its pools, of the family that each list is for',
    async () => {
      expect(poolsOf(await pods.one('a00006', 'a00006'))).toEqual(['eth0 a00006-v4', 'eth0 a00006-v6a']);
    },
    seconds,
  );

  it(
    'E00009: a pod whose annotation names one family gets that family only',
    async () => {
      expect(poolsOf(await pods.one('e00009-ippool'))).toEqual(['eth0 e00009-v4']);
      expect(poolsOf(await pods.one('e00009-ippools'))).toEqual(['eth0 e00009-v6']);
    },
    seconds,
  );

  it.each([
    ['missing', /"no-such-pool" does not exist\. Correct these pools, or name others in pod annotation/],
    ['type', /pod annotation ipam\.spidernet\.io\/ippool: "ipv4" is not a list of pool names\. Found: .*Write it as/],
    ['key', /annotation ipam\.spidernet\.io\/ippool: it names no pool\. Found: {"IPv44": \["a00002"\]}\. Write it as/],
    ['list', /annotation ipam\.spidernet\.io\/ippools: it is not a list\. Found: {"ipv4": \["a00002"\]}\. Write it as/],
    ['default route', /ippools: "cleangateway" of item 0 is neither true nor false\. Found: .*"no".*\. Write it as/],
    [
      'route',
      /annotation ipam\.spidernet\.io\/routes: "dst" of item 0 is not a CIDR\. Found: .*"nowhere".*\. Write it as/,
    ],
  ])(
    'A00003: bad input (%s) is told in the pod’s event: what is wrong, what was found, what to do',
    async (kind, told) => {
      await pods.untilRefused(`a00003-${kind.replace(' ', '-')}`, told);
    },
    seconds,
  );
});

describe('several NICs', () => {
  it.each(['named', 'unnamed'])(
    'A00010: annotation ippools with %s NICs gives each its own pool',
    async (mode) => {
      expect(poolsOf(await pods.one(`a00010-${mode}`))).toEqual(['eth0 a00010-eth0', 'net1 a00010-net1']);
    },
    seconds,
  );

  it(
    'A00011: cleangateway decides about the default route of its NIC',
    async () => {
      expect(await pods.exec(await pods.one('a00011-clean'), 'ip', 'route')).not.toContain('default');
      expect(await pods.exec(await pods.one('a00011-kept'), 'ip', 'route')).toContain('default via 10.70.0.1 dev eth0');
    },
    seconds,
  );

  it(
    'A00013: an annotation without item for one of the NICs is told in the pod’s event',
    async () => {
      await pods.untilRefused('a00013', /it has no item for NIC net1\. Found: /);
    },
    seconds,
  );

  it(
    'A00014: two items for one NIC are told in the pod’s event',
    async () => {
      await pods.untilRefused('a00014', /NIC "eth0" has two items\. Found: /);
    },
    seconds,
  );

  it(
    'A00016: a pod whose second NIC gets no address does not drain the pool of the first',
    async () => {
      const failing = await eventually('One of two pods fails twice', 120, async () => {
        const { items } = await cluster.api.request<{ items: readonly { metadata: { name: string } }[] }>({
          method: 'GET',
          path: '/api/v1/namespaces/default/pods',
          query: { labelSelector: 'app=a00016' },
          timeoutMs: 5000,
        });
        const told = await Promise.all(items.map(({ metadata }) => pods.refusals(metadata.name)));
        const seen = told.flat().filter(({ message }) => message.includes('pool "a00016-one": the only one is in use'));
        const tries = seen.reduce((sum, { count }) => sum + count, 0);
        return tries >= 2 ? { value: items } : { state: `${tries} tries of ${items.length} pods` };
      });
      expect(failing).toHaveLength(2);
      const used = (await cluster.claims()).filter(({ spec }) => spec.pool.startsWith('a00016'));
      expect(used.filter(({ spec }) => spec.pool === 'a00016-one')).toHaveLength(1);
      // One for the pod that runs; the other has none, or the one that is kept for its next try.
      expect(used.filter(({ spec }) => spec.pool === 'a00016-three').length).toBeLessThanOrEqual(2);
      await cluster.stack.kubectl('delete', 'deployment', 'a00016');
    },
    seconds,
  );

  it.each([
    ['M00036', 'compact'],
    ['M00037', 'pretty'],
  ])(
    '%s, §12.3 #3: with a %s annotation of Multus both NICs get an address of their own from one pool',
    async (id) => {
      const pod = await pods.one(id.toLowerCase());
      expect(poolsOf(pod)).toEqual(['eth0 m00036', 'net1 m00036']);
      expect(new Set(pod.nics.map(({ address }) => address)).size).toBe(2);
    },
    seconds,
  );

  it.each(['named', 'unnamed'])(
    'D00009: multusName chooses among pools, for %s NICs',
    async (mode) => {
      expect(poolsOf(await pods.one(`d00009-${mode}`))).toEqual(['eth0 d00009-eth0', 'net1 d00009-net1']);
    },
    seconds,
  );

  it(
    'D00010: a pool for other networks is told in the pod’s event',
    async () => {
      await pods.untilRefused(
        'd00010',
        /"d00010" serves other networks: "orbweaver-system\/underlay" of NIC eth0 is not in its multusName \(default\/third\)/,
      );
    },
    seconds,
  );
});

describe('affinity', () => {
  it.each([
    ['L00001', 'node labels', 'default', 'l00001'],
    ['L00003', 'namespace labels', 'l00003', 'l00003'],
    ['L00005', 'pod labels', 'default', 'l00005'],
    ['D00011', 'nodeName', 'default', 'd00011'],
    ['D00013', 'nodeName, whatever nodeAffinity says', 'default', 'd00013'],
    ['D00014', 'namespaceName', 'l00003', 'd00014'],
    ['D00016', 'namespaceName, whatever namespaceAffinity says', 'l00003', 'd00016'],
  ])(
    '%s: a pool that matches by %s is used',
    async (id, _, namespace, pool) => {
      expect(poolsOf(await pods.one(id.toLowerCase(), namespace))).toEqual([`eth0 ${pool}`]);
    },
    seconds,
  );

  it.each([
    ['L00002', /the labels of node "node-b" do not match its nodeAffinity \(rack=7\)/],
    ['L00004', /the labels of namespace "default" do not match its namespaceAffinity \(team=pay\)/],
    ['L00006', /the labels of pod default\/l00006 do not match its podAffinity \(tier=one\)/],
    ['D00012', /node name "node-b" is not in its nodeName \(node-a\)/],
    ['D00015', /namespace name "default" is not in its namespaceName \(l00003\)/],
  ])(
    '%s: a pool that does not match is told in the pod’s event',
    async (id, told) => {
      await pods.untilRefused(id.toLowerCase(), told);
    },
    seconds,
  );

  it(
    'L00009: one pool serves two namespaces',
    async () => {
      expect(poolsOf(await pods.one('l00009', 'l00009-x'))).toEqual(['eth0 l00009']);
      expect(poolsOf(await pods.one('l00009', 'l00009-y'))).toEqual(['eth0 l00009']);
    },
    seconds,
  );
});

describe('routes of the pod', () => {
  it(
    'A00002: the annotation’s route is in the pod’s table, beside the pool’s',
    async () => {
      const routes = await pods.exec(await pods.one('a00002'), 'ip', 'route');
      expect(routes).toContain('10.200.0.0/16 via 10.70.0.9 dev eth0');
      expect(routes).toContain('default via 10.70.0.1 dev eth0');
    },
    seconds,
  );
});

it(
  'gives every address back when the pods are gone',
  async () => {
    await cluster.stack.kubectl('delete', 'pods,deployments', '--all', '--all-namespaces', '--wait=true');
    await cluster.untilAsRemembered(60);
  },
  seconds,
);
