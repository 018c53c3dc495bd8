import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { deployment, underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { orbweaverNetwork } from '../../deploy/dev/multus.ts';
import { poolsOf, type RunningPod, RunningPods, sleepingContainer, sleepingPod } from './running-pods.ts';
import { TestCluster } from './test-cluster.ts';

/** Addresses of every kind of workload, and of pools that change. Names begin with the id of the case (spec/ipam.md §11). */
let cluster: TestCluster;
let pods: RunningPods;
beforeAll(async () => {
  cluster = await TestCluster.start();
  pods = new RunningPods(cluster);
  await cluster.stack.apply(second, ...pools);
  await cluster.remember();
}, 180_000);
afterAll(() => cluster?.stop(), 60_000);

const seconds = 300_000;
const v4 = (name: string, third: number, spec: object = {}) =>
  underlayPool(name, 4, [`10.70.${third}.1-10.70.${third}.100`], { default: false, ...spec });
const v6 = (name: string, group: string, spec: object = {}) =>
  underlayPool(name, 6, [`fd00:70::${group}:1-fd00:70::${group}:ff`], { default: false, ...spec });
const pools = [
  v4('e00001-v4', 40),
  v6('e00001-v6', '40'),
  ...['e00002', 'e00003', 'e00004', 'e00005', 'e00006', 'e00007'].map((id, index) => v4(id, 41 + index)),
  v4('e00008', 48, { excludeIPs: ['10.70.48.1-10.70.48.100'] }),
  v4('l00007-a', 50, { nodeName: ['node-a'] }),
  v4('l00007-b', 51, { nodeName: ['node-b'] }),
  v4('p00002-eth0', 52),
  v4('p00002-net1', 53),
];
const second = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name: 'second', namespace: 'default' },
  spec: { config: JSON.stringify({ ...orbweaverNetwork, name: 'second', clean_gateway: true }) },
};

const ippool = (ipv4: readonly string[], ipv6: readonly string[] = []) => ({
  'ipam.spidernet.io/ippool': JSON.stringify({ ...(ipv4.length > 0 && { ipv4 }), ...(ipv6.length > 0 && { ipv6 }) }),
});
const template = (id: string) => ({
  metadata: { labels: { app: id }, annotations: ippool([id]) },
  spec: { terminationGracePeriodSeconds: 0, containers: [sleepingContainer('main')] },
});
const selector = (id: string) => ({ matchLabels: { app: id } });
const workload = (apiVersion: string, kind: string, id: string, spec: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name: id, namespace: 'default' },
  spec: { selector: selector(id), template: template(id), ...spec },
});

const statusOf = async (pool: string): Promise<NonNullable<SpiderIPPool['status']>> => {
  const path = `/apis/spiderpool.spidernet.io/v2beta1/spiderippools/${pool}`;
  const { status } = await cluster.api.request<SpiderIPPool>({ method: 'GET', path, timeoutMs: 5000 });
  return status ?? {};
};

/** The pool's published record names these pods and nobody else. */
async function untilRecorded(pool: string, running: readonly RunningPod[], withinSeconds = 30): Promise<void> {
  const wanted = running.map(({ namespace, name }) => `${namespace}/${name}`).toSorted();
  await eventually(`${pool} shows ${wanted.join() || 'nobody'}`, withinSeconds, async () => {
    const { allocatedIPs, allocatedIPCount } = await statusOf(pool);
    const records = Object.values(JSON.parse(allocatedIPs ?? '{}') as Record<string, { pod: string }>);
    const found = records.map(({ pod }) => pod).toSorted();
    const isSame = found.join() === wanted.join() && (allocatedIPCount ?? 0) === wanted.length;
    return isSame ? { value: true } : { state: `${found.join()} (${allocatedIPCount})` };
  });
}

