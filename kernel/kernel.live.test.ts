import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ClaimedAddress, MacvlanMode } from '../contracts/pod-network.ts';
import { type Kernel, openKernel } from './kernel.ts';
import type { PlumbSpec } from './kernel-tasks.ts';
import { nameOf, TestNetwork } from './testing/test-network.ts';

let network: TestNetwork;
let kernel: Kernel;
let pod: string;

beforeAll(() => {
  network = new TestNetwork();
  kernel = openKernel({ threads: 3, hostNetns: network.node });
});
afterAll(async () => {
  await kernel.close();
  network.close();
});
beforeEach(() => {
  pod = network.pod();
});
afterEach(async () => {
  await kernel.unplumb({ containerID: '5b1e', ifName: 'eth0', netns: pod });
});

function addresses(host: number): ClaimedAddress[] {
  return [
    {
      family: 4,
      address: `10.70.8.${host}/22`,
      pool: 'v4',
      gateway: '10.70.8.1',
      routes: [
        { dst: '0.0.0.0/0', gw: '10.70.8.1' },
        { dst: '10.99.0.0/16', gw: '10.70.8.2' },
      ],
    },
    {
      family: 6,
      address: `fd00:70::${host.toString(16)}/64`,
      pool: 'v6',
      gateway: 'fd00:70::1',
      routes: [{ dst: '::/0', gw: 'fd00:70::1' }],
    },
  ];
}

async function specFor(netns: string, changes: Partial<PlumbSpec> = {}): Promise<PlumbSpec> {
  const { cookie } = await kernel.identifyNamespace(netns);
  return {
    containerID: '5b1e',
    ifName: 'eth0',
    netns,
    netnsCookie: cookie,
    link: { kind: 'macvlan', master: 'eth1', mode: 'bridge', mtuBytes: 1400 },
    addresses: addresses(20),
    ...changes,
  };
}

const linkConf = (changes: {
  readonly master?: string;
  readonly mode?: MacvlanMode;
  readonly mtuBytes?: number;
}): Pick<PlumbSpec, 'link'> => ({
  link: { kind: 'macvlan', master: 'eth1', mode: 'bridge', ...changes },
});

/** Carries out ip(8) lines as they were printed, on the node. */
const runPrinted = (commands: readonly string[]): void => {
  for (const command of commands) execFileSync('nsenter', [`--net=${network.node}`, 'sh', '-c', command]);
};

