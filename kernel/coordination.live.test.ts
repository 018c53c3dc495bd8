import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type CoordinationSettings, coordinationDefaults } from '../contracts/coordination.ts';
import type { ClaimedAddress } from '../contracts/pod-network.ts';
import type { CoordinateSpec, PlannedCoordination } from './coordination-tasks.ts';
import { type Kernel, openKernel } from './kernel.ts';
import type { PlumbSpec } from './kernel-tasks.ts';
import { nameOf, TestNetwork } from './testing/test-network.ts';

jest.setTimeout(60_000); // programs are started in namespaces, and the machine may be busy

const containerID = '5b1e00112233445566';
const nodeEnd = 'veth5b1e0011223';

let network: TestNetwork;
let kernel: Kernel;
let pod: string;

beforeAll(() => {
  kernel = openKernel({ threads: 2, hostNetns: (network = new TestNetwork()).node });
  network.ip(network.node, 'addr add 10.70.8.2/22 dev eth1');
  network.ip(network.node, 'addr add fd00:70::2/64 dev eth1 nodad');
  network.ip(network.node, 'link set dev lo up');
  run(network.node, 'echo 1 > /proc/sys/net/ipv4/conf/all/forwarding; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
});
afterAll(async () => {
  await kernel.close();
  network.close();
});
beforeEach(() => {
  pod = network.pod();
  network.ip(pod, 'link set dev lo up');
});
afterEach(() => {
  // At once: a namespace that is removed lets its links go in its own time.
  for (const ifName of ['veth0', 'eth0', 'net1', 'net2']) spawnSync('ip', ['-n', nameOf(pod), 'link', 'del', ifName]);
});

/** A macvlan on the uplink, as its plugin leaves it. */
function addMacvlan(ifName: string, host: number, mac: string): void {
  network.ip(
    network.node,
    `link add link eth1 name ${ifName} netns ${nameOf(pod)} address ${mac} type macvlan mode bridge`,
  );
  network.ip(pod, `addr add 10.70.8.${host}/22 dev ${ifName}`);
  network.ip(pod, `addr add fd00:70::${host}/64 dev ${ifName} nodad`);
  network.ip(pod, `link set dev ${ifName} up`);
  network.ip(pod, `route prepend default via 10.70.8.1 dev ${ifName}`);
  network.ip(pod, `-6 route append default via fd00:70::1 dev ${ifName}`);
}

/** A macvlan with the addresses that the golden file has. */
function addGolden(ifName: string, network10: string, network6: string): void {
  network.ip(network.node, `link add link eth1 name ${ifName} netns ${nameOf(pod)} type macvlan mode bridge`);
  network.ip(pod, `addr add ${network10}.20/${network10 === '10.70.8' ? 22 : 16} dev ${ifName}`);
  network.ip(pod, `addr add ${network6}::14/64 dev ${ifName} nodad`);
  network.ip(pod, `link set dev ${ifName} up`);
  network.ip(pod, `route prepend default via ${network10}.1 dev ${ifName}`);
  network.ip(pod, `-6 route append default via ${network6}::1 dev ${ifName}`);
}

/** The lines that `testdata/pod-tables.txt` has for a pod, from what ip(8) shows of this one. */
function shownTables(): string[] {
  const routes = (netns: string, who: string, table: string) =>
    ['-4', '-6'].flatMap((family) =>
      (JSON.parse(run(netns, `ip -j -N ${family} route show table ${table} 2> /dev/null || echo '[]'`)) as Shown[])
        .filter(({ type, dst, table: found }) => type === undefined && found !== '255' && !/^(fe80|ff)/.test(dst))
        .map(({ dst, gateway, dev, table: found = table === 'all' ? '254' : table }) => {
          const everywhere = family === '-4' ? '0.0.0.0/0' : '::/0';
          const whole =
            dst === 'default' ? everywhere : dst.includes('/') ? dst : `${dst}/${family === '-4' ? 32 : 128}`;
          return `${who} table ${found}: ${whole}${gateway === undefined ? '' : ` via ${gateway}`} dev ${dev}`;
        }),
    );
  const rules = ['-4', '-6'].flatMap((family) =>
    (JSON.parse(run(pod, `ip -j -N ${family} rule show`)) as ShownRule[])
      .filter(({ protocol }) => protocol === '79')
      .map(({ priority, src, fwmark, table }) => {
        const from = src === 'all' ? src : `${src}/${family === '-4' ? 32 : 128}`;
        const mark = fwmark === undefined ? '' : ` fwmark ${Number(fwmark)}`;
        return `pod rule: ${priority} from ${from}${mark} lookup ${table}`;
      }),
  );
  return [...rules, ...routes(pod, 'pod', 'all'), ...routes(network.node, 'node', '500')].toSorted();
}

interface Shown {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly table?: string;
}

interface ShownRule {
  readonly priority: number;
  readonly src: string;
  readonly fwmark?: string;
  readonly table: string;
  readonly protocol?: string;
}

const goldenTables = (title: string): string[] => {
  const text = readFileSync(new URL('../network/coordination/testdata/pod-tables.txt', import.meta.url), 'utf8');
  const section = text.split(/^# /m).find((part) => part.startsWith(title)) ?? '';
  return section
    .split('\n')
    .filter((line) => /^(pod rule|pod table|node table)/.test(line))
    .toSorted();
};

describe('the tables of the golden file', () => {
  const hijackCIDRs = ['10.244.0.0/16', '10.96.0.0/12', 'fd00:96::/108'];

  it('are those of a single underlay interface on a kernel', async () => {
    addGolden('eth0', '10.70.8', 'fd00:70');
    await coordinate(await specFor('eth0', { hijackCIDRs, policyRoutes: [{ dst: '10.9.0.0/16', gw: '10.70.8.9' }] }));
    expect(shownTables()).toEqual(goldenTables('single underlay: macvlan eth0\n'));
  });

  it('are those of two underlay interfaces', async () => {
    addGolden('eth0', '10.70.8', 'fd00:70');
    await coordinate(await specFor('eth0', { hijackCIDRs }));
    addGolden('net1', '10.71.0', 'fd00:71');
    await coordinate(await specFor('net1', { hijackCIDRs }));
    expect(shownTables()).toEqual(goldenTables('macvlan eth0, macvlan net1 (what net1 adds)\n'));
  });

  it('are those of an overlay pod with one more interface', async () => {
    addOverlay();
    addGolden('net1', '10.70.8', 'fd00:70');
    await coordinate(await specFor('net1', { hijackCIDRs, policyRoutes: [{ dst: '10.9.0.0/16', gw: '10.70.8.9' }] }));
    expect(shownTables()).toEqual(goldenTables('overlay eth0, macvlan net1\n'));
  });

  it('are those of an overlay pod whose added interface has the default route', async () => {
    addOverlay();
    addGolden('net1', '10.70.8', 'fd00:70');
    await coordinate(await specFor('net1', { hijackCIDRs, podDefaultRouteNic: 'net1' }));
    expect(shownTables()).toEqual(goldenTables('overlay eth0, macvlan net1 with the default route\n'));
  });

  it('are those of an overlay pod whose last interface takes the default route', async () => {
    addOverlay();
    const wish = { ...(await specFor('net1', { hijackCIDRs, podDefaultRouteNic: 'net2' })), awaitedNics: ['net2'] };
    addGolden('net1', '10.71.0', 'fd00:71');
    await coordinate(wish);
    addGolden('net2', '10.72.0', 'fd00:72');
    await coordinate({ ...wish, ifName: 'net2' });
    expect(shownTables()).toEqual(goldenTables('overlay eth0, net1, then net2 with the default route'));
  });
});

/** An overlay's first interface, as Calico leaves it. */
function addOverlay(): void {
  network.ip(network.node, `link add cali5b1e type veth peer name eth0 netns ${nameOf(pod)}`);
  network.ip(network.node, 'link set dev cali5b1e up');
  network.ip(pod, 'addr add 10.244.1.7/32 dev eth0');
  network.ip(pod, 'addr add fd00:244::7/128 dev eth0 nodad');
  network.ip(pod, 'link set dev eth0 up');
  network.ip(pod, 'route add 169.254.1.1 dev eth0 scope link');
  network.ip(pod, 'route add default via 169.254.1.1 dev eth0');
  network.ip(pod, '-6 route add default via fe80::ecee:eeff:feee:eeee dev eth0');
  network.ip(network.node, 'route add 10.244.1.7/32 dev cali5b1e');
}

async function specFor(ifName: string, changes: Partial<CoordinationSettings> = {}): Promise<CoordinateSpec> {
  const { cookie } = await kernel.identifyNamespace(pod);
  const hijackCIDRs = ['10.96.0.0/12', 'fd00:96::/108'];
  const settings = { ...coordinationDefaults, hijackCIDRs, ...changes };
  return { containerID, ifName, netns: pod, netnsCookie: cookie, settings, awaitedNics: [], defaultRoutes: [] };
}

/** Both tasks, as the node worker runs them one after the other. */
async function coordinate(spec: CoordinateSpec): Promise<PlannedCoordination> {
  const plan = await kernel.planCoordination(spec);
  await kernel.applyCoordination({ ...spec, operations: plan.operations });
  return plan;
}

const run = (netns: string, script: string): string =>
  execFileSync('nsenter', [`--net=${netns}`, 'sh', '-c', script], { encoding: 'utf8' });

/** Listens in a namespace until the test ends; every connection is told the address that it came from. */
async function listen(netns: string, address: string, port: number): Promise<{ stop: () => void }> {
  const program = `require('node:net').createServer((s) => s.end(s.remoteAddress + '\\n')).listen(${port}, '${address}', () => console.log('up'))`;
  const server = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', program]);
  await once(server.stdout, 'data');
  return { stop: () => server.kill('SIGKILL') };
}

/** What a connection from one namespace to an address is told, or how it failed. */
function connect(netns: string, address: string, port: number, patienceMs = 5000): string {
  const program = `const s = require('node:net').connect({ host: '${address}', port: ${port}, timeout: ${patienceMs} }); s.on('data', (d) => process.stdout.write(d)).on('error', (e) => console.log(e.code)).on('timeout', () => { console.log('silence'); s.destroy(); })`;
  return execFileSync('nsenter', [`--net=${netns}`, process.execPath, '-e', program], { encoding: 'utf8' }).trim();
}

/**
 * All that coordination may change in a namespace. Without the node's rule, which stays, and without what the kernel does in its
 * own time: link-local addresses that become usable, neighbours that it learns.
 */
function everything(netns: string): unknown {
  const lists = {
    dump: network.dump(netns),
    rules6: network.json(netns, '-6 rule show'),
    neighbours: network.json(netns, 'neigh show nud permanent'),
  };
  return JSON.parse(
    JSON.stringify(lists, (key, value: unknown) => {
      if (key === 'tentative') return undefined;
      return Array.isArray(value)
        ? value.filter((one: Listed) => !isNodeRule(one) && !/^(fe80|ff00)/.test(one.dst ?? ''))
        : value;
    }),
  ) as unknown;
}

interface Listed {
  readonly dst?: string;
  readonly priority?: number;
  readonly table?: string;
}

const isNodeRule = ({ priority, table }: Listed): boolean => priority === 1000 && table === '500';

describe('a single underlay interface', () => {
  beforeEach(() => addMacvlan('eth0', 20, '02:00:00:00:08:20'));

  it.each(['10.70.8.20', 'fd00:70::20'])(
    'is reached by its node at %s, which a macvlan alone never is',
    async (address) => {
      const server = await listen(pod, address, 7000);
      try {
        expect(connect(network.node, address, 7000, 500)).toMatch(/silence|E[A-Z]+/);
        await coordinate(await specFor('eth0'));
        expect(connect(network.node, address, 7000)).toMatch(/^(::ffff:)?10\.70\.8\.2$|^fd00:70::2$/);
      } finally {
        server.stop();
      }
    },
  );

  it.each(['10.70.8.2', 'fd00:70::2'])('reaches its node at %s', async (address) => {
    await coordinate(await specFor('eth0'));
    const server = await listen(network.node, address, 7001);
    try {
      expect(connect(pod, address, 7001)).toMatch(/^(::ffff:)?10\.70\.8\.20$|^fd00:70::20$/);
    } finally {
      server.stop();
    }
  });

  it('reaches what is handed to the node, with its own address', async () => {
    await coordinate(await specFor('eth0'));
    network.ip(network.node, 'addr add 10.96.0.10/32 dev lo'); // what kube-proxy would translate, answered by the node itself
    const server = await listen(network.node, '10.96.0.10', 7002);
    try {
      expect(connect(pod, '10.96.0.10', 7002)).toMatch(/10\.70\.8\.20$/);
    } finally {
      server.stop();
      network.ip(network.node, 'addr del 10.96.0.10/32 dev lo');
    }
  });

  it.each([0, 1] as const)(
    'answers through the node a client that came through the node, as with a NodePort of policy Local (C00013, rp_filter %i)',
    async (podRPFilter) => {
      // A client behind the node that the pod's default gateway does not know: as with externalTrafficPolicy Local.
      const client = network.pod();
      network.ip(network.node, `link add front type veth peer name eth0 netns ${nameOf(client)}`);
      network.ip(network.node, 'addr add 192.0.2.1/24 dev front');
      network.ip(network.node, 'link set dev front up');
      network.ip(client, 'addr add 192.0.2.9/24 dev eth0');
      network.ip(client, 'link set dev eth0 up');
      network.ip(client, 'route add default via 192.0.2.1');
      const server = await listen(pod, '10.70.8.20', 7003);
      try {
        const done = await coordinate(await specFor('eth0', { podRPFilter }));
        expect(connect(client, '10.70.8.20', 7003)).toMatch(/192\.0\.2\.9$/);
        const marks = done.operations.filter(({ op }) => op === 'add-reply-marks');
        await kernel.uncoordinate({ netns: pod, netnsCookie: (await specFor('eth0')).netnsCookie, operations: marks });
        expect(connect(client, '10.70.8.20', 7003, 500)).toMatch(/silence|E[A-Z]+/); // so it is the marks that did it
      } finally {
        server.stop();
        network.ip(network.node, 'link del front');
      }
    },
  );

  it('finds nothing to do when it is repeated, and CHECK nothing to say', async () => {
    const spec = await specFor('eth0', {
      podMACPrefix: '0a:1b',
      txQueueLen: 2000,
      vethLinkAddress: '169.254.200.1',
      podRPFilter: 2,
    });
    const first = await coordinate(spec);
    expect(first).toMatchObject({ mode: 'underlay', table: 101, notes: [] });
    expect(await coordinate(spec)).toMatchObject({ operations: [] });
    expect(await kernel.checkCoordination(spec)).toEqual([]);
    network.ip(pod, 'rule del fwmark 0x1 lookup 100');
    expect(await kernel.checkCoordination(spec)).toEqual([
      expect.stringMatching(
        /^Tying "eth0" to the node would need: ip -n \S+ rule add fwmark 0x1 lookup 100 pref 1000 proto 79$/,
      ),
    ]);
  });

  it('does so, too, when the node sends to the pod from another of its addresses than before', async () => {
    const more = ['10.96.0.77/32 dev lo', 'fd00:96::77/128 dev lo', '172.17.0.1/16 dev docker0'];
    network.ip(network.node, 'link add docker0 type veth');
    for (const address of more) network.ip(network.node, `addr add ${address}`);
    try {
      const spec = await specFor('eth0');
      const { operations } = await coordinate(spec);
      const source = network.json(network.node, 'route get 10.70.8.20')[0]?.['prefsrc'];
      expect(source).toBe('10.96.0.77');
      expect(await kernel.checkCoordination(spec)).toEqual([]);
      await kernel.uncoordinate({ ...spec, operations });
    } finally {
      network.ip(network.node, 'link del docker0');
      for (const address of more.slice(0, 2)) network.ip(network.node, `addr del ${address}`);
    }
  });

  it('leaves pod and node as they were when it is taken back', async () => {
    const before = { pod: everything(pod), node: everything(network.node) };
    const spec = await specFor('eth0', { podMACPrefix: '0a:1b', txQueueLen: 2000, podRPFilter: 2 });
    const { operations } = await coordinate(spec);
    expect(everything(pod)).not.toEqual(before.pod);
    await kernel.uncoordinate({ ...spec, operations });
    expect({ pod: everything(pod), node: everything(network.node) }).toEqual(before);
    expect(run(pod, 'cat /proc/sys/net/ipv4/conf/eth0/rp_filter').trim()).not.toBe('2');
  });

  it('leaves them as they were, too, when the kernel refuses a step', async () => {
    const before = { pod: everything(pod), node: everything(network.node) };
    // A prohibited destination stands where one of ours is to go: not seen as a route, and refused by the kernel.
    network.ip(pod, 'route add prohibit default table 100');
    await expect(coordinate(await specFor('eth0'))).rejects.toMatchObject({
      type: 'KernelRefused',
      message: expect.stringContaining('route add default via 10.70.8.2 dev veth0 table 100'),
    });
    network.ip(pod, 'route del prohibit default table 100');
    expect({ pod: everything(pod), node: everything(network.node) }).toEqual(before);
  });

  it('removes what the node remembers of whoever had the address before (C00010)', async () => {
    network.ip(network.node, 'neigh replace 10.70.8.20 lladdr 02:00:00:00:00:99 dev eth1 nud permanent');
    await coordinate(await specFor('eth0'));
    expect(network.json(network.node, 'neigh show 10.70.8.20')).toMatchObject([{ dev: nodeEnd, state: ['PERMANENT'] }]);
  });

  it('is untied by marks when no plan is left to take back, and another sandbox’s is not', async () => {
    const before = { pod: everything(pod), node: everything(network.node) };
    const spec = await specFor('eth0');
    await coordinate(spec);
    const tied = { ...spec, isLast: true, othersCookies: [] };
    expect(await kernel.untie({ ...tied, netns: network.node })).toEqual({ commands: [] });
    // The path leads to another sandbox by now.
    expect(await kernel.untie({ ...tied, othersCookies: [spec.netnsCookie] })).toEqual({ commands: [] });
    expect((await kernel.untie({ ...tied, containerID: 'another' })).commands).not.toContainEqual(
      expect.stringContaining('link del'),
    );
    await coordinate(spec); // mends what was taken
    expect((await kernel.untie(tied)).commands.length).toBeGreaterThan(0);
    expect({ pod: everything(pod), node: everything(network.node) }).toEqual(before);
    expect(await kernel.untie(tied)).toEqual({ commands: [] });
  });

  it('goes with the pod: nothing of it is left on the node but the rule', async () => {
    const spec = await specFor('eth0');
    const { operations } = await coordinate(spec);
    network.remove(pod);
    await kernel.uncoordinate({ ...spec, operations }); // the kernel may not have come to it yet
    const left = (): unknown[] => [
      ...network.json(network.node, 'link show').filter(({ ifname }) => ifname === nodeEnd),
      ...network.json(network.node, 'neigh show nud permanent'),
    ];
    // A removed namespace lets its links go in its own time.
    for (const deadline = Date.now() + 20_000; left().length > 0 && Date.now() < deadline; ) await setTimeout(50);
    expect(left()).toEqual([]);
    expect(network.json(network.node, '-4 rule show').filter(({ table }) => table === '500')).toMatchObject([
      { protocol: '79' },
    ]);
    pod = network.pod(); // the next test's clean-up has a pod again
  });

  it('loses its end on the node when nobody can say where its namespace is, and a stranger of that name stays', async () => {
    const { operations } = await coordinate(await specFor('eth0'));
    const hidden = { netns: '/run/netns/none', netnsCookie: '1234567', operations };
    expect(await kernel.uncoordinate(hidden)).toEqual({ commands: [`ip link del dev ${nodeEnd}`] });
    expect(run(network.node, 'ip route show table 500; ip -br link')).not.toContain(nodeEnd);
    network.ip(network.node, `link add ${nodeEnd} type veth peer name other`);
    try {
      expect(await kernel.uncoordinate(hidden)).toEqual({ commands: [] });
    } finally {
      network.ip(network.node, `link del ${nodeEnd}`);
    }
  });
});

describe('an overlay pod', () => {
  it('answers by each interface what came in by it, and the node reaches the added one', async () => {
    addOverlay();
    addMacvlan('net1', 21, '02:00:00:00:08:21');
    const done = await coordinate(await specFor('net1'));
    expect(done).toMatchObject({ mode: 'overlay', table: 101 });
    const way = (words: string) => network.json(pod, `route get ${words}`)[0];
    expect(way('198.51.100.1')).toMatchObject({ dev: 'eth0' }); // C00011
    expect(way('198.51.100.1 from 10.70.8.21')).toMatchObject({ dev: 'net1', table: '101' });
    expect(way('10.96.0.1')).toMatchObject({ dev: 'eth0', prefsrc: '10.244.1.7' }); // C00012
    const server = await listen(pod, '10.70.8.21', 7004);
    try {
      expect(connect(network.node, '10.70.8.21', 7004)).toMatch(/10\.70\.8\.2$/);
      expect(connect(network.outside, '10.70.8.21', 7004)).toMatch(/10\.70\.8\.1$/);
    } finally {
      server.stop();
    }
  });

  it('answers the node that asks from its end of the overlay’s pair', async () => {
    addOverlay();
    network.ip(network.node, 'addr add 10.244.1.1/32 dev cali5b1e'); // as ptp leaves it
    addMacvlan('net1', 21, '02:00:00:00:08:21');
    const spec = await specFor('net1');
    await coordinate(spec);
    expect(await kernel.checkCoordination(spec)).toEqual([]);
    const server = await listen(pod, '10.70.8.21', 7005);
    try {
      expect(connect(network.node, '10.70.8.21', 7005)).toMatch(/10\.244\.1\.1$/);
    } finally {
      server.stop();
    }
  });

  it('has the default route where it is asked, also by an interface that comes later (C00005)', async () => {
    addOverlay();
    const before = everything(pod);
    addMacvlan('net1', 21, '02:00:00:00:08:21');
    const wish = { ...(await specFor('net1', { podDefaultRouteNic: 'net2' })), awaitedNics: ['net2'] };
    const first = await coordinate(wish);
    addMacvlan('net2', 22, '02:00:00:00:08:22');
    const second = await coordinate({ ...wish, ifName: 'net2' });
    const way = (words: string) => network.json(pod, `route get ${words}`)[0]?.['dev'];
    expect([way('198.51.100.1'), way('2001:db8::1'), way('10.96.0.1')]).toEqual(['net2', 'net2', 'eth0']);
    expect([way('198.51.100.1 from 10.244.1.7'), way('198.51.100.1 from 10.70.8.21')]).toEqual(['eth0', 'net1']);
    await kernel.uncoordinate({ ...wish, operations: second.operations });
    network.ip(pod, 'link del dev net2');
    await kernel.uncoordinate({ ...wish, operations: first.operations });
    network.ip(pod, 'link del dev net1');
    expect(everything(pod)).toEqual(before);
  });
});

describe('interfaces that we make ourselves', () => {
  const claimed = (host: number): readonly ClaimedAddress[] => [
    {
      family: 4,
      address: `10.70.8.${host}/22`,
      pool: 'v4',
      routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }],
    },
    { family: 6, address: `fd00:70::${host}/64`, pool: 'v6', routes: [{ dst: '::/0', gw: 'fd00:70::1' }] },
  ];
  const defaultRoutes = [
    { dst: '0.0.0.0/0', gateway: '10.70.8.1' },
    { dst: '::/0', gateway: 'fd00:70::1' },
  ];
  const link = { kind: 'macvlan', master: 'eth1', mode: 'bridge' } as const;
  const defaults = (): string[] =>
    ['-4', '-6'].flatMap((family) =>
      network
        .json(pod, `${family} route show table main`)
        .flatMap(({ dst, dev }) => (dst === 'default' ? [String(dev)] : [])),
    );

  it.each([
    [undefined, 'eth0'],
    ['net1', 'net1'],
  ])('have one default route of each family at every turn, where it is asked (%s)', async (asked, carrier) => {
    const before = everything(pod);
    const wish = asked === undefined ? {} : { podDefaultRouteNic: asked };
    const done: { spec: CoordinateSpec; plan: PlannedCoordination }[] = [];
    for (const [ifName, host] of [
      ['eth0', 20],
      ['net1', 21],
    ] as const) {
      const spec = { ...(await specFor(ifName, wish)), awaitedNics: ['net1'], defaultRoutes };
      const plumb: PlumbSpec = { ...spec, link, addresses: claimed(host), yieldsDefaultRoute: true };
      await kernel.plumb(plumb);
      expect(defaults()).toEqual(['eth0', 'eth0']);
      done.push({ spec, plan: await coordinate(spec) });
      expect(await kernel.plumb(plumb)).toMatchObject({ commands: [] }); // a repeated step finds it whole
      expect((await kernel.planCoordination(spec)).operations).toEqual([]);
      expect([await kernel.check(plumb), await kernel.checkCoordination(spec)]).toEqual([[], []]);
    }
    expect(defaults()).toEqual([carrier, carrier]);
    const way = (words: string) => network.json(pod, `route get ${words}`)[0]?.['dev'];
    expect([way('198.51.100.1 from 10.70.8.20'), way('198.51.100.1 from 10.70.8.21')]).toEqual(['eth0', 'net1']);
    expect([way('2001:db8::1 from fd00:70::20'), way('2001:db8::1 from fd00:70::21')]).toEqual(['eth0', 'net1']);
    for (const { spec, plan } of done.toReversed()) {
      await kernel.uncoordinate({ ...spec, operations: plan.operations });
      expect(defaults()).toEqual(['eth0', 'eth0']);
      expect((await kernel.unplumb(spec)).removed).toBe(true);
    }
    expect(everything(pod)).toEqual(before);
  });

  it('leave nothing when an ADD was killed between plan and effect, or its plan is taken back twice', async () => {
    addMacvlan('eth0', 20, '02:00:00:00:08:20');
    const before = { pod: everything(pod), node: everything(network.node) };
    const spec = await specFor('eth0', { podMACPrefix: '0a:1b', podRPFilter: 2 });
    const { operations } = await kernel.planCoordination(spec);
    await kernel.uncoordinate({ ...spec, operations }); // nothing of it was done
    expect({ pod: everything(pod), node: everything(network.node) }).toEqual(before);
    for (let done = 1; done < operations.length; done += 3) {
      await kernel.applyCoordination({ ...spec, operations: operations.slice(0, done) }); // killed here
      const rest = await kernel.planCoordination(spec); // by the repeated ADD
      await kernel.applyCoordination({ ...spec, operations: rest.operations });
      const both = [...operations, ...rest.operations];
      await kernel.uncoordinate({ ...spec, operations: both });
      await kernel.uncoordinate({ ...spec, operations: both });
      expect({ done, pod: everything(pod), node: everything(network.node) }).toEqual({ done, ...before });
    }
  });
});
