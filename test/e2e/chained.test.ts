import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { deployment, underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { type CniAnswer, HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import type { StackNode } from '../../deploy/dev/node.ts';
import { toolPath } from '../../deploy/toolchain/parts.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import { violationsOf } from './invariants.ts';
import { TestCluster, timed } from './test-cluster.ts';

/** Every key that Spiderpool documents for its IPAM section, in the shapes that its documents and its own generator write. */
const spiderpoolKeys = {
  type: 'spiderpool',
  default_ipv4_ippool: ['shared-v4'],
  default_ipv6_ippool: ['shared-v6'],
  clean_gateway: false,
  match_master_subnet: false,
  ipam_unix_socket_path: '/var/run/spidernet/spiderpool.sock',
  log_level: 'DEBUG',
  log_file_path: '/var/log/spidernet/spiderpool.log',
  log_file_max_size: '100',
  log_file_max_age: 30,
  log_file_max_count: 7,
};
const macvlan = { type: 'macvlan', master: 'underlay0', mode: 'bridge' };

/** One plugin, written as users wrote it for CNI 0.3.1. */
const singlePlugin = { cniVersion: '0.3.1', name: 'chained', ...macvlan, ipam: spiderpoolKeys };
/** A list, as Spiderpool generates it from a SpiderMultusConfig: without a name of its own, which Multus then gives it. */
const conflist = {
  cniVersion: '0.3.1',
  plugins: [
    {
      ...macvlan,
      ipam: { type: 'spiderpool', default_ipv4_ippool: ['shared-v4'], default_ipv6_ippool: null, clean_gateway: true },
    },
  ],
};
const definition = (name: string, config: object): object => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name, namespace: 'default' },
  spec: { config: JSON.stringify(config) },
});