describe('plumb', () => {
  it('makes what ip(8) then shows', async () => {
    const { mac, mtuBytes, ifIndex } = await kernel.plumb(await specFor(pod));
    expect(network.json(pod, '-d link show dev eth0')).toMatchObject([
      {
        ifname: 'eth0',
        ifindex: ifIndex,
        address: mac,
        mtu: mtuBytes,
        group: '28530',
        ifalias: 'orbweaver:5b1e/eth0',
        linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } },
        flags: expect.arrayContaining(['UP', 'LOWER_UP']),
      },
    ]);
    expect(mtuBytes).toBe(1400);
    const [shown] = network.json(pod, 'addr show dev eth0');
    expect(shown?.['addr_info']).toMatchObject([
      { local: '10.70.8.20', prefixlen: 22 },
      { local: 'fd00:70::14', prefixlen: 64, nodad: true },
      { scope: 'link' },
    ]);
    const routes = [...network.json(pod, '-4 route show'), ...network.json(pod, '-6 route show')];
    expect(routes.filter(({ protocol }) => protocol === '79')).toMatchObject([
      { dst: 'default', gateway: '10.70.8.1', dev: 'eth0' },
      { dst: '10.99.0.0/16', gateway: '10.70.8.2', dev: 'eth0' },
      { dst: 'default', gateway: 'fd00:70::1', dev: 'eth0' },
    ]);
  });

  it('lets the pod reach its gateways', async () => {
    await kernel.plumb(await specFor(pod));
    for (const gateway of ['10.70.8.1', 'fd00:70::1']) {
      const connect = ['timeout', '5', 'bash', '-c', `< /dev/tcp/${gateway}/9`];
      const { stderr } = spawnSync('nsenter', [`--net=${pod}`, ...connect], { encoding: 'utf8' });
      expect(stderr).toContain('Connection refused'); // nobody listens, and the gateway says so
    }
  });

  it('does what the commands that it prints do', async () => {
    const { commands } = await kernel.plumb(await specFor(pod));
    const made = await kernel.inspect(pod);
    const { commands: removal } = await kernel.unplumb({ containerID: '5b1e', ifName: 'eth0', netns: pod });
    runPrinted(commands);
    const typed = await kernel.inspect(pod);
    expect(comparable(typed)).toEqual(comparable(made));
    runPrinted(removal);
    expect((await kernel.inspect(pod)).links.map(({ ifName }) => ifName)).toEqual(['lo']);
  });

  it('takes the parent’s MTU when none is asked', async () => {
    expect(await kernel.plumb(await specFor(pod, linkConf({})))).toMatchObject({ mtuBytes: 1500 });
  });

  it('finds nothing to do when it is repeated', async () => {
    const spec = await specFor(pod);
    const first = await kernel.plumb(spec);
    expect(await kernel.plumb(spec)).toEqual({ ...first, commands: [] });
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])('completes what was left after %i steps', async (steps) => {
    const spec = await specFor(pod);
    const whole = await kernel.plumb(spec);
    const { mac: _, ...expected } = { ...whole, state: comparable(await kernel.inspect(pod)) };
    await kernel.unplumb(spec);
    runPrinted(whole.commands.slice(0, steps));
    const { commands, mtuBytes } = await kernel.plumb(spec);
    expect(commands).toEqual(whole.commands.slice(steps));
    expect(mtuBytes).toBe(expected.mtuBytes);
    expect(comparable(await kernel.inspect(pod))).toEqual(expected.state);
  });

  it('makes fifty at once while the event loop goes on', async () => {
    const pods = Array.from({ length: 50 }, () => network.pod());
    const specs = await Promise.all(
      pods.map((netns, index) => specFor(netns, { containerID: `c${index}`, addresses: addresses(30 + index) })),
    );
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const startedAt = performance.now();
    const plumbed = await Promise.all(specs.map((spec) => kernel.plumb(spec)));
    const plumbMs = performance.now() - startedAt;
    const differences = await Promise.all(specs.map((spec) => kernel.check(spec)));
    expect(new Set(plumbed.map(({ mac }) => mac)).size).toBe(50);
    expect(differences.flat()).toEqual([]);
    const removed = await Promise.all(specs.map((spec) => kernel.unplumb(spec)));
    delay.disable();
    expect(removed.every(({ removed }) => removed)).toBe(true);
    const figures = [plumbMs, performance.now() - startedAt, delay.percentile(99) / 1e6].map((value) =>
      value.toFixed(1),
    );
    console.info(
      `50 at once: plumb ${figures[0]} ms, with check and unplumb ${figures[1]} ms, loop delay p99 ${figures[2]} ms`,
    );
  });
});

/** A namespace without what differs from one making to the next: MAC, the address made of it, indexes. */
function comparable({ links, addresses, routes }: Awaited<ReturnType<Kernel['inspect']>>): unknown {
  const names = new Map(links.map(({ ifIndex, ifName }) => [ifIndex, ifName]));
  const named = (key: string, value: unknown): unknown => {
    if (key === 'mac') return undefined;
    return key === 'ifIndex' && typeof value === 'number' ? names.get(value) : value;
  };
  const lasting = { links, addresses: addresses.filter(({ isLinkLocal }) => !isLinkLocal), routes };
  return JSON.parse(JSON.stringify(lasting, named));
}

describe('a plumb is refused, and leaves pod and node as they were,', () => {
  const state = (): unknown => [network.dump(network.node), network.dump(pod)];

  it.each<[string, Partial<PlumbSpec>, string, string]>([
    ['without the parent', linkConf({ master: 'eth9' }), 'ParentLinkMissing', '"eth9"'],
    ['with more MTU than the parent has', linkConf({ mtuBytes: 9000 }), 'InvalidConfig', '1500 bytes'],
    [
      'with a gateway in another subnet',
      {
        addresses: [
          { family: 4, address: '10.70.8.20/22', pool: 'v4', routes: [{ dst: '0.0.0.0/0', gw: '10.71.0.1' }] },
        ],
      },
      'InvalidConfig',
      '10.71.0.1',
    ],
    [
      'in a namespace that is not the sandbox’s',
      { netnsCookie: '1234567' },
      'InvalidNamespace',
      'no longer the namespace',
    ],
  ])('%s', async (_, changes, type, found) => {
    const before = state();
    await expect(kernel.plumb(await specFor(pod, changes))).rejects.toMatchObject({
      type,
      message: expect.stringContaining(found),
      remedy: expect.any(String),
    });
    expect(state()).toEqual(before);
  });
});

