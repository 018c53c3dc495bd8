import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import { management, underlay } from '../../deploy/dev/layout.ts';
import { orbweaverNetwork } from '../../deploy/dev/multus.ts';
import type { StackNode } from '../../deploy/dev/node.ts';
import { defaultRouteAnnotation } from '../../network/coordination/settings-for-pod.ts';
import { asLines } from './cluster-state.ts';
import { RunningPods, sleepingPod } from './running-pods.ts';
import { askWho, podThatTellsWho, serviceOf, whoAt } from './services.ts';
import { TestCluster } from './test-cluster.ts';

/**
 * Pods that are tied to their node, by kubelet and Multus and by hand, and Services that kube-proxy brings them. All are on `node-a`
 * but one: `far`, and nothing of a Service is on its node.
 */
jest.setTimeout(120_000); // each test is a few pods or calls, and the machine may be busy

let cluster: TestCluster;
let pods: RunningPods;
let node: StackNode;

const services = ['10.96.0.77', 'fd00:96::77'] as const;
const [localServices, serviceBehind] = [['10.96.0.78', 'fd00:96::78'], '10.96.0.79'] as const;
const nodePorts = { server: 30_080, local: 30_081, behind: 30_082 } as const;
const nodeIPv6 = 'fd00:222::1';
/** The nodes on the network of their pods, where their clients are. */
const onUnderlay = {
  'node-a': ['10.70.255.10', 'fd00:70::ff0a'],
  'node-b': ['10.70.255.11', 'fd00:70::ff0b'],
} as const;
const [gateways, outside] = [
  [underlay.v4.gateway, underlay.v6.gateway],
  [underlay.v4.outside, underlay.v6.outside],
];
const pools = { default_ipv4_ippool: ['tied-v4'], default_ipv6_ippool: ['tied-v6'] };
const macvlan = { type: 'macvlan', master: 'underlay0', mode: 'bridge' };
const definition = (name: string, ...plugins: readonly object[]): object => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name, namespace: 'default' },
  spec: { config: JSON.stringify({ cniVersion: '1.0.0', name, plugins }) },
});
const overlay = {
  type: 'ptp',
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.7.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
};
const coordinator = (name: string, spec: object): object => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderCoordinator',
  metadata: { name },
  spec,
});

const networks = (first: string, ...others: readonly string[]): Record<string, string> => ({
  'v1.multus-cni.io/default-network': `default/${first}`,
  ...(others.length === 0 ? {} : { 'k8s.v1.cni.cncf.io/networks': others.map((one) => `default/${one}`).join(',') }),
});

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a', 'node-b'], kubeProxy: true });
  pods = new RunningPods(cluster);
  node = cluster.node.node;
  await cluster.stack.apply(
    underlayPool('tied-v4', 4, ['10.70.20.1-10.70.20.250']),
    underlayPool('tied-v6', 6, ['fd00:70::20:1-fd00:70::20:ff']),
    definition('whole', { ...orbweaverNetwork, ...pools, coordinator: {} }),
    definition('chained', { ...macvlan, ipam: { type: 'spiderpool', ...pools } }, { type: 'coordinator' }),
    definition('overlay', overlay),
    coordinator('rack7', { podCIDRType: 'none', hostRuleTable: 200, vethMTU: 1400 }),
    coordinator('unknown', { podCIDRType: 'calico' }),
  );
  const isSynced = '--for=jsonpath={.status.phase}=Synced';
  await cluster.stack.kubectl('wait', 'spidercoordinator', 'default', 'rack7', isSynced, '--timeout=60s');
  await node.exec(['ip', 'addr', 'add', `${nodeIPv6}/64`, 'dev', 'eth0', 'nodad']);
  for (const one of cluster.stack.nodes) {
    const [own4, own6] = onUnderlay[one.name as keyof typeof onUnderlay];
    const lines = [
      `addr add ${own4}/16 dev underlay0`,
      `addr add ${own6}/64 dev underlay0 nodad`,
      ...gateways.map((gateway) => `route add default via ${gateway}`),
    ];
    await one.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
  // They stay: the rules of a node that serve all its pods are there before anything is compared.
  await cluster.stack.apply(
    podThatTellsWho('server', networks('whole'), 'node-a'),
    podThatTellsWho('behind', networks('overlay', 'chained'), 'node-a'),
    sleepingPod('far', networks('whole'), { node: 'node-b' }),
    serviceOf('server', 'server', { clusterIPs: services, nodePort: nodePorts.server }),
    serviceOf('server', 'local', { clusterIPs: localServices, nodePort: nodePorts.local, trafficPolicy: 'Local' }),
    serviceOf('behind', 'behind', { clusterIPs: [serviceBehind], nodePort: nodePorts.behind, trafficPolicy: 'Local' }),
  );
  for (const name of ['server', 'behind', 'far']) await pods.one(name);
  const [v4, v6] = onUnderlay['node-a'];
  const urls = [
    ...Object.values(onUnderlay).flatMap((addresses) => addresses.map((address) => whoAt(address, nodePorts.server))),
    ...[v4, v6].map((address) => whoAt(address, nodePorts.local)),
    whoAt(v4, nodePorts.behind),
  ];
  await eventually('Services answer', 60, async () => {
    const left = await cluster.stack.outside.exec(missed(urls, 3));
    return left === '' ? { value: true } : { state: left };
  });
}, 300_000);
afterAll(() => cluster?.stop(), 60_000);