describe('a pod', () => {
  it(
    'E00001: gets an address of IPv4, IPv6 or both, which its pools record and get back',
    async () => {
      await cluster.stack.apply(
        sleepingPod('e00001-v4', ippool(['e00001-v4'])),
        sleepingPod('e00001-v6', ippool([], ['e00001-v6'])),
        sleepingPod('e00001-both', ippool(['e00001-v4'], ['e00001-v6'])),
      );
      const four = await pods.one('e00001-v4');
      const six = await pods.one('e00001-v6');
      const both = await pods.one('e00001-both');
      expect([four, six, both].map(poolsOf)).toEqual([
        ['eth0 e00001-v4'],
        ['eth0 e00001-v6'],
        ['eth0 e00001-v4', 'eth0 e00001-v6'],
      ]);
      await untilRecorded('e00001-v4', [four, both]);
      await untilRecorded('e00001-v6', [six, both]);
      await cluster.stack.kubectl('delete', 'pod', 'e00001-v4', 'e00001-v6', 'e00001-both', '--wait=true');
      await untilRecorded('e00001-v4', []);
      await untilRecorded('e00001-v6', []);
    },
    seconds,
  );

  it(
    'E00007, A00008: with a very long manifest and several containers gets its address and returns it',
    async () => {
      const { metadata, spec } = sleepingPod('e00007', { ...ippool(['e00007']), long: 'x'.repeat(200_000) });
      const containers = ['one', 'two', 'three', 'four'].map(sleepingContainer);
      await cluster.stack.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, containers } });
      const pod = await pods.one('e00007');
      expect(poolsOf(pod)).toEqual(['eth0 e00007']);
      await untilRecorded('e00007', [pod]);
      await cluster.stack.kubectl('delete', 'pod', 'e00007', '--wait=true');
      await untilRecorded('e00007', []);
    },
    seconds,
  );
});

describe('workloads of every kind, at once', () => {
  const count = 2;
  const kinds = [
    ['E00002', 'Deployment', workload('apps/v1', 'Deployment', 'e00002', { replicas: count })],
    ['E00003', 'StatefulSet', workload('apps/v1', 'StatefulSet', 'e00003', { replicas: count, serviceName: 'e00003' })],
    ['E00004', 'DaemonSet', workload('apps/v1', 'DaemonSet', 'e00004')],
    ['E00005', 'Job', job('e00005', count)],
    ['E00006', 'ReplicaSet', workload('apps/v1', 'ReplicaSet', 'e00006', { replicas: count })],
  ] as const;
  beforeAll(() => cluster.stack.apply(...kinds.map(([, , object]) => object)), seconds);

  it.each(kinds.map(([id, kind]) => [id, kind]))(
    '%s: pods of a %s get addresses, and return them',
    async (id, kind) => {
      const name = id.toLowerCase();
      const running = await pods.ofApp(name, count);
      expect(running.map(poolsOf)).toEqual([[`eth0 ${name}`], [`eth0 ${name}`]]);
      expect(new Set(running.flatMap(({ nics }) => nics.map(({ address }) => address))).size).toBe(count);
      await untilRecorded(name, running);
      await cluster.stack.kubectl('delete', kind.toLowerCase(), name, '--cascade=foreground', '--wait=true');
      await untilRecorded(name, []);
    },
    seconds,
  );

  function job(id: string, parallelism: number): object {
    const { metadata, spec } = template(id);
    return {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: id, namespace: 'default' },
      spec: { parallelism, template: { metadata, spec: { ...spec, restartPolicy: 'Never' } } },
    };
  }
});

describe('pools of nodes', () => {
  it(
    'L00007: each pod of a DaemonSet has an address of its node’s pool',
    async () => {
      const { metadata, spec } = template('l00007');
      const annotations = ippool(['l00007-*']);
      await cluster.stack.apply(
        workload('apps/v1', 'DaemonSet', 'l00007', { template: { metadata: { ...metadata, annotations }, spec } }),
      );
      const running = await pods.ofApp('l00007', 2);
      for (const pod of running) expect(poolsOf(pod)).toEqual([`eth0 l00007-${pod.node === 'node-a' ? 'a' : 'b'}`]);
      await cluster.stack.kubectl('delete', 'daemonset', 'l00007', '--cascade=foreground', '--wait=true');
      await Promise.all(['l00007-a', 'l00007-b'].map((pool) => untilRecorded(pool, [])));
    },
    seconds,
  );
});

