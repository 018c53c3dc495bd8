/** Links that pods share, and the kinds of interfaces, made by our planner and kernel code: with traffic, and the way back. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { LinkConf } from '../../contracts/pod-network.ts';
import { type BondConf, type BondOptions, bondModes, type SharedLinkConf } from '../../contracts/shared-link.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { type Kernel, openKernel } from '../../kernel/kernel.ts';
import type { PlumbSpec } from '../../kernel/kernel-tasks.ts';
import { kernelDump } from './kernel-dump.ts';
import { answers, ping, reaches, tcpEcho } from './traffic.ts';
import { ip, ipJson, nameOf, TwoNodes } from './two-nodes.ts';

/** An outage that is longer than this is no failover. */
const failoverMs = 3000;

let nodes: TwoNodes;
let kernelA: Kernel;
let kernelB: Kernel;

const cables = ['eth1', 'eth2'] as const;
/** Two more uplinks of each node to the switch outside. */
const uplinks = ['eth3', 'eth4'] as const;
/** Two nodes that are joined by cables must send through the same one; a switch sends everything to where it was last heard from. */
const switched: readonly BondConf['mode'][] = ['active-backup', 'balance-tlb', 'balance-alb'];

function bond(mode: BondConf['mode'] = 'active-backup', options: BondOptions = {}): BondConf {
  const ports = switched.includes(mode) ? uplinks : cables;
  return { kind: 'bond', name: 'bond0', ports, mode, options: { miimon: '50', ...options } };
}
const vlan = { kind: 'vlan', name: 'bond0.120', parent: 'bond0', vlanID: 120 } as const;
const dumps = (): unknown => unordered([kernelDump(nodes.a), kernelDump(nodes.b)]);
const seen = async (): Promise<unknown> => unordered([await kernelA.inspect(), await kernelB.inspect()]);

/** The kernel lists addresses and routes in the order in which they came. */
function unordered(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map(unordered).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inside]) => [key, unordered(inside)]));
}

/** A carrier that comes back, and the address that follows it, take the kernel a moment. */
async function becomes(expected: unknown, look: () => unknown = seen): Promise<void> {
  let now: unknown;
  const same = eventually('the nodes as they were', 20, async () => {
    now = await look();
    return isDeepStrictEqual(now, expected) ? { value: undefined } : { state: 'different' };
  });
  await same.catch(() => assert.deepEqual(now, expected));
}

/** Makes an interface in a new pod of each of two nodes, with addresses that end in 1 and 2. */
async function twoPods(link: LinkConf, [first, second]: readonly [Kernel, Kernel], network = 5) {
  const pod = async (kernel: Kernel, host: number): Promise<PlumbSpec> => {
    const netns = nodes.pod();
    const { cookie } = await kernel.identifyNamespace(netns);
    const addresses = [
      { family: 4, address: `10.70.${network}.${host}/24`, pool: 'v4', routes: [] },
      { family: 6, address: `fd00:7${network}::${host}/64`, pool: 'v6', routes: [] },
    ] as const;
    const spec = { containerID: `c${host}`, ifName: 'eth0', netns, netnsCookie: cookie, link, addresses };
    await kernel.plumb(spec);
    return spec;
  };
  return [await pod(first, 1), await pod(second, 2)] as const;
}

const prepare = async (shared: readonly SharedLinkConf[]): Promise<void> => {
  for (const kernel of [kernelA, kernelB]) await kernel.prepareShared(shared);
};

/** Pods first, then what they shared, from the top: the order in which attachments are undone. */
async function takeBack(pods: readonly PlumbSpec[], shared: readonly SharedLinkConf[]): Promise<void> {
  for (const spec of pods) await kernelA.unplumb(spec);
  for (const kernel of [kernelA, kernelB]) {
    assert.deepEqual((await kernel.removeShared(shared.map(({ name }) => name).toReversed())).kept, []);
  }
}

