import { describe, expect, it } from '@jest/globals';
import { readClusterSettings } from '../contracts/cluster-settings.ts';
import type { CoordinationSettings } from '../contracts/coordination.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { AddressWish } from '../contracts/pod-network.ts';
import { readPoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { ObservedNode } from '../network/coordination/observed-coordination.ts';
import { observedLink as link } from '../network/testing/observed-link.ts';
import { readPlugins } from './network-definition.ts';
import { plain } from './paint.ts';
import { renderPlan } from './plan-page.ts';
import { type FoundNetwork, type PlanEvidence, type PlanPorts, planNetworks } from './sandbox-planning.ts';
import { golden } from './testing/golden.ts';

const node: ObservedNode = {
  links: [
    link(1, 'lo', { isLoopback: true, isEthernet: false }),
    link(2, 'mgmt'),
    link(3, 'eno1', { mtuBytes: 9000 }),
    link(4, 'eno2', { mtuBytes: 9000, isUp: false }),
  ],
  addresses: [{ ifIndex: 2, family: 4, address: '10.222.0.11/24', isLinkLocal: false }],
  podRoutes: [],
  rules: [],
  neighbours: [],
  sourcesToPod: ['10.222.0.11'],
};
const ports = (some: Partial<PlanPorts> = {}): PlanPorts => ({
  sysctls: { 'net.ipv4.conf.all.rp_filter': '2', 'net.ipv4.conf.default.rp_filter': '2' },
  inspectNode: async ({ addresses }) => ({ ...node, sourcesToPod: addresses.length === 0 ? [] : node.sourcesToPod }),
  masterAddresses: async () => ({ outcome: 'unknown', why: 'no test asks' }),
  coordinator: async () => undefined,
  yieldsDefaultRoute: (settings: CoordinationSettings | undefined) => settings !== undefined,
  ...some,
});

const pool = (name: string, subnet: string, ips: string, gateway: string) => ({
  metadata: { name },
  spec: { subnet, ips: [ips], gateway },
});
const catalogue = readPoolCatalogue(
  [
    pool('rack7-v4', '10.70.8.0/22', '10.70.8.20-10.70.8.90', '10.70.8.1'),
    pool('rack7-v6', 'fd00:70::/64', 'fd00:70::14-fd00:70::ff', 'fd00:70::1'),
    pool('storage', '10.71.0.0/16', '10.71.0.20-10.71.0.90', '10.71.0.1'),
    pool('tiny', '10.72.0.0/16', '10.72.0.20', '10.72.0.1'),
  ],
  [],
);
const held = (address: string, pool: string, podUID: string, spec: Partial<IPClaim['spec']> = {}): IPClaim => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: { name: address.replace(/\/.*/, '') },
  spec: {
    address,
    pool,
    phase: 'Held',
    holders: [
      {
        namespace: 'pay',
        pod: 'api-0',
        podUID,
        interface: 'eth0',
        network: 'vlan70',
        containerID: 'c1',
        netns: '',
        netnsCookie: '',
        node: 'r7-n1',
        machineID: '',
        bootID: '',
      },
    ],
    ...spec,
  },
});

const network = (ifName: string, config: object, wishes: readonly AddressWish[] = []): FoundNetwork => ({
  ifName,
  label: `netops/${ifName}`,
  reading: readPlugins(JSON.stringify(config), ifName),
  wishes,
});
const whole = (some: object): object => ({
  cniVersion: '1.1.0',
  name: 'n',
  type: 'orbweaver',
  kind: 'macvlan',
  master: ['eno1'],
  default_ipv4_ippool: ['rack7-v4'],
  ...some,
});

function evidence(networks: readonly FoundNetwork[], some: Partial<PlanEvidence> = {}): PlanEvidence {
  const cluster = readClusterSettings({}, []);
  const controller = { apiVersion: 'v1', kind: 'Pod', namespace: 'pay', name: 'api-0', uid: 'u-1' };
  return {
    subject: 'pay/api-0',
    node: 'r7-n1',
    pod: { uid: 'u-1', ownerReferences: [] },
    annotations: {},
    standing: {
      pod: { namespace: 'pay', name: 'api-0', labels: {}, annotations: {}, controller },
      namespace: { name: 'pay', labels: {}, annotations: {} },
      node: { name: 'r7-n1', labels: {} },
      cluster,
    },
    networks,
    catalogue,
    claims: [],
    warnings: [],
    ...some,
  };
}
const show = async (...of: Parameters<typeof planNetworks>): Promise<string> =>
  renderPlan(await planNetworks(...of), plain);