describe('a pool that changes', () => {
  it(
    'D00002: a new gateway and new routes are those of new pods; a pod that runs keeps what it has',
    async () => {
      await cluster.stack.apply(v4('d00002', 60), sleepingPod('d00002-before', ippool(['d00002'])));
      const routesOf = async (name: string) => await pods.exec(await pods.one(name), 'ip', 'route');
      const before = await routesOf('d00002-before');
      expect(before).toContain('default via 10.70.0.1 dev eth0');
      const routes = [{ dst: '10.201.0.0/16', gw: '10.70.0.7' }];
      await cluster.stack.apply(
        v4('d00002', 60, { gateway: '10.70.0.2', routes }),
        sleepingPod('d00002-after', ippool(['d00002'])),
      );
      // Pools are read again within 2 s: a pod that starts sooner may still see the earlier edition.
      const after = await eventually('A pod with the new routes', 60, async () => {
        const found = await routesOf('d00002-after');
        if (found.includes('10.201.0.0/16')) return { value: found };
        await cluster.stack.kubectl('delete', 'pod', 'd00002-after', '--wait=true');
        await cluster.stack.apply(sleepingPod('d00002-after', ippool(['d00002'])));
        return { state: found };
      });
      expect(after).toContain('10.201.0.0/16 via 10.70.0.7 dev eth0');
      expect(after).toContain('default via 10.70.0.2 dev eth0');
      expect(await routesOf('d00002-before')).toBe(before);
      await cluster.stack.kubectl('delete', 'pod', 'd00002-before', 'd00002-after', '--wait=true');
    },
    seconds,
  );

  it(
    'E00008, S00002: whose addresses are all excluded tells its pod so, which starts once one is not',
    async () => {
      await cluster.stack.apply(sleepingPod('e00008', ippool(['e00008'])));
      await pods.untilTold(
        'e00008',
        /from pool "e00008": none can be given: spec.ips is empty, or all of it is excluded/,
      );
      await cluster.stack.kubectl('patch', 'spiderippool', 'e00008', '--type=merge', '-p={"spec":{"excludeIPs":[]}}');
      expect(poolsOf(await pods.one('e00008'))).toEqual(['eth0 e00008']);
      await cluster.stack.kubectl('delete', 'pod', 'e00008', '--wait=true');
      await untilRecorded('e00008', []);
    },
    seconds,
  );

  it(
    'D00001, D00003, S00003: is edited only in ways that leave every pod what it has and no pool what is another’s',
    async () => {
      await cluster.stack.apply(
        v4('d00001', 62),
        v4('d00001-other', 63),
        v4('s00003', 64),
        sleepingPod('s00003', ippool(['s00003'])),
      );
      const edited = (pool: string, spec: object): Promise<string> =>
        cluster.stack.kubectl('patch', 'spiderippool', pool, '--type=merge', '-p', JSON.stringify({ spec }));
      await expect(edited('d00001', { ips: ['10.70.62.1-10.70.62.9', '10.70.63.5'] })).rejects.toThrow(
        'spec.ips "10.70.63.5" is given by SpiderIPPool "d00001-other" too: take it out',
      );
      await expect(edited('d00001', { gateway: '10.99.0.1' })).rejects.toThrow(/spec\.gateway "10\.99\.0\.1" is not/);
      await expect(edited('d00001', { routes: [{ dst: '10.64.0.0/10', gw: '10.99.0.1' }] })).rejects.toThrow(
        /spec\.routes\[0\]\.gw "10\.99\.0\.1" is not/,
      );
      await expect(edited('d00001', { routes: [{ dst: '0.0.0.0/0', gw: '10.70.0.2' }] })).rejects.toThrow(
        'spec.routes[0].dst "0.0.0.0/0" is the default route: name its next hop in spec.gateway',
      );
      const { nics } = await pods.one('s00003');
      const address = nics.map((nic) => nic.address).join();
      await expect(edited('s00003', { excludeIPs: [address] })).rejects.toThrow(
        `"${address}", which pod default/s00003 has: keep it`,
      );
      await cluster.stack.kubectl('delete', 'pod', 's00003', '--wait=true');
      await eventually('The address can be excluded once it is given back', 30, async () => ({
        value: await edited('s00003', { excludeIPs: [address] }),
      }));
    },
    seconds,
  );

  it('D00006: ten pools are made and deleted within half a minute', async () => {
    const names = Array.from({ length: 10 }, (_, index) => `d00006-${index}`);
    const startedAt = performance.now();
    await cluster.stack.apply(...names.map((name, index) => v4(name, 70 + index)));
    await cluster.stack.kubectl('delete', 'spiderippool', ...names, '--wait=true');
    expect((performance.now() - startedAt) / 1000).toBeLessThan(30);
  }, 60_000);

  it(
    'D00017: a very large IPv6 pool gives addresses, and its count ends at what an int64 holds',
    async () => {
      const subnet = { subnet: 'fd00:71::/64', gateway: 'fd00:71::1' };
      const huge = underlayPool('d00017', 6, ['fd00:71::2-fd00:71::ffff:ffff:ffff:ffff'], {
        default: false,
        ...subnet,
      });
      await cluster.stack.apply(huge, sleepingPod('d00017', ippool([], ['d00017'])));
      const pod = await pods.one('d00017');
      expect(poolsOf(pod)).toEqual(['eth0 d00017']);
      await untilRecorded('d00017', [pod]);
      const total = await cluster.stack.kubectl(
        'get',
        'spiderippool',
        'd00017',
        '-o',
        'jsonpath={.status.totalIPCount}',
      );
      expect(total.trim()).toBe('9223372036854775807');
      await cluster.stack.kubectl('delete', 'pod', 'd00017', '--wait=true');
    },
    seconds,
  );

  it(
    'S00001: a reserved address is not given; once the reservation is gone, it is',
    async () => {
      await cluster.stack.apply(
        {
          apiVersion: 'spiderpool.spidernet.io/v2beta1',
          kind: 'SpiderReservedIP',
          metadata: { name: 's00001' },
          spec: { ips: ['10.70.61.1-10.70.61.9'] },
        },
        underlayPool('s00001', 4, ['10.70.61.5'], { default: false }),
        sleepingPod('s00001', ippool(['s00001'])),
      );
      await eventually('An event of s00001', 60, async () => {
        const messages = (await pods.refusals('s00001')).map(({ message }) => message);
        const why = 'none can be given: spec.ips is empty, or all of it is excluded or reserved';
        return messages.some((message) => message.includes(why)) ? { value: true } : { state: messages.join('\n') };
      });
      await cluster.stack.kubectl('delete', 'spiderreservedip', 's00001');
      expect((await pods.one('s00001')).nics.map(({ address }) => address)).toEqual(['10.70.61.5']);
      await cluster.stack.kubectl('delete', 'pod', 's00001', '--wait=true');
    },
    seconds,
  );
});