describe('links made by our code', () => {
  let untouched: unknown;
  let dumped: unknown;
  before(async () => {
    nodes = new TwoNodes();
    for (const node of [nodes.a, nodes.b]) {
      for (const name of uplinks) {
        const port = `${name}-${nameOf(node).at(-1)}`;
        ip(nodes.outside, `link add ${port} type veth peer name ${name} netns ${nameOf(node)}`);
        ip(nodes.outside, `link set ${port} up master lan`);
        ip(node, `link set ${name} up`);
      }
    }
    kernelA = openKernel({ threads: 2, hostNetns: nodes.a });
    kernelB = openKernel({ threads: 2, hostNetns: nodes.b });
    await reachesLinkLocal();
    untouched = await seen();
    dumped = dumps();
  });
  after(async () => {
    await kernelA.close();
    await kernelB.close();
    nodes[Symbol.dispose]();
  });
  /** What a test that failed has left. */
  afterEach(async () => {
    for (const node of [nodes.a, nodes.b]) {
      const [links = []] = ipJson(node, 'link show');
      const isLeft = links.some(({ ifname }) => ifname === 'bond0');
      if (isLeft) ip(node, 'link del bond0', ...[...cables, ...uplinks].map((name) => `link set ${name} up`));
    }
  });

  /** Until every link has its address, which comes with the carrier. */
  const reachesLinkLocal = (): Promise<undefined> =>
    eventually('link-local addresses', 20, async () => {
      const all = [await kernelA.inspect(), await kernelB.inspect()].flatMap(({ addresses }) => addresses);
      const count = all.filter(({ isLinkLocal }) => isLinkLocal).length;
      return count >= 10 ? { value: undefined } : { state: `${count} of 10` };
    });

  describe('pods on a bond that was made for them', () => {
    for (const mode of bondModes) {
      it(`go on talking over mode ${mode} when a cable is cut, and leave the nodes as they were`, async () => {
        const shared = [bond(mode, mode === '802.3ad' ? { lacp_rate: 'fast' } : {})];
        await prepare(shared);
        const pods = await twoPods({ kind: 'macvlan', master: 'bond0', mode: 'bridge' }, [kernelA, kernelB]);
        const [{ netns: client }] = pods;
        await reaches(client, '10.70.5.2');
        await reaches(client, 'fd00:75::2');
        assert.deepEqual(await kernelA.checkShared(shared), []);
        const talk = ping(client, '10.70.5.2', { count: 60, intervalMs: 50 });
        await ping(client, 'fd00:75::2', { count: 5 }); // about a second of it is over
        ip(nodes.b, `link set ${shared[0]?.ports[0]} down`);
        const { sent, received, longestGapMs } = await talk;
        console.info(`     ${mode}: ${sent - received} of ${sent} lost, longest gap ${longestGapMs} ms`);
        assert.ok(longestGapMs < failoverMs, `silent for ${longestGapMs} ms`);
        assert.ok(await answers(client, '10.70.5.2'), 'silent afterwards');
        await takeBack(pods, shared);
        await becomes(untouched);
      });
    }
  });

  describe('pods of each kind on a VLAN of a bond (N00001)', () => {
    const shared = [bond(), vlan];
    const kinds = [
      { kind: 'macvlan', mode: 'bridge' },
      { kind: 'macvlan', mode: 'passthru' },
      { kind: 'ipvlan', mode: 'l2' },
      { kind: 'ipvlan', mode: 'l3' },
      { kind: 'ipvlan', mode: 'l3s' },
    ] as const;
    for (const link of kinds) {
      // Beyond its own node an ipvlan of layer 3 needs a router that knows the way.
      const where = link.mode === 'l3' || link.mode === 'l3s' ? 'on one node' : 'from node to node';
      it(`reach each other ${where} as ${link.kind} ${link.mode}`, async () => {
        await prepare(shared);
        const at = where === 'on one node' ? ([kernelA, kernelA] as const) : ([kernelA, kernelB] as const);
        const pods = await twoPods({ ...link, master: 'bond0.120' }, at);
        const [client, server] = pods;
        await reaches(client.netns, '10.70.5.2');
        await reaches(client.netns, 'fd00:75::2');
        const { sent, answered } = await tcpEcho(client.netns, server.netns, '10.70.5.2');
        assert.equal(answered, sent);
        assert.deepEqual(await kernelA.check(client), []);
        assert.deepEqual((await kernelA.plumb(client)).commands, []);
        await takeBack(pods, shared);
        await becomes(untouched);
      });
    }

    it('reach each other as VLANs of the bond themselves, one pod for each id, apart from other ids', async () => {
      await prepare(shared);
      const tagged = await twoPods({ kind: 'vlan', master: 'bond0', vlanID: 7 }, [kernelA, kernelB]);
      const [client] = tagged;
      await reaches(client.netns, '10.70.5.2');
      assert.deepEqual(await kernelA.check(client), []);
      const netns = nodes.pod();
      const { cookie } = await kernelA.identifyNamespace(netns);
      await assert.rejects(kernelA.plumb({ ...client, containerID: 'c9', netns, netnsCookie: cookie }), {
        type: 'KernelRefused',
        message: /refused "ip link add link bond0 name eth0 .* type vlan id 7": EEXIST, /,
        remedy: /each VLAN id once/,
      });
      const other = await twoPods({ kind: 'macvlan', master: 'bond0.120', mode: 'bridge' }, [kernelA, kernelB], 6);
      await reaches(other[0].netns, '10.70.6.2');
      ip(other[0].netns, 'addr add 10.70.5.9/24 dev eth0');
      assert.equal(await answers(other[0].netns, '10.70.5.2'), false);
      await takeBack([...tagged, ...other], shared);
      await becomes(untouched);
    });
  });

  describe('an option of a bond', () => {
    const lacp = {
      lacp_rate: 'fast',
      ad_select: 'bandwidth',
      ad_actor_sys_prio: '100',
      ad_actor_system: '02:00:00:00:00:01',
      ad_user_port_key: '7',
      min_links: '1',
    };
    const cases: readonly (readonly [BondConf['mode'], BondOptions])[] = [
      ['802.3ad', { ...lacp, xmit_hash_policy: 'layer3+4', all_slaves_active: '0' }],
      ['802.3ad', { xmit_hash_policy: 'vlan+srcmac', updelay: '260', downdelay: '100' }],
      ['active-backup', { primary: 'eth4', primary_reselect: 'better', fail_over_mac: 'active', num_peer_notif: '3' }],
      ['active-backup', { active_slave: 'eth4', all_slaves_active: '1', peer_notif_delay: '100', resend_igmp: '0' }],
      [
        'active-backup',
        {
          miimon: '0',
          arp_interval: '150',
          arp_ip_target: '10.70.4.1,10.70.4.2',
          arp_validate: 'all',
          arp_all_targets: 'all',
        },
      ],
      ['balance-rr', { packets_per_slave: '0', lp_interval: '2' }],
      ['balance-tlb', { tlb_dynamic_lb: '0' }],
      ['balance-xor', { xmit_hash_policy: 'encap2+3', use_carrier: '1' }],
    ];
    for (const [mode, options] of cases) {
      it(`is as asked: ${mode} ${Object.entries(options).flat().join(' ')}`, async () => {
        const wanted = bond(mode, options);
        await kernelA.prepareShared([wanted]);
        assert.deepEqual(await kernelA.checkShared([wanted]), []);
        assert.deepEqual(await kernelA.prepareShared([wanted]), []);
        const [[shown]] = ipJson(nodes.a, 'link show dev bond0') as [[{ linkinfo: { info_data: object } }]];
        const { active_slave, primary } = options;
        assert.partialDeepStrictEqual(shown.linkinfo.info_data, {
          mode,
          ...(active_slave === undefined ? {} : { active_slave }),
          ...(primary === undefined ? {} : { primary }),
        });
        await assert.rejects(kernelA.prepareShared([bond(mode, { ...options, miimon: '60' })]), {
          type: 'SharedLinkDiffers',
          message: /^Cannot use "bond0" of this node: it has .*miimon/,
        });
        await kernelA.removeShared(['bond0']);
        await becomes(untouched);
      });
    }

    it('that the mode does not know is refused by the kernel, and nothing is left', async () => {
      await assert.rejects(kernelA.prepareShared([bond('balance-rr', { lacp_rate: 'fast' })]), {
        type: 'KernelRefused',
        message: /type bond mode balance-rr lacp_rate fast/,
      });
      await becomes(untouched);
    });
  });

  describe('what was on the node before', () => {
    it('is used when it is as asked, and stays (N00002)', async () => {
      const [one, two] = uplinks;
      ip(
        nodes.a,
        'link add bond0 type bond mode active-backup miimon 50',
        `link set ${one} down`,
        `link set ${two} down`,
      );
      ip(nodes.a, `link set ${one} master bond0`, `link set ${two} master bond0`);
      assert.deepEqual(await kernelA.prepareShared([bond()]), ['ip link set dev bond0 up']);
      assert.equal((await kernelA.prepareShared([bond(), vlan])).length, 3);
      await assert.rejects(kernelA.prepareShared([{ ...bond(), mode: 'balance-rr' }]), {
        type: 'SharedLinkDiffers',
        message: 'Cannot use "bond0" of this node: it has mode active-backup, not balance-rr. Nothing was changed',
      });
      const removed = await kernelA.removeShared(['bond0.120', 'bond0']);
      assert.deepEqual(removed, { commands: ['ip link del dev bond0.120'], kept: [] });
      ip(nodes.a, 'link del bond0', `link set ${one} up`, `link set ${two} up`);
      await becomes(untouched);
    });

    it('is brought up when it is down, and its parent too (N00003, N00005)', async () => {
      const onPort = { kind: 'vlan', name: 'eth3.120', parent: 'eth3', vlanID: 120 } as const;
      ip(nodes.a, 'link add link eth3 name eth3.120 type vlan id 120', 'link set eth3 down');
      assert.deepEqual(await kernelA.prepareShared([onPort]), [
        'ip link set dev eth3 up',
        'ip link set dev eth3.120 up',
      ]);
      await kernelB.prepareShared([onPort]);
      const pods = await twoPods({ kind: 'macvlan', master: 'eth3.120', mode: 'bridge' }, [kernelA, kernelB]);
      await reaches(pods[0].netns, '10.70.5.2');
      await takeBack(pods, []);
      assert.deepEqual((await kernelB.removeShared(['eth3.120'])).commands, ['ip link del dev eth3.120']);
      assert.deepEqual(await kernelA.removeShared(['eth3.120']), { commands: [], kept: [] });
      ip(nodes.a, 'link del eth3.120');
      await becomes(untouched);
    });

    it('is told by its name when it is that VLAN under another one; on another parent it is no matter (N00004)', async () => {
      ip(nodes.a, 'link add link eth3 name theirs type vlan id 120');
      await assert.rejects(kernelA.prepareShared([{ kind: 'vlan', name: 'eth3.120', parent: 'eth3', vlanID: 120 }]), {
        type: 'SharedLinkDiffers',
        message: /"theirs"/,
      });
      const elsewhere = { kind: 'vlan', name: 'eth4.120', parent: 'eth4', vlanID: 120 } as const;
      assert.equal((await kernelA.prepareShared([elsewhere])).length, 3);
      await kernelA.removeShared(['eth4.120']);
      ip(nodes.a, 'link del theirs');
      await becomes(untouched);
    });

    it('is made again for the next pod when somebody has deleted it (N00006)', async () => {
      const shared = [bond(), vlan];
      await prepare(shared);
      ip(nodes.a, 'link del bond0.120');
      assert.equal((await kernelA.prepareShared(shared)).length, 3);
      const pods = await twoPods({ kind: 'macvlan', master: 'bond0.120', mode: 'bridge' }, [kernelA, kernelB]);
      await reaches(pods[0].netns, '10.70.5.2');
      await takeBack(pods, shared);
      await becomes(untouched);
    });

    it('is left alone where somebody has built on what is ours', async () => {
      await kernelA.prepareShared([bond()]);
      ip(nodes.a, 'link add link bond0 name theirs type vlan id 9');
      const why = 'vlan "theirs" hangs on it';
      assert.deepEqual(await kernelA.removeShared(['bond0']), { commands: [], kept: [{ name: 'bond0', why }] });
      ip(nodes.a, 'link del theirs');
      await kernelA.removeShared(['bond0']);
      await becomes(untouched);
    });

    it('comes back: MTU of the ports, and which of them were up', async () => {
      ip(nodes.a, `link set ${cables[1]} down`);
      const before = await seen();
      await kernelA.prepareShared([
        { ...bond('balance-xor'), mtuBytes: 9000 },
        { ...vlan, mtuBytes: 8000 },
      ]);
      const { links } = await kernelA.inspect();
      const mtuOf = (name: string) => links.find(({ ifName }) => ifName === name)?.mtuBytes;
      assert.deepEqual([mtuOf(cables[0]), mtuOf('bond0'), mtuOf('bond0.120')], [9000, 9000, 8000]);
      await kernelA.removeShared(['bond0.120', 'bond0']);
      await becomes(before);
      ip(nodes.a, `link set ${cables[1]} up`);
      await becomes(untouched);
    });

    it('is as it was when the kernel refuses a port half-way', async () => {
      const pods = await twoPods({ kind: 'macvlan', master: uplinks[1], mode: 'bridge' }, [kernelA, kernelB]);
      await assert.rejects(kernelA.prepareShared([bond()]), {
        type: 'KernelRefused',
        message: /refused "ip link set dev eth4 master bond0": EBUSY/,
        remedy: /Another driver receives/,
      });
      await takeBack(pods, []);
      await becomes(untouched);
    });

    it('is the same to the last attribute after all of this', () => becomes(dumped, dumps));
  });
});