describe('the plan of a pod', () => {
  it('is every command of its ADD: shared links, interface, coordination', async () => {
    const bond = { name: 'bond0', mode: 1, options: 'miimon=100' };
    const coordinator = { hijackCIDR: ['10.96.0.0/12'], podMACPrefix: '0a:1b' };
    const conf = { master: ['eno1', 'eno2'], bond, vlanID: 120, default_ipv6_ippool: ['rack7-v6'], coordinator };
    const printed = await show(evidence([network('eth0', whole(conf))]), ports());
    expect(printed).toBe(await golden('plan-whole.txt', printed));
  });

  it('on a bridge has both ends of the pair, with names for what the sandbox will decide', async () => {
    const links = [...node.links, link(5, 'br0', { kind: 'bridge' })];
    const onBridge = whole({ kind: 'veth', master: ['br0'], coordinator: {} });
    const inspectNode: PlanPorts['inspectNode'] = async () => ({ ...node, links });
    const printed = await show(evidence([network('eth0', onBridge)]), ports({ inspectNode }));
    expect(printed).toBe(await golden('plan-bridge.txt', printed));
  });

  it('of plugins in a chain says what others do, and plans on it', async () => {
    const ipam = { type: 'spiderpool', default_ipv4_ippool: ['storage'] };
    const plugins = [
      { type: 'ifacer', interfaces: ['eno1'], vlanID: 80 },
      { type: 'macvlan', master: 'eno1.80', ipam },
      { type: 'tuning', sysctl: {} },
      { type: 'coordinator' },
    ];
    const networks = [network('eth0', whole({ coordinator: {} })), network('net1', { name: 'chain', plugins })];
    const printed = await show(evidence(networks), ports());
    expect(printed).toBe(await golden('plan-chained.txt', printed));
  });

  it('beside an overlay network goes through a veth whose values nobody knows', async () => {
    const networks = [
      network('eth0', { name: 'k8s-pod-network', plugins: [{ type: 'calico' }] }),
      network('net1', whole({ coordinator: { mode: 'auto' } })),
    ];
    const printed = await show(evidence(networks), ports());
    expect(printed).toBe(await golden('plan-overlay.txt', printed));
  });

  it('with a VF leaves out what depends on the VF, and plans on it', async () => {
    const vf = { kind: 'sriov', vlanID: 120, master: undefined, coordinator: {} };
    const printed = await show(evidence([network('eth0', whole(vf))]), ports());
    expect(printed).toBe(await golden('plan-vf.txt', printed));
  });

  it("of a VF that another plugin moves says whose RDMA device goes with it, and plans on the VF's interface", async () => {
    const ipam = { type: 'spiderpool', default_ipv4_ippool: ['storage'] };
    const plugins = [{ type: 'sriov', ipam }, { type: 'rdma' }, { type: 'coordinator', mode: 'underlay' }];
    const { nics } = await planNetworks(evidence([network('eth0', { name: 'rail0', plugins })]), ports());
    expect(nics[0]?.steps.map(({ plugin, does, failure }) => [plugin, does, failure])).toEqual([
      ['sriov', 'makes eth0 with <eth0:storage>/16', undefined],
      ['rdma', 'lends the RDMA device of eth0 to the pod', undefined],
      ['coordinator', 'the way between pod and node, and routes among its interfaces', undefined],
    ]);
  });

  it('has the address that the pod holds, and asks for no other', async () => {
    const { nics } = await planNetworks(
      evidence([network('eth0', whole({}))], { claims: [held('10.70.8.33/22', 'rack7-v4', 'u-1')] }),
      ports(),
    );
    expect(nics[0]?.addresses).toEqual([{ address: '10.70.8.33/22', pool: 'rack7-v4', isKnown: true }]);
    expect(nics[0]?.steps.flatMap(({ commands }) => commands)).toContain(
      'ip -n <sandbox> addr add 10.70.8.33/22 dev eth0',
    );
  });

  describe('of a pod whose addresses stick to more than the pod', () => {
    const ownerReferences = (kind: string, apiVersion: string, name: string) => [
      { apiVersion, kind, name, uid: 'o-1', controller: true },
    ];
    const ordinal = { uid: 'u-2', ownerReferences: ownerReferences('StatefulSet', 'apps/v1', 'api') };
    const machine = {
      uid: 'u-2',
      ownerReferences: ownerReferences('VirtualMachineInstance', 'kubevirt.io/v1', 'vm-1'),
    };
    const planned = async (some: Partial<PlanEvidence>, conf: object = {}) => {
      const { nics } = await planNetworks(evidence([network('eth0', whole(conf))], some), ports());
      const notes = nics.flatMap(({ steps }) => steps.flatMap((step) => step.notes));
      return { addresses: nics[0]?.addresses, notes };
    };

    it.each([
      ['a StatefulSet', ordinal, 'StatefulSet/pay/api/0'],
      ['a virtual machine', machine, 'VirtualMachineInstance/pay/vm-1'],
    ])('is that of %s, whichever pod had it last', async (_, pod, identity) => {
      const claims = [held('10.70.8.33/22', 'rack7-v4', 'u-1', { identity })];
      expect(await planned({ pod, claims })).toMatchObject({
        addresses: [{ address: '10.70.8.33/22', pool: 'rack7-v4', isKnown: true }],
      });
    });

    it('is that of the IPAMClaim which the network names, under any name of the interface', async () => {
      const networks = {
        'v1.multus-cni.io/default-network': 'pay/eth0',
        'k8s.v1.cni.cncf.io/networks': '[{"name": "lan", "ipam-claim-reference": "vm-1.lan"}]',
      };
      const claims = [held('10.70.8.33/22', 'rack7-v4', 'u-1', { identity: 'IPAMClaim/pay/vm-1.lan' })];
      const { standing } = evidence([]);
      const { nics } = await planNetworks(
        evidence([network('net1', whole({}))], {
          claims,
          standing: { ...standing, pod: { ...standing.pod, annotations: networks } },
        }),
        ports(),
      );
      expect(nics[0]?.addresses).toEqual([{ address: '10.70.8.33/22', pool: 'rack7-v4', isKnown: true }]);
    });

    it('is kept although its pool serves others now, and no pod gets a new one', async () => {
      const closed = readPoolCatalogue(
        [
          {
            metadata: { name: 'rack7-v4' },
            spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.90'], disable: true },
          },
        ],
        [],
      );
      const identity = 'StatefulSet/pay/api/0';
      const claims = [held('10.70.8.33/22', 'rack7-v4', 'u-1', { identity })];
      const kept = await planned({ pod: ordinal, claims, catalogue: closed });
      expect(kept.addresses).toEqual([{ address: '10.70.8.33/22', pool: 'rack7-v4', isKnown: true }]);
      const { nics } = await planNetworks(
        evidence([network('eth0', whole({}))], { pod: ordinal, catalogue: closed }),
        ports(),
      );
      expect(nics[0]?.steps[0]?.failure?.type).toBe('NoPool');
    });

    it('is another one when its pool is not named any more', async () => {
      const claims = [held('10.71.0.33/16', 'storage', 'u-1', { identity: 'StatefulSet/pay/api/0' })];
      expect((await planned({ pod: ordinal, claims })).addresses).toEqual([
        { address: '<eth0:rack7-v4>/22', pool: 'rack7-v4', isKnown: false },
      ]);
    });

    describe('and which another sandbox still has', () => {
      const identity = 'StatefulSet/pay/api/0';
      const inUse = (address: string, pool: string): IPClaim => {
        const { holders } = held(address, pool, 'u-1').spec;
        const elsewhere = holders.map((holder) => ({ ...holder, node: 'r7-n2' }));
        return held(address, pool, 'u-1', { identity, phase: 'Bound', holders: elsewhere });
      };
      const user = 'pod pay/api-0 on node "r7-n2" (sandbox c1)';
      const givenUp = `10.71.0.33/16, which the pod gives up, is not free for this pod yet: it is in use by ${user}`;

      it('says so', async () => {
        const { addresses, notes } = await planned({ pod: ordinal, claims: [inUse('10.70.8.33/22', 'rack7-v4')] });
        expect(addresses).toEqual([{ address: '10.70.8.33/22', pool: 'rack7-v4', isKnown: true }]);
        expect(notes).toContain(`10.70.8.33/22 is not free for this pod yet: it is in use by ${user}`);
      });

      it('says so also when the pod is to have a new one: its ADD must give up the old first', async () => {
        const claims = [inUse('10.71.0.33/16', 'storage')];
        const { addresses, notes } = await planned({ pod: ordinal, claims });
        expect(addresses).toEqual([{ address: '<eth0:rack7-v4>/22', pool: 'rack7-v4', isKnown: false }]);
        expect(notes).toContain(givenUp);
      });

      it('says so also when the pod asks for another exact address', async () => {
        const asking = network('eth0', whole({}), [{ source: 'a test', ips: ['10.70.8.44'] }]);
        const { nics } = await planNetworks(
          evidence([asking], { pod: ordinal, claims: [inUse('10.70.8.33/22', 'rack7-v4')] }),
          ports(),
        );
        expect(nics[0]?.addresses).toEqual([{ address: '10.70.8.44/22', pool: 'rack7-v4', isKnown: true }]);
        expect(nics[0]?.steps.flatMap(({ notes }) => notes)).toContain(
          `10.70.8.33/22, which the pod gives up, is not free for this pod yet: it is in use by ${user}`,
        );
      });

      it('is passed over for a free one of the same identity, whichever is found first', async () => {
        const free = held('10.70.8.34/22', 'rack7-v4', 'u-1', { identity });
        for (const busy of [inUse('10.71.0.33/16', 'storage'), inUse('10.70.8.33/22', 'rack7-v4')]) {
          for (const claims of [
            [busy, free],
            [free, busy],
          ]) {
            expect(await planned({ pod: ordinal, claims })).toMatchObject({
              addresses: [{ address: '10.70.8.34/22', pool: 'rack7-v4', isKnown: true }],
              notes: [],
            });
          }
        }
      });

      it('comes before what the next identity has', async () => {
        const naming = {
          'v1.multus-cni.io/default-network': '[{"name": "lan", "ipam-claim-reference": "api-0.lan"}]',
        };
        const { standing } = evidence([]);
        const named = { ...inUse('10.71.0.33/16', 'storage').spec, identity: 'IPAMClaim/pay/api-0.lan' };
        const asking = network('eth0', whole({}), [{ source: 'a test', ips: ['10.70.8.33'] }]);
        const { nics } = await planNetworks(
          evidence([asking], {
            pod: ordinal,
            claims: [
              held('10.71.0.33/16', 'storage', 'u-1', named),
              held('10.70.8.33/22', 'rack7-v4', 'u-1', { identity }),
            ],
            standing: { ...standing, pod: { ...standing.pod, annotations: naming } },
          }),
          ports(),
        );
        expect(nics[0]?.addresses).toEqual([{ address: '10.70.8.33/22', pool: 'rack7-v4', isKnown: true }]);
        expect(nics[0]?.steps.flatMap(({ notes }) => notes)).toContain(givenUp);
      });
    });
  });

  it('of two interfaces that name one IPAMClaim ends at the first, as its ADD', async () => {
    const networks = {
      'v1.multus-cni.io/default-network': '[{"name": "lan", "ipam-claim-reference": "vm-1.lan"}]',
      'k8s.v1.cni.cncf.io/networks': '[{"name": "lan", "ipam-claim-reference": "vm-1.lan"}]',
    };
    const claims = [held('10.70.8.33/22', 'rack7-v4', 'u-1', { identity: 'IPAMClaim/pay/vm-1.lan' })];
    const { standing } = evidence([]);
    const { nics } = await planNetworks(
      evidence([network('eth0', whole({})), network('net1', whole({}))], {
        claims,
        standing: { ...standing, pod: { ...standing.pod, annotations: networks } },
      }),
      ports(),
    );
    expect(nics).toMatchObject([
      {
        ifName: 'eth0',
        addresses: [],
        steps: [
          {
            does: 'its addresses',
            failure: {
              type: 'InvalidAnnotation',
              message: expect.stringMatching(
                /^Cannot give eth0 the addresses of IPAMClaim "vm-1\.lan": net1 of the pod/,
              ),
            },
          },
        ],
      },
    ]);
  });

  describe('of a VF whose network matches the subnet of its PF', () => {
    const vf = {
      kind: 'sriov',
      master: undefined,
      match_master_subnet: true,
      default_ipv4_ippool: ['storage', 'rack7-v4'],
    };
    const asked: Parameters<PlanPorts['masterAddresses']>[0][] = [];
    const pf = ports({
      masterAddresses: async (spec) => {
        asked.push(spec);
        return { outcome: 'found', addresses: ['10.70.8.2/22'] };
      },
    });
    const outcome = async (conf: object, claims: readonly IPClaim[] = []) => {
      const { nics } = await planNetworks(evidence([network('eth0', whole(conf))], { claims }), pf);
      return { pool: nics[0]?.addresses[0]?.pool, failure: nics[0]?.steps[0]?.failure?.message };
    };

    it('has a pool of that subnet, by the VF that the configuration names', async () => {
      expect(await outcome({ ...vf, deviceID: '0000:01:10.0' })).toEqual({ pool: 'rack7-v4', failure: undefined });
      expect(asked.pop()).toEqual({ pciAddress: '0000:01:10.0' });
    });

    it('has a pool of that subnet, by the VF that the pod has', async () => {
      const bound = held('10.70.8.33/22', 'rack7-v4', 'u-1', { phase: 'Bound' });
      expect(await outcome(vf, [bound])).toEqual({ pool: 'rack7-v4', failure: undefined });
      expect(asked.pop()).toMatchObject({ ifName: 'eth0', netns: '' });
    });

    it('is not known when the sandbox that had the VF is gone, and says so', async () => {
      const message = 'Cannot work in network namespace /run/netns/c1: there is no such file';
      const gone = ports({
        masterAddresses: async () => {
          throw new ProvisionError({ type: 'InvalidNamespace', message });
        },
      });
      const bound = held('10.70.8.33/22', 'rack7-v4', 'u-1', { phase: 'Bound' });
      const { nics } = await planNetworks(evidence([network('eth0', whole(vf))], { claims: [bound] }), gone);
      expect(nics[0]?.steps[0]?.failure).toMatchObject({
        type: 'NoPool',
        message: expect.stringContaining(`cannot be compared with the PF, as match_master_subnet asks: ${message}`),
      });
    });

    it('breaks off when the node is looked at in vain for another reason', async () => {
      const broken = ports({ masterAddresses: () => Promise.reject(new TypeError('a mistake')) });
      const named = network('eth0', whole({ ...vf, deviceID: '0000:01:10.0' }));
      await expect(planNetworks(evidence([named]), broken)).rejects.toThrow('a mistake');
    });

    it('is not known while it has no VF, and says so', async () => {
      expect((await outcome(vf)).failure).toContain(
        'as match_master_subnet asks: the pod gets its VF when it is placed',
      );
      expect((await outcome({ match_master_subnet: true })).failure).toContain('match_master_subnet is for SR-IOV');
    });
  });

  it('has the exact address that is asked for', async () => {
    const wish = { source: 'a test', ips: ['10.70.8.44'] };
    const { nics } = await planNetworks(evidence([network('eth0', whole({}), [wish])]), ports());
    expect(nics[0]?.addresses).toEqual([{ address: '10.70.8.44/22', pool: 'rack7-v4', isKnown: true }]);
  });

  it('gives two interfaces of one pool two names', async () => {
    const { nics } = await planNetworks(
      evidence([network('eth0', whole({})), network('net1', whole({ clean_gateway: true }))]),
      ports(),
    );
    expect(nics.map(({ addresses }) => addresses[0]?.address)).toEqual(['<eth0:rack7-v4>/22', '<net1:rack7-v4>/22']);
  });

  it('ends where the ADD would be refused, with its reason', async () => {
    const networks = [network('eth0', whole({ master: ['eno9'] })), network('net1', whole({}))];
    const printed = await show(evidence(networks), ports());
    expect(printed).toBe(await golden('plan-refused.txt', printed));
  });

  it.each([
    ['a full pool', whole({ default_ipv4_ippool: ['tiny'] }), 'PoolExhausted'],
    ['a pool that is not there', whole({ default_ipv4_ippool: ['none'] }), 'PoolNotFound'],
    ['an unknown key', whole({ vlan: 7 }), 'InvalidConfig'],
    ['a coordinator that is not there', whole({ coordinator: { spiderCoordinator: 'rack9' } }), 'InvalidConfig'],
  ])('ends at %s', async (_, conf, type) => {
    const claims = [held('10.72.0.20/16', 'tiny', 'u-2')];
    const { nics } = await planNetworks(evidence([network('eth0', conf)], { claims }), ports());
    expect(nics.flatMap(({ steps }) => steps.flatMap(({ failure }) => failure?.type ?? []))).toEqual([type]);
  });

  it('of a network that nobody names says so and goes on', async () => {
    const networks: FoundNetwork[] = [
      { ifName: 'eth0', label: 'not known', problem: 'nobody names it' },
      network('net1', whole({ clean_gateway: true })),
    ];
    const { nics } = await planNetworks(evidence(networks), ports());
    expect(nics[0]?.steps[0]?.does).toContain('nobody names it');
    expect(nics[1]?.steps[0]?.commands.length).toBeGreaterThan(0);
  });
});