describe('a plumb that fails on its way', () => {
  it('takes back the steps before the one that the kernel refused', async () => {
    execFileSync('ip', ['netns', 'exec', nameOf(pod), 'sysctl', '-q', '-w', 'net.ipv6.conf.default.disable_ipv6=1']);
    const before = network.dump(pod);
    await expect(kernel.plumb(await specFor(pod))).rejects.toMatchObject({
      type: 'KernelRefused',
      message: expect.stringMatching(
        /refused "ip -n \S+ addr add fd00:70::14\/64 dev eth0 nodad": E\w+, .*IPv6 is disabled/,
      ),
    });
    expect(network.dump(pod)).toEqual(before);
  });

  it('says what mode passthru means when the kernel does not', async () => {
    const second = network.pod();
    await kernel.plumb(await specFor(pod, linkConf({ mode: 'passthru' })));
    const before = network.dump(second);
    await expect(kernel.plumb(await specFor(second, linkConf({ mode: 'passthru' })))).rejects.toMatchObject({
      type: 'KernelRefused',
      message: expect.stringMatching(/refused "ip link add link eth1 name eth0 .* mode passthru": EINVAL/),
      remedy: expect.stringContaining('one interface only'),
    });
    expect(network.dump(second)).toEqual(before);
  });

  it('leaves another’s interface of that name alone and says what it is', async () => {
    network.ip(pod, 'link add eth0 type veth peer name other');
    const before = network.dump(pod);
    await expect(kernel.plumb(await specFor(pod))).rejects.toMatchObject({
      type: 'InterfaceExists',
      message: expect.stringMatching(/\(veth, MAC .*\), which is not ours\. Nothing was changed/),
    });
    expect(await kernel.unplumb(await specFor(pod))).toEqual({ removed: false, commands: [] });
    expect(network.dump(pod)).toEqual(before);
  });
});