let cluster: TestCluster;
let nodeA: StackNode;
let nodeB: StackNode;
beforeAll(async () => {
  cluster = await TestCluster.start();
  const [first, second] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error('Two nodes are needed');
  nodeA = first.node;
  nodeB = second.node;
  await cluster.stack.apply(
    underlayPool('shared-v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('shared-v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
    underlayPool('one-v4', 4, ['10.70.9.9'], { default: false }),
    underlayPool('one-v6', 6, ['fd00:70::9:9'], { default: false }),
    definition('chained', singlePlugin),
    definition('chained-second', conflist),
  );
  await cluster.remember();
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);

const done: CniAnswer = { exitCode: 0, body: undefined };
/** The addresses of two pools that have one each. */
const scarce = ['10.70.9.9', 'fd00:70::9:9'];
const bothFamilies = { [ippoolAnnotation]: '{"ipv4": ["one-v4"], "ipv6": ["one-v6"]}' };
/** Without the second in which the other plugin waits for IPv6. */
const v4Only = { [ippoolAnnotation]: '{"ipv4": ["one-v4"]}' };

const deployments = ['whole', 'chained'] as const;

/** Waits until all pods run. */
async function untilRolledOut(): Promise<void> {
  for (const name of deployments) {
    await cluster.stack.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=150s');
  }
}

interface HeldAddress {
  readonly claim: string;
  readonly address: string;
  readonly pool: string;
  readonly phase: string;
  readonly pod: string;
  readonly node: string;
  readonly network: string;
  readonly interface: string;
  readonly containerID: string;
}

/** All claims, by name, each beside its holder. */
const heldAddresses = async (): Promise<readonly HeldAddress[]> =>
  (await cluster.claims())
    .flatMap(({ metadata, spec }) =>
      spec.holders.map((holder) => ({
        ...holder,
        claim: metadata.name,
        address: spec.address.replace(/\/.*/, ''),
        pool: spec.pool,
        phase: spec.phase,
      })),
    )
    .sort((one, other) => one.claim.localeCompare(other.claim));

/** Pings every target and prints those that do not answer. */
const ping = (targets: readonly string[], seconds = 3): string[] => [
  'sh',
  '-c',
  `for to in "$@"; do busybox ping -c 1 -W ${seconds} "$to" >/dev/null || echo "$to"; done`,
  'sh',
  ...targets,
];

describe('two Deployments on one pool, one in whole mode and one chained', () => {
  beforeAll(async () => {
    await cluster.stack.apply(
      deployment('whole', 2, { 'v1.multus-cni.io/default-network': 'orbweaver-system/underlay' }),
      deployment('chained', 2, {
        'v1.multus-cni.io/default-network': 'default/chained',
        'k8s.v1.cni.cncf.io/networks': 'default/chained-second',
      }),
    );
    await untilRolledOut();
  }, 400_000);

  it('give each NIC an address of its own, on both nodes', async () => {
    const held = await heldAddresses();
    // The second network asks for IPv4 only.
    const nics = ['shared-v4 chained eth0', 'shared-v4 chained-second net1', 'shared-v4 underlay eth0'];
    nics.push('shared-v6 chained eth0', 'shared-v6 underlay eth0');
    for (const node of [nodeA.name, nodeB.name]) {
      const here = held.filter((one) => one.node === node);
      expect(here.map(({ pool, network, interface: ifName }) => `${pool} ${network} ${ifName}`).sort()).toEqual(nics);
    }
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('reach each other across nodes and are reached from outside, at every NIC', async () => {
    const held = await heldAddresses();
    const targets = held.map(({ address }) => address);
    expect(await cluster.stack.outside.exec(ping(targets))).toBe('');
    for (const network of ['underlay', 'chained']) {
      const pod = held.find((one) => one.network === network)?.pod ?? '';
      expect(await cluster.stack.kubectl('exec', pod, '--', ...ping(targets))).toBe('');
    }
  });

  it('stay as they are when the node workers are killed and start again', async () => {
    const before = await cluster.state();
    await Promise.all(cluster.nodes.map((node) => cluster.restartWorker('SIGKILL', node)));
    await Promise.all(cluster.nodes.map(({ node }) => node.untilReady()));
    expect(await cluster.state()).toEqual(before);
    expect(await cluster.stack.outside.exec(ping((await heldAddresses()).map(({ address }) => address)))).toBe('');
  });

  it('keep the addresses of every NIC when a sandbox ends and kubelet makes the next one', async () => {
    const before = (await heldAddresses()).filter(({ network, node }) => network !== 'underlay' && node === nodeA.name);
    const [first] = before;
    if (first === undefined) throw new Error('No chained pod on this node');
    const { containerID, pod } = first;
    const endpoint = `unix://${nodeA.paths.criSocket}`;
    await nodeA.exec([toolPath('crictl'), '--runtime-endpoint', endpoint, '--timeout', '30s', 'stopp', containerID]);
    const after = await eventually('Three claims name the new sandbox', 60, async () => {
      const held = (await heldAddresses()).filter((one) => one.pod === pod);
      const moved = held.filter((one) => one.containerID !== containerID && one.phase === 'Bound');
      return moved.length === 3 ? { value: moved } : { state: JSON.stringify(held) };
    });
    expect(after.map(({ claim }) => claim)).toEqual(before.map(({ claim }) => claim));
    await untilRolledOut();
    expect(violationsOf(await cluster.state())).toEqual([]);
  }, 300_000);

  it('leave nothing when they are deleted', async () => {
    await cluster.stack.kubectl('delete', 'deployment', ...deployments, '--wait=true');
    await cluster.untilAsRemembered(60);
  }, 180_000);
});

interface ChainOptions {
  readonly cniVersion?: string;
  readonly ifName?: string;
  readonly ipam?: object;
  readonly conf?: object;
  readonly env?: Readonly<Record<string, string>>;
}

/** Calls the community macvlan plugin as a runtime does; it calls ours for the addresses. */
const chain = (
  sandbox: HandMadeSandbox,
  command: string,
  { cniVersion = '1.0.0', ifName = 'eth0', ipam = {}, conf = {}, env = {} }: ChainOptions = {},
): Promise<CniAnswer> =>
  sandbox.call(command, {
    plugin: 'macvlan',
    env: { CNI_IFNAME: ifName, ...env },
    stdin: JSON.stringify({ cniVersion, name: 'chained', ...macvlan, ipam: { ...spiderpoolKeys, ...ipam }, ...conf }),
  });

/** What macvlan says to its IPAM plugin, alone: the moment in a DEL at which its link is still there. */
const ipamAlone = (sandbox: HandMadeSandbox, command: string, env: Readonly<Record<string, string>> = {}) =>
  sandbox.call(command, { plugin: 'spiderpool', env, stdin: JSON.stringify({ ...singlePlugin, cniVersion: '1.0.0' }) });

describe('a chain whose calls come one at a time', () => {
  const sandboxes: HandMadeSandbox[] = [];
  const sandboxOn = async (node: StackNode, podName: string, annotations: Record<string, string> = {}) => {
    const sandbox = await HandMadeSandbox.create(cluster.stack, node, podName, annotations);
    sandboxes.push(sandbox);
    return sandbox;
  };
  const attached = async (podName: string, annotations: Record<string, string> = v4Only) => {
    const sandbox = await sandboxOn(nodeA, podName, annotations);
    expect(await chain(sandbox, 'ADD')).toMatchObject({ exitCode: 0 });
    return sandbox;
  };
  afterEach(async () => {
    await Promise.all(
      sandboxes.splice(0).map(async (sandbox) => {
        await cluster.deletePod(sandbox);
        await chain(sandbox, 'DEL');
        await sandbox.deleteNamespace();
      }),
    );
    await cluster.untilAsRemembered();
  });

  const expectDone = async (deleting: Promise<CniAnswer>): Promise<void> => {
    const { seconds, ...answer } = await timed(deleting);
    expect(answer).toEqual(done);
    expect(seconds).toBeLessThan(5);
  };
  const addressesOf = (sandbox: HandMadeSandbox) => sandbox.exec(['ip', '-o', 'addr', 'show', 'scope', 'global']);
  const macOf = async (sandbox: HandMadeSandbox) =>
    (await sandbox.exec(['ip', '-br', 'link', 'show', 'eth0'])).split(/ +/)[2] ?? '';
  const scarceClaims = async () =>
    (await heldAddresses())
      .filter(({ pool }) => pool.startsWith('one-'))
      .map(({ claim, phase }) => `${claim} ${phase}`);

  /** Which of the scarce addresses a machine finds that has just forgotten all of its neighbours. */
  const answering = async (): Promise<readonly string[]> => {
    await cluster.stack.outside.exec(['sh', '-c', 'ip neigh flush all; ip -6 neigh flush all']);
    const silent = (await cluster.stack.outside.exec(ping(scarce, 1))).split('\n').filter((line) => line !== '');
    const neighbours = await cluster.stack.outside.exec(['ip', 'neigh']);
    for (const address of silent) {
      expect(neighbours).toMatch(new RegExp(String.raw`^${address} dev eth0 +(FAILED|INCOMPLETE)`, 'm'));
    }
    return scarce.filter((address) => !silent.includes(address));
  };

  it('serves CNI 0.3.1 to 1.1.0, with the result of the ADD in CHECK and DEL', async () => {
    const serve = async (cniVersion: string): Promise<void> => {
      const sandbox = await sandboxOn(nodeA, `version-${cniVersion}`);
      const { exitCode, body } = await chain(sandbox, 'ADD', { cniVersion });
      expect({ exitCode, body }).toMatchObject({
        exitCode: 0,
        body: {
          cniVersion,
          interfaces: [{ name: 'eth0', sandbox: sandbox.netns }],
          ips: [
            { address: expect.stringMatching(/^10\.70\.8\.\d+\/16$/), gateway: '10.70.0.1', interface: 0 },
            { address: expect.stringMatching(/^fd00:70::8:\w+\/64$/), gateway: 'fd00:70::1', interface: 0 },
          ],
          routes: [
            { dst: '0.0.0.0/0', gw: '10.70.0.1' },
            { dst: '::/0', gw: 'fd00:70::1' },
          ],
        },
      });
      const conf = { prevResult: body };
      // CHECK came with 0.4.0.
      if (cniVersion !== '0.3.1') expect(await chain(sandbox, 'CHECK', { cniVersion, conf })).toEqual(done);
      await cluster.deletePod(sandbox);
      await expectDone(chain(sandbox, 'DEL', { cniVersion, conf }));
      await expectDone(chain(sandbox, 'DEL', { cniVersion, conf }));
      expect(await cluster.claimsOf(sandbox)).toEqual([]);
      expect(await sandbox.look()).not.toContain('eth0');
      await cluster.untilStatus(sandbox, 'COMPLETED');
    };
    await Promise.all(['0.3.1', '0.4.0', '1.0.0', '1.1.0'].map(serve));
  });

  it('CHECK tells what the other plugin cannot know: the address is not claimed any more', async () => {
    const sandbox = await sandboxOn(nodeA, 'check', v4Only);
    const { body } = await chain(sandbox, 'ADD');
    for (const claim of await cluster.claimsOf(sandbox)) {
      await cluster.stack.kubectl('delete', 'ipclaim', claim.split(' ', 1).join());
    }
    expect(await chain(sandbox, 'CHECK', { conf: { prevResult: body } })).toMatchObject({
      exitCode: 1,
      body: { code: 103, msg: expect.stringContaining('not claimed') },
    });
  });

  it('STATUS asks us', async () => {
    const sandbox = await sandboxOn(nodeA, 'status');
    expect(await chain(sandbox, 'STATUS', { cniVersion: '1.1.0' })).toEqual(done);
    const alive = join(nodeA.paths.run, 'alive');
    cluster.node.worker.signal('SIGSTOP');
    try {
      await nodeA.exec(['touch', '-d', '1 minute ago', alive]);
      expect(await chain(sandbox, 'STATUS', { cniVersion: '1.1.0' })).toMatchObject({
        exitCode: 1,
        body: { code: 50 },
      });
    } finally {
      await nodeA.exec(['touch', alive]);
      cluster.node.worker.signal('SIGCONT');
    }
  });

  it('takes the addresses off an interface that is still there, and only then are they free', async () => {
    const old = await attached('old', bothFamilies);
    expect(await answering()).toEqual(scarce);
    await cluster.deletePod(old);

    // Between the two every try fails, so that there is time to look.
    await cluster.inject('before claims.release\n'.repeat(1000));
    await expectDone(ipamAlone(old, 'DEL'));
    expect(await scarceClaims()).toEqual(['10.70.9.9 Bound', 'fd00-0070-0000-0000-0000-0000-0009-0009 Bound']);
    expect(await addressesOf(old)).toBe('');
    expect(await answering()).toEqual([]);
    await eventually('The addresses are free', 30, async () => {
      await cluster.inject('');
      const left = await scarceClaims();
      return left.length === 0 ? { value: true } : { state: left.join() };
    });

    // The link belongs to macvlan, which may take its time; a machine that knows its MAC finds the next owner all the same.
    const remember = `mac=$1; for to in ${scarce.join(' ')}; do ip neigh replace $to lladdr $mac nud reachable dev eth0; done`;
    await cluster.stack.outside.exec(['sh', '-c', remember, 'sh', await macOf(old)]);
    const next = await sandboxOn(nodeB, 'next', bothFamilies);
    expect(await chain(next, 'ADD')).toMatchObject({ exitCode: 0 });
    expect(await cluster.stack.outside.exec(ping(scarce))).toBe('');
    const neighbours = await cluster.stack.outside.exec(['ip', 'neigh']);
    for (const address of scarce) expect(neighbours).toContain(`${address} dev eth0 lladdr ${await macOf(next)}`);

    await expectDone(chain(old, 'DEL'));
    expect(await old.look()).not.toContain('eth0');
    expect(await cluster.claimsOf(next)).toHaveLength(2);
    expect(await answering()).toEqual(scarce);
  });

  it.each<readonly [string, (sandbox: HandMadeSandbox) => Promise<unknown>]>([
    [
      'was renamed',
      (sandbox) => sandbox.exec(['sh', '-c', 'ip link set eth0 down; ip link set eth0 name x0; ip link set x0 up']),
    ],
    [
      'has another prefix length by now',
      (sandbox) => sandbox.exec(['sh', '-c', 'ip addr del 10.70.9.9/16 dev eth0; ip addr add 10.70.9.9/24 dev eth0']),
    ],
    [
      'has lost its record',
      (sandbox) => nodeA.exec(['rm', '-r', `${nodeA.paths.run}/attachments/${sandbox.containerID}`]),
    ],
  ])('takes the addresses off an interface that %s', async (_, change) => {
    const sandbox = await attached('changed');
    await change(sandbox);
    await cluster.deletePod(sandbox);
    await expectDone(ipamAlone(sandbox, 'DEL'));
    expect(await addressesOf(sandbox)).toBe('');
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await sandbox.exec(['sh', '-c', 'ip link del x0 || true']);
  });

  it.each<readonly [string, (sandbox: HandMadeSandbox) => Promise<unknown>, ChainOptions]>([
    ['the interface is gone', (sandbox) => sandbox.exec(['ip', 'link', 'del', 'eth0']), {}],
    ['the namespace is gone', (sandbox) => sandbox.deleteNamespace(), {}],
    [
      'the runtime names no namespace',
      (sandbox) => sandbox.exec(['ip', 'link', 'del', 'eth0']),
      { env: { CNI_NETNS: '' } },
    ],
    ['the parent interface is gone', async () => undefined, { conf: { master: 'nowhere' } }],
  ])('frees the addresses when %s', async (_, lose, options) => {
    const sandbox = await attached('lost');
    await lose(sandbox);
    await cluster.deletePod(sandbox);
    await expectDone(chain(sandbox, 'DEL', options));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('leaves nothing of an ADD that never came as far as to us', async () => {
    const sandbox = await sandboxOn(nodeA, 'no-master');
    expect(await chain(sandbox, 'ADD', { conf: { master: 'nowhere' } })).toMatchObject({
      exitCode: 1,
      body: { msg: 'Link not found' },
    });
    await expectDone(chain(sandbox, 'DEL', { conf: { master: 'nowhere' } }));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('holds the addresses for the next try when the other plugin fails after we gave them', async () => {
    // The other plugin waits for duplicate address detection, and somebody on the network has this address.
    await cluster.stack.outside.exec(['sh', '-c', 'ip addr add fd00:70::9:9/64 dev eth0 nodad']);
    const first = await sandboxOn(nodeA, 'conflict', bothFamilies);
    try {
      const msg = expect.stringContaining('DADFAILED');
      expect(await chain(first, 'ADD')).toMatchObject({ exitCode: 1, body: { msg } });
    } finally {
      await cluster.stack.outside.exec(['sh', '-c', 'ip addr del fd00:70::9:9/64 dev eth0']);
    }
    expect(await scarceClaims()).toEqual(['10.70.9.9 Held', 'fd00-0070-0000-0000-0000-0000-0009-0009 Held']);
    expect(await addressesOf(first)).toBe(''); // macvlan leaves its link behind here
    await expectDone(chain(first, 'DEL'));

    const second = await HandMadeSandbox.inPod(cluster.stack, nodeA, { name: first.podName, uid: first.podUID });
    sandboxes.push(second);
    expect(await chain(second, 'ADD')).toMatchObject({ exitCode: 0, body: { ips: [{ address: '10.70.9.9/16' }, {}] } });
  });

  it('beside a whole network makes two NICs of one run, of which each goes with its own DEL', async () => {
    const sandbox = await sandboxOn(nodeA, 'beside', { [ippoolAnnotation]: '{"ipv4": ["shared-v4"]}' });
    const second: ChainOptions = { ifName: 'net1', ipam: { clean_gateway: true } };
    expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
    expect(await chain(sandbox, 'ADD', second)).toMatchObject({ exitCode: 0 });
    expect(
      (await cluster.untilAttached(sandbox, 2)).interfaces.map(
        ({ ifName, network, phase }) => `${ifName} ${network} ${phase}`,
      ),
    ).toEqual(['eth0 underlay Attached', 'net1 chained Attached']);
    expect(violationsOf(await cluster.state())).toEqual([]);
    await cluster.deletePod(sandbox);

    await expectDone(chain(sandbox, 'DEL', second));
    expect(await sandbox.look()).not.toContain('net1');
    expect(await sandbox.call('CHECK')).toEqual(done);
    expect(await cluster.claimsOf(sandbox)).toHaveLength(1);
    expect(await cluster.statusOf(sandbox)).toBe('RUNNING');

    await expectDone(sandbox.del());
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('GC does nothing in the other plugin; asked ourselves we let go of what is proven gone', async () => {
    const gone = await attached('gone');
    const living = await sandboxOn(nodeA, 'living', { [ippoolAnnotation]: '{"ipv4": ["shared-v4"]}' });
    expect(await chain(living, 'ADD')).toMatchObject({ exitCode: 0 });
    await gone.deleteNamespace();
    const conf = { 'cni.dev/valid-attachments': [] };
    expect(await chain(gone, 'GC', { cniVersion: '1.1.0', conf })).toEqual(done);
    expect(await cluster.claimsOf(gone)).toEqual(['10.70.9.9 Bound']);
    const stdin = JSON.stringify({ ...singlePlugin, cniVersion: '1.1.0', ...conf });
    expect(await gone.call('GC', { plugin: 'spiderpool', stdin })).toEqual(done);
    expect(await cluster.claimsOf(gone)).toEqual(['10.70.9.9 Held']); // for its pod, which lives
    expect(await cluster.claimsOf(living)).toEqual([expect.stringMatching(/ Bound$/)]);
  });
});