describe('P00002: a Deployment of 40 pods with two NICs', () => {
  it('starts, is rebuilt and goes: all addresses differ, are recorded, and come back', async () => {
    const name = 'p00002';
    const nics = [
      { interface: 'eth0', ipv4: ['p00002-eth0'] },
      { interface: 'net1', ipv4: ['p00002-net1'], cleangateway: true },
    ];
    const annotations = {
      'k8s.v1.cni.cncf.io/networks': 'default/second',
      'ipam.spidernet.io/ippools': JSON.stringify(nics),
    };
    await cluster.stack.apply(deployment(name, 40, annotations));
    const check = async (running: readonly RunningPod[]): Promise<void> => {
      for (const pod of running) expect(poolsOf(pod)).toEqual(['eth0 p00002-eth0', 'net1 p00002-net1']);
      expect(new Set(running.flatMap(({ nics }) => nics.map(({ address }) => address))).size).toBe(80);
      await untilRecorded('p00002-eth0', running, 120);
      await untilRecorded('p00002-net1', running, 120);
    };
    await check(await pods.ofApp(name, 40, 240));
    await cluster.stack.kubectl('delete', 'pods', '--selector', `app=${name}`, '--wait=true');
    await check(await pods.ofApp(name, 40, 240));
    await cluster.stack.kubectl('delete', 'deployment', name, '--cascade=foreground', '--wait=true');
    await untilRecorded('p00002-eth0', [], 120); // the pods are gone before their sandboxes are
    await untilRecorded('p00002-net1', [], 120);
  }, 700_000);
});

it('gives every address back when the workloads are gone', () => cluster.untilAsRemembered(60), 90_000);