describe('unplumb', () => {
  it('leaves pod and node as they were before plumb, also when it is repeated', async () => {
    const before = [network.dump(network.node), network.dump(pod)];
    const spec = await specFor(pod);
    await kernel.plumb(spec);
    expect(await kernel.unplumb(spec)).toMatchObject({ removed: true });
    expect([network.dump(network.node), network.dump(pod)]).toEqual(before);
    expect(await kernel.unplumb(spec)).toEqual({ removed: false, commands: [] });
  });

  it('finds the interface under another name', async () => {
    const spec = await specFor(pod);
    await kernel.plumb(spec);
    network.ip(pod, 'link set dev eth0 down');
    network.ip(pod, 'link set dev eth0 name moved');
    expect(await kernel.findMarked(pod)).toMatchObject([{ containerID: '5b1e', ifName: 'eth0', linkName: 'moved' }]);
    expect((await kernel.unplumb(spec)).commands).toEqual([`ip -n ${nameOf(pod)} link del dev moved`]);
  });

  it('leaves the interface of another sandbox, and of a namespace that took the path over', async () => {
    const spec = await specFor(pod);
    await kernel.plumb(spec);
    expect(await kernel.unplumb({ ...spec, containerID: '77aa' })).toMatchObject({ removed: false });
    expect(await kernel.unplumb({ ...spec, netnsCookie: '1234567' })).toMatchObject({ removed: false });
    expect(await kernel.check(spec)).toEqual([]);
  });

  it('succeeds when the namespace is gone', async () => {
    const gone = network.pod();
    const spec = await specFor(gone, { containerID: 'gone' });
    await kernel.plumb(spec);
    network.remove(gone);
    expect(await kernel.unplumb(spec)).toEqual({ removed: false, commands: [] });
  });

  it('finds a namespace whose path is gone by the process in it', async () => {
    const hidden = network.pod();
    const spec = await specFor(hidden, { containerID: 'hidden' });
    await kernel.plumb(spec);
    const process = spawn('ip', ['netns', 'exec', nameOf(hidden), 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      process.stdin.write('ready');
      await once(process.stdout, 'data');
      expect(await kernel.hasProcesses(hidden)).toBe(true);
      network.remove(hidden);
      expect(await kernel.namespaceState(hidden, spec.netnsCookie)).toBe('alive');
      expect(await kernel.unplumb(spec)).toMatchObject({ removed: true });
    } finally {
      process.kill();
      await once(process, 'exit');
    }
    expect(await kernel.namespaceState(hidden, spec.netnsCookie)).toBe('gone');
  });
});

describe('the addresses of another plugin’s interface', () => {
  it('are taken off it, and only they', async () => {
    network.ip(pod, 'link add net1 type veth peer name other');
    network.ip(pod, 'addr add 10.70.8.20/22 dev net1');
    network.ip(pod, 'addr add 10.71.0.21/24 dev net1');
    network.ip(pod, 'addr add fd00:70::14/64 dev net1 nodad');
    const { cookie } = await kernel.identifyNamespace(pod);
    const spec = { netns: pod, netnsCookie: cookie, ifName: 'net1', addresses: ['10.70.8.20/22', 'FD00:70::14/64'] };
    await kernel.removeAddresses(spec);
    const left = (await kernel.inspect(pod)).addresses.filter(({ isLinkLocal }) => !isLinkLocal);
    expect(left.map(({ address }) => address)).toEqual(['10.71.0.21/24']);
    await kernel.removeAddresses(spec);
    await kernel.removeAddresses({ ...spec, ifName: 'net9' });
    await kernel.removeAddresses({ ...spec, netns: '/run/netns/none' });
  });
});

describe('a check', () => {
  it('names what was changed behind our back', async () => {
    const spec = await specFor(pod);
    const { mac } = await kernel.plumb(spec);
    network.ip(pod, 'addr del 10.70.8.20/22 dev eth0');
    network.ip(pod, 'link set dev eth0 mtu 1300');
    network.ip(pod, 'link set dev eth0 address 02:00:00:00:00:99');
    expect(await kernel.check({ ...spec, mac })).toEqual([
      `Interface "eth0" has MAC 02:00:00:00:00:99 instead of ${mac}`,
      'Interface "eth0" has an MTU of 1300 instead of 1400',
      'Interface "eth0" has lost address 10.70.8.20/22',
      'The route to 0.0.0.0/0 via 10.70.8.1 on "eth0" is gone',
      'The route to 10.99.0.0/16 via 10.70.8.2 on "eth0" is gone',
    ]);
  });
});

describe('a path from a request', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'orbweaver-netns-'));
    writeFileSync(join(directory, 'file'), '');
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    execFileSync('ln', ['-s', 'loop', join(directory, 'loop')]);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each([
    ['file', 'a regular file'],
    ['fifo', 'a FIFO'],
    ['.', 'a directory'],
    ['loop', 'ELOOP'],
    ['absent', 'no such file'],
    ['file/below', 'no such file'],
    ['/dev/null', 'a device'],
    ['/proc/self/ns/mnt', 'a namespace of another type'],
    ['/proc/self/ns/net/x', 'no such file'],
  ])('is refused when it is %s', async (path, found) => {
    const named = path.startsWith('/') ? path : join(directory, path);
    await expect(kernel.identifyNamespace(named)).rejects.toMatchObject({
      type: 'InvalidNamespace',
      message: expect.stringContaining(found),
      remedy: expect.any(String),
    });
  });

  it.each(['', 'run/netns/x', '/run/netns/a\0b'])('is refused when it is %j', async (path) => {
    await expect(kernel.identifyNamespace(path)).rejects.toMatchObject({ type: 'InvalidNamespace' });
  });

  it('is refused when it names the node’s own namespace', async () => {
    await expect(kernel.identifyNamespace(network.node)).rejects.toMatchObject({
      message: expect.stringContaining('own'),
    });
  });

  it('is followed when it is a link to a namespace', async () => {
    const link = join(directory, 'link');
    execFileSync('ln', ['-s', pod, link]);
    expect(await kernel.identifyNamespace(link)).toEqual(await kernel.identifyNamespace(pod));
  });
});