/** Keys of a whole network that is tied to its node. */
const tied = (settings: object = {}, more: object = {}): Record<string, unknown> => ({
  ...pools,
  ...more,
  coordinator: settings,
});

/** What does not answer in time, in order: an address a ping, a URL a request. All are asked at once. */
const missed = (targets: readonly string[], seconds = 20): string[] => [
  'sh',
  '-c',
  `{ for to in "$@"; do case $to in
    http:*) busybox timeout ${seconds} busybox wget -q -O /dev/null "$to" ;;
    *) busybox ping -c 1 -W ${seconds} "$to" >/dev/null ;;
  esac || echo "$to" & done; wait; } | sort`,
  'sh',
  ...targets,
];
const reachable = [
  management.node(0),
  nodeIPv6,
  ...gateways,
  ...outside,
  ...[...services, serviceBehind].map((address) => whoAt(address)),
  ...[management.node(0), nodeIPv6].map((address) => whoAt(address, nodePorts.server)),
];
const isIPv6 = (address: string): boolean => address.includes(':');

describe('a pod that kubelet runs', () => {
  /** The interface through which the pod would send to each address. */
  const ways = async (pod: string, ...to: readonly string[]): Promise<readonly string[]> =>
    await Promise.all(
      to.map(async (address) => {
        const family = isIPv6(address) ? ['-6'] : [];
        const told = await pods.exec({ name: pod, namespace: 'default' }, 'ip', ...family, 'route', 'get', address);
        return / dev (\S+)/.exec(told)?.[1] ?? told;
      }),
    );
  const abroad = ['198.51.100.1', '2001:db8::1'] as const;

  /** Starts a pod; it goes again whatever the test finds. */
  async function run(name: string, annotations: Record<string, string>, check: () => Promise<void>): Promise<void> {
    const before = new Set(asLines(await cluster.state()));
    await cluster.stack.apply(sleepingPod(name, annotations, { node: node.name }));
    try {
      await check();
    } finally {
      await cluster.stack.kubectl('delete', 'pod', name, '--force', '--grace-period=0', '--wait=true');
    }
    await eventually(`Nothing is left of ${name}`, 30, async () => {
      const left = asLines(await cluster.state()).filter((line) => !before.has(line) && !isOfOverlay(line));
      return left.length === 0 ? { value: true } : { state: left.join('\n') };
    });
  }
  /** What the overlay's own plugins leave is not ours to judge. */
  const isOfOverlay = (line: string): boolean => /10\.244\.7\.|ptp|link veth[0-9a-f]{8} /.test(line);

  /** Reaches node, Services, network and outside; and each of its addresses is reached by its node and from outside. */
  async function isInReach(pod: string): Promise<void> {
    const { nics } = await pods.one(pod);
    const own = nics.map(({ address }) => address);
    expect(own.length).toBeGreaterThan(0);
    const target = { name: pod, namespace: 'default' };
    expect({
      fromPod: await pods.exec(target, ...missed(reachable)),
      fromNode: await node.exec(missed(own)),
      fromOutside: await cluster.stack.outside.exec(missed(own)),
    }).toEqual({ fromPod: '', fromNode: '', fromOutside: '' });
  }

  it.each(['whole', 'chained'])(
    'C00001: with one macvlan (%s) is in reach',
    async (network) => {
      await run(`one-${network}`, networks(network), () => isInReach(`one-${network}`));
    },
    120_000,
  );

  it.each(['whole', 'chained'])(
    'C00003, C00011: with two macvlans (%s) is in reach by both, and leaves by the first',
    async (network) => {
      const name = `two-${network}`;
      await run(name, networks(network, network), async () => {
        await isInReach(name);
        expect(await ways(name, ...abroad)).toEqual(['eth0', 'eth0']);
      });
    },
    120_000,
  );

  it.each(['whole', 'chained'])(
    'C00006, C00020: leaves by the interface that it names (%s), not so to Services',
    async (network) => {
      const name = `second-${network}`;
      await run(name, { ...networks(network, network), [defaultRouteAnnotation]: 'net1' }, async () => {
        await isInReach(name);
        expect(await ways(name, ...abroad)).toEqual(['net1', 'net1']);
        expect(await ways(name, ...services, management.node(0))).toEqual(['veth0', 'veth0', 'veth0']);
      });
    },
    120_000,
  );

  it.each(['whole', 'chained'])(
    'C00002, C00012: with an overlay and a macvlan (%s) is in reach',
    async (network) => {
      const name = `overlay-${network}`;
      await run(name, networks('overlay', network), async () => {
        await isInReach(name);
        expect(await ways(name, abroad[0], services[0], management.node(0))).toEqual(['eth0', 'eth0', 'eth0']);
      });
    },
    120_000,
  );

  it('C00004: with an overlay and two macvlans is in reach by both', async () => {
    await run('overlay-two', networks('overlay', 'whole', 'chained'), () => isInReach('overlay-two'));
  }, 120_000);

  it('C00005, A00012: with an overlay leaves by the macvlan that it names, also one that comes last', async () => {
    const annotations = { ...networks('overlay', 'whole', 'chained'), [defaultRouteAnnotation]: 'net2' };
    await run('overlay-default', annotations, async () => {
      await isInReach('overlay-default');
      expect(await ways('overlay-default', ...abroad)).toEqual(['net2', 'net2']);
      expect(await ways('overlay-default', services[0])).toEqual(['eth0']);
    });
  }, 120_000);

  it.each(['whole', 'chained'])(
    'C00014: is told that the interface which it names never comes (%s)',
    async (network) => {
      const name = `never-${network}`;
      await run(name, { ...networks(network), [defaultRouteAnnotation]: 'net7' }, () =>
        pods.untilTold(name, /podDefaultRouteNIC: \\?"net7\\?" doesn't exist in pod/),
      );
    },
    120_000,
  );
});

describe('a Service', () => {
  const client = () => cluster.stack.outside;
  const inPod = (name: string) => ({
    exec: (command: readonly string[]) => pods.exec({ name, namespace: 'default' }, ...command),
  });

  it.each([
    ['of a macvlan', onUnderlay['node-a'], nodePorts.local],
    ['behind an overlay and on a macvlan', onUnderlay['node-a'].slice(0, 1), nodePorts.behind],
  ])('C00013: by a NodePort of policy Local a pod %s sees who asks', async (_, addresses, port) => {
    const seen = await Promise.all(addresses.map((address) => client().exec(askWho(whoAt(address, port)))));
    expect(seen.map((line) => line.trim())).toEqual(outside.slice(0, addresses.length));
  });

  it('answers by a node that has none of its pods, unless its policy is Local', async () => {
    const [v4, v6] = onUnderlay['node-b'];
    const seen = await Promise.all([v4, v6].map((address) => client().exec(askWho(whoAt(address, nodePorts.server)))));
    expect(seen.map((line) => line.trim())).toEqual([v4, v6]); // the answer has to come by the same node
    const local = [v4, v6].map((address) => whoAt(address, nodePorts.local));
    expect((await client().exec(missed(local, 3))).trim().split('\n')).toEqual(local.toSorted());
  });

  it('is reached by its own pod, by nodes, and by a pod of another node', async () => {
    const urls = services.map((address) => whoAt(address));
    const [self, own, other, far] = await Promise.all(
      [inPod('server'), ...cluster.stack.nodes, inPod('far')].map((place) => place.exec(missed(urls))),
    );
    expect({ self, own, other, far }).toEqual({ self: '', own: '', other: '', far: '' });
  });

  it('of policy Local is reached by pods of its own node alone', async () => {
    const urls = localServices.map((address) => whoAt(address));
    expect(await inPod('behind').exec(missed(urls.slice(0, 1)))).toBe('');
    expect((await inPod('far').exec(missed(urls, 3))).trim().split('\n')).toEqual(urls.toSorted());
  });
});

describe('a sandbox', () => {
  beforeEach(() => cluster.remember());
  afterEach(() => cluster.removeSandboxes().then(() => cluster.untilAsRemembered()), 60_000);

  const ip = async (sandbox: HandMadeSandbox, words: string): Promise<readonly Shown[]> =>
    JSON.parse((await sandbox.exec(['sh', '-c', `ip -j -N ${words} 2>/dev/null || echo '[]'`])) || '[]') as Shown[];
  interface Shown {
    readonly dev?: string;
    readonly dst?: string;
    readonly gateway?: string;
    readonly prefsrc?: string;
    readonly table?: string;
    readonly address?: string;
    readonly mtu?: number;
    readonly ifname?: string;
  }
  const onNode = async (words: string): Promise<readonly Shown[]> =>
    JSON.parse((await node.exec(['sh', '-c', `ip -j -N ${words} 2>/dev/null || echo '[]'`])) || '[]') as Shown[];
  const nic = (ifName: string, settings: object = {}) => ({
    env: { CNI_IFNAME: ifName },
    conf: { name: `network-${ifName}`, ...tied(settings) },
  });
  const added = { exitCode: 0, body: expect.objectContaining({ ips: expect.anything() }) };
  const addressOf = async (sandbox: HandMadeSandbox): Promise<string> =>
    (await cluster.claimsOf(sandbox)).map((claim) => claim.split(' ', 1).join()).find((text) => !text.includes('-')) ??
    '';

  it('C00008, C00022: has the MAC prefix that is asked for, and its answer says so', async () => {
    const sandbox = await cluster.sandbox('mac');
    const { body } = await sandbox.add({ conf: tied({ podMACPrefix: '0a:1b' }) });
    const [link] = await ip(sandbox, 'link show dev eth0');
    expect(link?.address).toMatch(/^0a:1b:0a:46:14:/);
    expect(body?.interfaces).toMatchObject([{ name: 'eth0', mac: link?.address }]);
    expect(await sandbox.add({ env: { CNI_IFNAME: 'net9' }, conf: tied({ podMACPrefix: '01:00' }) })).toMatchObject({
      exitCode: 1,
      body: { code: 7, details: 'InvalidConfig', msg: expect.stringContaining('podMACPrefix') },
    });
  });

  it('C00010: is not met by what the node remembers of its address', async () => {
    const sandbox = await cluster.sandbox('stale');
    for (let host = 1; host <= 250; host += 50) {
      const addresses = Array.from({ length: 50 }, (_, at) => `10.70.20.${host + at}`);
      const line = addresses.map((address) => `neigh replace ${address} lladdr 02:00:00:00:00:99 dev eth0 nud stale`);
      await node.exec(['ip', '-batch', '-'], { input: `${line.join('\n')}\n` });
    }
    expect(await sandbox.add({ conf: tied() })).toEqual(added);
    const address = await addressOf(sandbox);
    const known = await onNode(`neigh show to ${address}`);
    expect(known).toMatchObject([{ dev: expect.stringMatching(/^veth/), state: ['PERMANENT'] }]);
    expect(await node.exec(missed([address]))).toBe('');
    await node.exec(['ip', 'neigh', 'flush', 'dev', 'eth0', 'to', '10.70.20.0/24']);
  });

  it('C00015: may have its default route by an interface of any name', async () => {
    const sandbox = await cluster.sandbox('named', {
      'k8s.v1.cni.cncf.io/networks': 'whole@data-7',
      [defaultRouteAnnotation]: 'data-7',
    });
    expect(await sandbox.add({ conf: tied() })).toEqual(added);
    expect(await ip(sandbox, 'route get 198.51.100.1')).toMatchObject([{ dev: 'eth0' }]); // until it comes
    expect(await sandbox.add(nic('data-7'))).toEqual(added);
    expect(await ip(sandbox, 'route get 198.51.100.1')).toMatchObject([{ dev: 'data-7' }]);
    await cluster.deletePod(sandbox); // so that the addresses are free at once
    expect(await sandbox.del(nic('data-7'))).toMatchObject({ exitCode: 0 });
    expect(await ip(sandbox, 'route get 198.51.100.1')).toMatchObject([{ dev: 'eth0' }]);
  });

  it('C00016: is in the table of the node that its coordinator names', async () => {
    const sandbox = await cluster.sandbox('table');
    expect(await sandbox.add({ conf: tied({ spiderCoordinator: 'rack7' }) })).toEqual(added);
    const address = await addressOf(sandbox);
    expect(await onNode('route show table 200')).toMatchObject([{ dst: address, dev: expect.stringMatching(/^veth/) }]);
    expect((await onNode('route show table 500')).map(({ dst }) => dst)).not.toContain(address);
    expect(await node.exec(missed([address]))).toBe('');
    for (const family of ['-4', '-6']) await node.exec(['ip', family, 'rule', 'del', 'lookup', '200']);
  });

  it('C00017: has no rules of its own when routes are not to be tuned', async () => {
    const sandbox = await cluster.sandbox('untuned');
    expect(await sandbox.add({ conf: tied({ tunePodRoutes: false }) })).toEqual(added);
    const second = { ...nic('net1', { tunePodRoutes: false }) };
    const clean = { ...second, conf: { ...second.conf, clean_gateway: true } };
    expect(await sandbox.add(second)).toMatchObject({
      exitCode: 1,
      body: { details: 'InvalidConfig', msg: expect.stringContaining('already routes it') },
    });
    expect(await sandbox.add(clean)).toEqual(added);
    const rules = await sandbox.exec(['sh', '-c', 'ip rule; ip -6 rule']);
    expect(rules).not.toMatch(/from 10\.70|from fd00/);
    await cluster.deletePod(sandbox);
    expect(await sandbox.del(clean)).toMatchObject({ exitCode: 0 });
  });

  it('C00021: is in reach by three macvlans with rp_filter 1', async () => {
    const sandbox = await cluster.sandbox('three');
    for (const ifName of ['eth0', 'net1', 'net2']) {
      const asked = ifName === 'eth0' ? { conf: tied({ podRPFilter: 1 }) } : nic(ifName, { podRPFilter: 1 });
      expect(await sandbox.add(asked)).toEqual(added);
    }
    const own = (await cluster.claimsOf(sandbox))
      .map((claim) => claim.split(' ', 1).join())
      .filter((text) => !text.includes('-'));
    expect(own).toHaveLength(3);
    expect(await node.exec(missed(own))).toBe('');
    expect(await cluster.stack.outside.exec(missed(own))).toBe('');
    expect(await sandbox.exec(missed(reachable))).toBe('');
    await cluster.deletePod(sandbox);
    for (const ifName of ['net1', 'net2']) expect(await sandbox.del(nic(ifName))).toMatchObject({ exitCode: 0 });
  });

  it('C00023: has the MTU of its veth, and policy routes in its main table', async () => {
    const sandbox = await cluster.sandbox('mtu');
    const policyRoutes = [{ dst: '10.9.0.0/16', gw: underlay.v4.outside }];
    expect(await sandbox.add({ conf: tied({ vethMTU: 1300, policyRoutes }) })).toEqual(added);
    expect(await ip(sandbox, 'link show dev veth0')).toMatchObject([{ mtu: 1300 }]);
    expect(await ip(sandbox, 'route show table main 10.9.0.0/16')).toMatchObject([{ dev: 'eth0' }]);
    expect(await sandbox.add({ conf: tied({ vethMTU: 7 }) })).toMatchObject({ body: { details: 'InvalidConfig' } });
  });

  it('C00024: behind an overlay has policy routes in the table of its second interface', async () => {
    const sandbox = await cluster.sandbox('policy');
    const policyRoutes = [{ dst: '10.9.0.0/16', gw: underlay.v4.outside }];
    await node.exec(['ip', 'link', 'add', 'over0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', sandbox.netns]);
    await node.exec(['ip', 'link', 'set', 'over0', 'up']);
    for (const words of [
      'addr add 10.244.9.9/32 dev eth0',
      'link set eth0 up',
      'route add 169.254.1.1 dev eth0',
      'route add default via 169.254.1.1',
    ])
      await sandbox.exec(['ip', ...words.split(' ')]);
    expect(await sandbox.add(nic('net1', { policyRoutes }))).toEqual(added);
    expect(await ip(sandbox, 'route show table 101 10.9.0.0/16')).toMatchObject([{ dev: 'net1' }]);
    expect(await ip(sandbox, 'route show table main 10.9.0.0/16')).toEqual([]);
    await cluster.deletePod(sandbox);
    expect(await sandbox.del(nic('net1'))).toMatchObject({ exitCode: 0 });
    await node.exec(['ip', 'link', 'del', 'over0']);
  });

  it('V00007: is tied as its network says, where that says something else than the coordinator', async () => {
    const sandbox = await cluster.sandbox('override');
    expect(
      await sandbox.add({ conf: tied({ spiderCoordinator: 'rack7', vethMTU: 1280, hostRuleTable: 500 }) }),
    ).toEqual(added);
    expect(await ip(sandbox, 'link show dev veth0')).toMatchObject([{ mtu: 1280 }]);
    expect(await onNode('route show table 200')).toEqual([]);
  });

  it('V00008: waits for a coordinator that is not ready, unless its network says the list', async () => {
    const sandbox = await cluster.sandbox('not-ready');
    expect(await sandbox.add({ conf: tied({ spiderCoordinator: 'unknown' }) })).toMatchObject({
      exitCode: 1,
      body: { code: 11, details: 'CoordinatorNotReady', msg: expect.stringContaining('no ready overlayPodCIDR') },
    });
    const settings = { spiderCoordinator: 'unknown', overlayPodCIDR: ['10.244.0.0/16'] };
    expect(await sandbox.add({ conf: tied(settings) })).toEqual(added);
    expect(await ip(sandbox, 'route get 10.244.9.9')).toMatchObject([{ dev: 'veth0' }]);
  });

  it('passes CHECK until something of it is gone', async () => {
    const sandbox = await cluster.sandbox('checked');
    const asked = { conf: tied() };
    expect(await sandbox.add(asked)).toEqual(added);
    expect(await sandbox.call('CHECK', asked)).toEqual({ exitCode: 0, body: undefined });
    await sandbox.exec(['ip', 'rule', 'del', 'fwmark', '0x1', 'lookup', '100']);
    expect(await sandbox.call('CHECK', asked)).toMatchObject({
      exitCode: 1,
      body: { code: 103, msg: expect.stringContaining('rule add fwmark 0x1 lookup 100') },
    });
  });

  it.each(['before kernel.applyCoordination', 'after kernel.applyCoordination'])(
    'whose ADD fails %s leaves nothing, and its successor is whole',
    async (moment) => {
      const sandbox = await cluster.sandbox('fault');
      const untouched = asLines(await cluster.state());
      await cluster.inject(moment);
      expect(await sandbox.add({ conf: tied() })).toMatchObject({ exitCode: 1, body: { details: 'KernelRefused' } });
      expect(asLines(await cluster.state())).toEqual(untouched);
      expect(await sandbox.add({ conf: tied() })).toEqual(added);
    },
  );

  it.each(['before kernel.applyCoordination', 'after kernel.applyCoordination'])(
    'whose worker is killed %s gets its answer from the next one, and its DEL leaves nothing',
    async (moment) => {
      const sandbox = await cluster.sandbox('killed');
      const untouched = asLines(await cluster.state());
      await cluster.inject(`kill ${moment}`);
      const { ended } = cluster.node.worker;
      const adding = sandbox.add({ conf: tied({ podMACPrefix: '0a:1b' }) });
      expect(await ended).toBe('signal SIGKILL');
      cluster.node.worker.start();
      expect(await adding).toEqual(added);
      expect(await sandbox.call('CHECK', { conf: tied() })).toEqual({ exitCode: 0, body: undefined });
      await cluster.deletePod(sandbox);
      expect(await sandbox.del()).toMatchObject({ exitCode: 0 });
      expect(asLines(await cluster.state())).toEqual(untouched);
    },
  );

  it.each(['before kernel.uncoordinate', 'after kernel.uncoordinate'])(
    'whose DEL fails %s is gone all the same, a moment later',
    async (moment) => {
      const sandbox = await cluster.sandbox('del-fault');
      expect(await sandbox.add({ conf: tied() })).toEqual(added);
      await cluster.deletePod(sandbox);
      await cluster.inject(moment);
      expect(await sandbox.del()).toMatchObject({ exitCode: 0 }); // and `afterEach` waits for the rest
    },
  );
});