describe('a namespace', () => {
  it('is gone once its path opens none, and another once the path is taken again', async () => {
    const path = network.pod('again');
    const { cookie } = await kernel.identifyNamespace(path);
    expect(await kernel.namespaceState(path, cookie)).toBe('alive');
    network.remove(path);
    expect(await kernel.namespaceState(path, cookie)).toBe('gone');
    network.pod('again');
    expect(await kernel.namespaceState(path, cookie)).toBe('other');
  });

  it('whose path is a leftover file is gone', async () => {
    const { cookie } = await kernel.identifyNamespace(pod);
    execFileSync('umount', [pod]);
    expect(await kernel.namespaceState(pod, cookie)).toBe('gone');
  });

  it('that only another process sees mounted is alive', async () => {
    const path = network.pod();
    const { cookie } = await kernel.identifyNamespace(path);
    const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    try {
      holder.stdin.write('ready');
      await once(holder.stdout, 'data');
      execFileSync('umount', [path]);
      expect(await kernel.namespaceState(path, cookie)).toBe('alive');
      expect(await kernel.namespaceState(`/var${path}`, cookie)).toBe('alive'); // as container runtimes write it
      expect(await kernel.canSeeNamespaceMounts('/run/netns')).toMatchObject({
        sees: false,
        reason: expect.stringContaining(nameOf(path)),
      });
    } finally {
      holder.kill();
      await once(holder, 'exit');
    }
    expect(await kernel.namespaceState(path, cookie)).toBe('gone');
    expect(await kernel.canSeeNamespaceMounts(path)).toEqual({ sees: true });
  });
});

describe('an announcement', () => {
  it('corrects what the neighbours remember', async () => {
    const spec = await specFor(pod);
    const { mac } = await kernel.plumb(spec);
    for (const address of ['10.70.8.20', 'fd00:70::14']) {
      network.ip(network.outside, `neigh replace ${address} lladdr 02:00:00:00:00:99 dev wire nud reachable`);
    }
    const remembered = (): unknown[] =>
      network
        .json(network.outside, 'neigh show dev wire')
        .filter(({ dst }) => dst === '10.70.8.20' || dst === 'fd00:70::14')
        .map(({ lladdr }) => lladdr);
    expect(remembered()).toEqual(['02:00:00:00:00:99', '02:00:00:00:00:99']);
    await kernel.announce({ ...spec, mac, addresses: spec.addresses.map(({ address }) => address) });
    await until(remembered, (macs) => expect(macs).toEqual([mac, mac]));
  });

  it('is refused when the interface is gone', async () => {
    const announcement = { netns: pod, ifName: 'eth0', mac: '02:00:00:00:00:05', addresses: ['10.70.8.20'] };
    await expect(kernel.announce(announcement)).rejects.toMatchObject({ type: 'KernelRefused' });
  });
});

/** Repeats a look until it shows what is expected; then, or after half a minute, the expectation speaks. */
async function until<Seen>(look: () => Seen, expectation: (seen: Seen) => void): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      return expectation(look());
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the process', () => {
  it('stays in its own namespace whatever its threads did', async () => {
    const host = openKernel({ threads: 2 });
    try {
      await Promise.all(Array.from({ length: 20 }, () => host.inspect(pod)));
      const seen = (await host.inspect()).links.map(({ ifName }) => ifName);
      const truth = JSON.parse(execFileSync('ip', ['-j', 'link', 'show'], { encoding: 'utf8' })) as {
        ifname: string;
      }[];
      expect(seen).toEqual(truth.map(({ ifname }) => ifname));
    } finally {
      await host.close();
    }
  });
});

describe('settings of the node', () => {
  const forwarding = (): string =>
    execFileSync('nsenter', [`--net=${network.node}`, 'cat', '/proc/sys/net/ipv4/conf/all/forwarding'], {
      encoding: 'utf8',
    }).trim();

  it('are set in its namespace, once, and what the kernel lacks is not missed', async () => {
    const wanted = [
      { key: 'net.ipv4.conf.all.forwarding', value: '1' },
      { key: 'net.ipv4.neigh.default.gc_thresh3', value: '999999', isLeast: true }, // a namespace has none of its own
    ];
    execFileSync('nsenter', [`--net=${network.node}`, 'sysctl', '-q', '-w', 'net.ipv4.conf.all.forwarding=0']);
    expect(await kernel.tuneNode(wanted)).toEqual({
      commands: ['sysctl -w net.ipv4.conf.all.forwarding=1'],
      refused: [],
    });
    expect(forwarding()).toBe('1');
    expect(await kernel.tuneNode(wanted)).toEqual({ commands: [], refused: [] });
  });

  it('that the kernel refuses are told with the reason', async () => {
    expect(await kernel.tuneNode([{ key: 'net.ipv4.conf.all.forwarding', value: 'no number' }])).toEqual({
      commands: [],
      refused: [
        { command: 'sysctl -w net.ipv4.conf.all.forwarding=no number', why: expect.stringContaining('EINVAL') },
      ],
    });
  });
});
