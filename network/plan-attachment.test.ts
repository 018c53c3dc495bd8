import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ipvlanModes, type LinkConf, type LinkShape, macvlanModes } from '../contracts/pod-network.ts';
import { attachmentDifferences } from './attachment-differences.ts';
import { asIpCommands, inversesOf, type ReversibleOperation } from './link-operation.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { aliasOf, linkGroup } from './ownership-mark.ts';
import {
  type DesiredAddress,
  type DesiredAttachment,
  type ObservedSurroundings,
  planAttachment,
} from './plan-attachment.ts';
import { planRemoval } from './plan-removal.ts';
import { NamespaceModel } from './testing/namespace-model.ts';
import { plannedOperations } from './testing/planned-operations.ts';

const netns = '/run/netns/cni-1';

const lo: ObservedLink = {
  ifIndex: 1,
  ifName: 'lo',
  mac: '00:00:00:00:00:00',
  mtuBytes: 65536,
  isUp: true,
  isLoopback: true,
  isEthernet: false,
  group: 0,
  alias: '',
};

const eth1: ObservedLink = {
  ...lo,
  ifIndex: 7,
  ifName: 'eth1',
  mac: '02:00:00:00:00:07',
  mtuBytes: 1500,
  isLoopback: false,
  isEthernet: true,
};

const desired = {
  containerID: '5b1e',
  ifName: 'eth0',
  kind: 'macvlan',
  master: 'eth1',
  mode: 'bridge',
  mtuBytes: 1400,
  addresses: [
    {
      family: 4,
      address: '10.70.8.20/22',
      routes: [
        { dst: '0.0.0.0/0', gw: '10.70.8.1' },
        { dst: '10.99.0.0/16', gw: '10.70.8.2' },
      ],
    },
    { family: 6, address: 'fd00:70::14/64', routes: [{ dst: '::/0', gw: 'fd00:70::1' }] },
  ],
} as const satisfies DesiredAttachment;

const emptyPod = (): NamespaceModel => new NamespaceModel(eth1, [lo]);
const podOnBridge = (): NamespaceModel => new NamespaceModel({ ...eth1, kind: 'bridge' }, [lo]);

const operationsFor = (observed: ObservedSurroundings, wanted: DesiredAttachment = desired) =>
  plannedOperations(observed, wanted);

const commandsFor = (observed: ObservedSurroundings, wanted?: DesiredAttachment): string[] =>
  asIpCommands(operationsFor(observed, wanted), netns);

describe('the plan for an interface', () => {
  it('marks the link, then sets it up, and routes last', () => {
    expect(commandsFor(emptyPod().observe())).toEqual([
      'ip link add link eth1 name eth0 netns cni-1 group 28530 type macvlan mode bridge',
      'ip -n cni-1 link set dev eth0 alias orbweaver:5b1e/eth0',
      'ip -n cni-1 link set dev eth0 mtu 1400',
      'ip -n cni-1 link set dev eth0 up',
      'ip -n cni-1 addr add 10.70.8.20/22 dev eth0',
      'ip -n cni-1 addr add fd00:70::14/64 dev eth0 nodad',
      'ip -n cni-1 route add default via 10.70.8.1 dev eth0 proto 79',
      'ip -n cni-1 route add 10.99.0.0/16 via 10.70.8.2 dev eth0 proto 79',
      'ip -n cni-1 -6 route add default via fd00:70::1 dev eth0 proto 79',
    ]);
  });

  it.each<[LinkShape, string]>([
    [{ kind: 'ipvlan', mode: 'l2' }, 'ipvlan mode l2'],
    [{ kind: 'ipvlan', mode: 'l3s' }, 'ipvlan mode l3s'],
    [{ kind: 'vlan', vlanID: 4094 }, 'vlan id 4094'],
    [{ kind: 'macvlan', mode: 'passthru' }, 'macvlan mode passthru'],
  ])('differs between kinds in one command only: %j', (shape, type) => {
    const { kind: _, mode: __, ...around } = desired;
    const [creation, ...rest] = commandsFor(emptyPod().observe(), { ...around, ...shape });
    expect(creation).toBe(`ip link add link eth1 name eth0 netns cni-1 group 28530 type ${type}`);
    expect(rest).toEqual(commandsFor(emptyPod().observe()).slice(1));
  });

  it('leaves the MTU alone when none is asked, or the parent has it', () => {
    const { mtuBytes: _, ...inherited } = desired;
    const withoutMtu = commandsFor(emptyPod().observe(), inherited);
    expect(withoutMtu.filter((command) => command.includes('mtu'))).toEqual([]);
    expect(commandsFor(emptyPod().observe(), { ...desired, mtuBytes: 1500 })).toEqual(withoutMtu);
  });

  it('prints what works for a namespace outside ip(8)’s directory too', () => {
    const [create, alias] = asIpCommands(operationsFor(emptyPod().observe()), '/var/lib/x/netns/cni-1');
    expect(create).toContain(' netns /var/lib/x/netns/cni-1 ');
    expect(alias).toBe('nsenter --net=/var/lib/x/netns/cni-1 ip link set dev eth0 alias orbweaver:5b1e/eth0');
  });

  it('completes a link of ours that was just being made', () => {
    const pod = emptyPod();
    pod.apply(operationsFor(pod.observe()).slice(0, 1));
    expect(commandsFor(pod.observe())[0]).toBe('ip -n cni-1 link set dev eth0 alias orbweaver:5b1e/eth0');
  });

  it('prints what takes each step back, the last first', () => {
    const undone = inversesOf(operationsFor(emptyPod().observe()));
    expect(asIpCommands(undone, netns)).toEqual([
      'ip -n cni-1 -6 route del default via fd00:70::1 dev eth0 proto 79',
      'ip -n cni-1 route del 10.99.0.0/16 via 10.70.8.2 dev eth0 proto 79',
      'ip -n cni-1 route del default via 10.70.8.1 dev eth0 proto 79',
      'ip -n cni-1 addr del fd00:70::14/64 dev eth0',
      'ip -n cni-1 addr del 10.70.8.20/22 dev eth0',
      'ip -n cni-1 link set dev eth0 down',
      'ip -n cni-1 link set dev eth0 mtu 1500',
      "ip -n cni-1 link set dev eth0 alias ''",
      'ip -n cni-1 link del dev eth0',
    ]);
  });

  it('adds a route once that two addresses bring', () => {
    const [v4] = desired.addresses;
    const twice = { ...desired, addresses: v4 === undefined ? [] : [v4, { ...v4, address: '10.70.8.21/22' }] };
    expect(commandsFor(emptyPod().observe(), twice).filter((command) => command.includes('route'))).toHaveLength(2);
  });
});

const v4Addresses = fc
  .record({
    host: fc.integer({ min: 3, max: 250 }),
    length: fc.constantFrom(22, 24),
    routes: fc.subarray(['0.0.0.0/0', '10.99.0.0/16']),
  })
  .map(
    ({ host, length, routes }): DesiredAddress => ({
      family: 4,
      address: `10.70.8.${host}/${length}`,
      routes: routes.map((dst) => ({ dst, gw: '10.70.8.1' })),
    }),
  );
const v6Addresses = fc
  .record({ host: fc.integer({ min: 3, max: 250 }), routes: fc.subarray(['::/0', 'FD00:99::/32']) })
  .map(
    ({ host, routes }): DesiredAddress => ({
      family: 6,
      address: `FD00:70:0::${host.toString(16)}/64`, // not as we write it
      routes: routes.map((dst) => ({ dst, gw: 'fd00:70::0001' })),
    }),
  );
type PodLink = LinkConf extends infer Conf
  ? Conf extends LinkConf
    ? Omit<Conf, 'master' | 'mtuBytes'>
    : never
  : never;
const shapes: fc.Arbitrary<PodLink> = fc.oneof(
  fc.constant({ kind: 'veth' as const }),
  fc.record({ kind: fc.constant('macvlan' as const), mode: fc.constantFrom(...macvlanModes) }),
  fc.record({ kind: fc.constant('ipvlan' as const), mode: fc.constantFrom(...ipvlanModes) }),
  fc.record({ kind: fc.constant('vlan' as const), vlanID: fc.integer({ min: 1, max: 4094 }) }),
);
const surroundings = fc.record(
  {
    containerID: fc.constant('5b1e'),
    ifName: fc.constant('eth0'),
    master: fc.constant('eth1'),
    addresses: fc.oneof(
      fc.tuple(v4Addresses),
      fc.tuple(v6Addresses),
      fc.tuple(v4Addresses, v6Addresses),
      fc.constant([]),
    ),
    mtuBytes: fc.constantFrom(1280, 1400, 1500),
  },
  { requiredKeys: ['containerID', 'ifName', 'master', 'addresses'] },
);
const attachments: fc.Arbitrary<DesiredAttachment> = fc
  .tuple(surroundings, shapes)
  .map(([around, shape]) => ({ ...around, ...shape }));
const podFor = ({ kind }: DesiredAttachment): NamespaceModel => (kind === 'veth' ? podOnBridge() : emptyPod());

describe('every plan', () => {
  it('leaves the pod as it was when it is undone, wherever it stopped', () => {
    fc.assert(
      fc.property(attachments, fc.nat({ max: 12 }), (wanted, stop) => {
        const pod = podFor(wanted);
        const before = pod.observe();
        const done = operationsFor(before, wanted).slice(0, stop);
        pod.apply(done);
        pod.undo(done);
        expect(pod.observe()).toEqual(before);
      }),
    );
  });

  it('asks for nothing more once it was carried out', () => {
    fc.assert(
      fc.property(attachments, (wanted) => {
        const pod = podFor(wanted);
        pod.apply(operationsFor(pod.observe(), wanted));
        expect(operationsFor(pod.observe(), wanted)).toEqual([]);
        expect(attachmentDifferences(pod.observe(), wanted)).toEqual([]);
      }),
    );
  });

  it('reaches the same state when it is begun again after stopping anywhere', () => {
    fc.assert(
      fc.property(attachments, fc.nat({ max: 12 }), (wanted, stop) => {
        const whole = podFor(wanted);
        whole.apply(operationsFor(whole.observe(), wanted));
        const resumed = podFor(wanted);
        resumed.apply(operationsFor(resumed.observe(), wanted).slice(0, stop));
        resumed.apply(operationsFor(resumed.observe(), wanted));
        expect(resumed.observe()).toEqual(whole.observe());
      }),
    );
  });

  it('is taken away by its mark alone, wherever it stopped', () => {
    fc.assert(
      fc.property(attachments, fc.nat({ max: 12 }), (wanted, stop) => {
        const pod = podFor(wanted);
        const before = pod.observe();
        pod.apply(operationsFor(before, wanted).slice(0, stop));
        pod.apply(planRemoval(pod.observe().pod.links, wanted));
        expect(pod.observe()).toEqual(before);
      }),
    );
  });
});

describe('a removal', () => {
  const ours: ObservedLink = { ...eth1, ifName: 'eth0', kind: 'macvlan', group: linkGroup, alias: aliasOf(desired) };

  it('finds the link under the name that it has now', () => {
    expect(asIpCommands(planRemoval([lo, { ...ours, ifName: 'renamed' }], desired), netns)).toEqual([
      'ip -n cni-1 link del dev renamed',
    ]);
  });

  it.each([
    ['another plugin’s link of the same name', { ...ours, group: 0, alias: '' }],
    ['the link of another sandbox', { ...ours, alias: aliasOf({ containerID: '77aa', ifName: 'eth0' }) }],
    [
      'the sandbox’s other interface',
      { ...ours, ifName: 'net1', alias: aliasOf({ containerID: '5b1e', ifName: 'net1' }) },
    ],
    ['another interface that is just being made', { ...ours, ifName: 'net1', alias: '' }],
  ])('leaves %s', (_, link) => {
    expect(planRemoval([link], desired)).toEqual([]);
  });
});

describe('a plan is refused', () => {
  const observed = emptyPod().observe();
  const withParent = (changes: Partial<ObservedLink>): ObservedSurroundings => ({
    ...observed,
    parent: { link: { ...eth1, ...changes } },
  });
  const withRoutes = (dst: string, gw: string): DesiredAttachment => ({
    ...desired,
    addresses: [{ family: 4, address: '10.70.8.20/22', routes: [{ dst, gw }] }],
  });
  const stranger: ObservedLink = { ...eth1, ifIndex: 2, ifName: 'eth0', kind: 'veth' };
  const half: ObservedLink = {
    ...stranger,
    kind: 'macvlan',
    alias: aliasOf(desired),
    parentIndex: 7,
    shape: { kind: 'macvlan', mode: 'bridge' },
  };

  it.each<[string, string, RegExp, ObservedSurroundings, DesiredAttachment]>([
    ['without its parent', 'ParentLinkMissing', /"eth1": the node has no such link/, { pod: observed.pod }, desired],
    ['on a parent that is down', 'ParentLinkMissing', /link is down/, withParent({ isUp: false }), desired],
    ['on the loopback', 'InvalidConfig', /no Ethernet/, withParent({ isLoopback: true }), desired],
    ['on a tunnel', 'InvalidConfig', /no Ethernet/, withParent({ isEthernet: false }), desired],
    ['on a macvlan', 'InvalidConfig', /is itself one \(macvlan\)/, withParent({ kind: 'macvlan' }), desired],
    [
      'on a bridge port',
      'InvalidConfig',
      /is a port of bridge "br0"/,
      { ...observed, parent: { link: eth1, controller: { ifName: 'br0', kind: 'bridge' } } },
      desired,
    ],
    [
      'with more MTU than the parent has',
      'InvalidConfig',
      /carries 1500 bytes and an MTU of 9000/,
      observed,
      { ...desired, mtuBytes: 9000 },
    ],
    ['with too little MTU for IPv6', 'InvalidConfig', /need at least 1280/, observed, { ...desired, mtuBytes: 1200 }],
    [
      'with a mark longer than an alias',
      'InvalidEnvironment',
      /the kernel keeps 255/,
      observed,
      { ...desired, containerID: 'a'.repeat(250) },
    ],
    [
      'over another’s interface',
      'InterfaceExists',
      /already has one of that name \(veth, .*Nothing was changed/,
      { ...observed, pod: { ...observed.pod, links: [stranger] } },
      desired,
    ],
    [
      'over our own of another parent',
      'InterfaceExists',
      /on link 9/,
      { ...observed, pod: { ...observed.pod, links: [{ ...half, parentIndex: 9 }] } },
      desired,
    ],
    [
      'over our own of another mode',
      'InterfaceExists',
      /macvlan mode vepa/,
      { ...observed, pod: { ...observed.pod, links: [{ ...half, shape: { kind: 'macvlan', mode: 'vepa' } }] } },
      desired,
    ],
    [
      'for a gateway outside the subnet',
      'InvalidConfig',
      /no address of the interface is in its subnet/,
      observed,
      withRoutes('0.0.0.0/0', '10.71.0.1'),
    ],
    ['for a gateway that is the pod', 'InvalidConfig', /own address/, observed, withRoutes('0.0.0.0/0', '10.70.8.20')],
    [
      'for a route with host bits',
      'InvalidConfig',
      /the network is 10\.99\.0\.0\/16/,
      observed,
      withRoutes('10.99.1.0/16', '10.70.8.1'),
    ],
    [
      'for a second default route',
      'InvalidConfig',
      /already routes it via 10\.1\.0\.1 on eth9/,
      {
        ...observed,
        pod: {
          ...observed.pod,
          links: [{ ...stranger, ifName: 'eth9' }],
          routes: [{ family: 4, dst: '0.0.0.0/0', gateway: '10.1.0.1', ifIndex: 2, metric: 0, protocol: 3 }],
        },
      },
      desired,
    ],
  ])('%s', (_, type, message, surroundings, wanted) => {
    const plan = planAttachment(surroundings, wanted);
    expect(plan).toEqual({
      outcome: 'refused',
      failure: { type, message: expect.stringMatching(message), remedy: expect.any(String) },
    });
    expect(attachmentDifferences(surroundings, wanted)).toHaveLength(1);
  });

  describe('not for a default route that yields to one which the pod has', () => {
    const yielding: DesiredAttachment = { ...desired, yieldsDefaultRoute: true };
    const rival = { family: 4, dst: '0.0.0.0/0', gateway: '10.1.0.1', ifIndex: 2, metric: 0, protocol: 3 } as const;
    const withRival = {
      ...observed,
      pod: { ...observed.pod, links: [{ ...stranger, ifName: 'eth9' }], routes: [rival] },
    };
    const routes = (around: ObservedSurroundings) => {
      const plan = planAttachment(around, yielding);
      if (plan.outcome === 'refused') throw new Error(plan.failure.message);
      return plan.operations.flatMap((operation) => (operation.op === 'add-route' ? [operation.dst] : []));
    };

    it('of that family: it is left out, and all else is made', () => {
      expect(routes(withRival)).toEqual(['10.99.0.0/16', '::/0']);
      expect(routes(observed)).toEqual(['0.0.0.0/0', '10.99.0.0/16', '::/0']);
    });

    it('but for any other route that the pod has', () => {
      const taken = { ...withRival.pod, routes: [{ ...rival, dst: '10.99.0.0/16' }] };
      expect(planAttachment({ ...withRival, pod: taken }, yielding)).toMatchObject({
        outcome: 'refused',
        failure: { message: expect.stringContaining('10.99.0.0/16') },
      });
    });
  });

  const { mode: _, ...anyKind } = desired;
  const ipvlan: DesiredAttachment = { ...anyKind, kind: 'ipvlan', mode: 'l2' };
  const vlan: DesiredAttachment = { ...anyKind, kind: 'vlan', vlanID: 120 };
  const portOf = (kind: string) => ({ ...observed, parent: { link: eth1, controller: { ifName: 'up0', kind } } });
  it.each<[string, ObservedSurroundings, DesiredAttachment, RegExp]>([
    [
      'an ipvlan on an ipvlan',
      withParent({ kind: 'ipvlan' }),
      ipvlan,
      /an ipvlan on "eth1": "eth1" is itself one \(ipvlan\)/,
    ],
    ['an ipvlan on an ipvtap', withParent({ kind: 'ipvtap' }), ipvlan, /is itself one \(ipvtap\)/],
    ['a macvlan on a macvtap', withParent({ kind: 'macvtap' }), desired, /is itself one \(macvtap\)/],
    ['an ipvlan on a port of a bridge', portOf('bridge'), ipvlan, /port of bridge "up0"/],
    ['a VLAN on a port of a bond', portOf('bond'), vlan, /a vlan on "eth1": "eth1" is a port of bond "up0"/],
  ])('for %s', (_, around, wanted, message) => {
    expect(planAttachment(around, wanted)).toMatchObject({
      outcome: 'refused',
      failure: { message: expect.stringMatching(message) },
    });
  });

  it.each<[string, ObservedSurroundings, DesiredAttachment]>([
    ['a VLAN on a port of a bridge', portOf('bridge'), vlan],
    ['a VLAN on a macvlan', withParent({ kind: 'macvlan' }), vlan],
    ['an ipvlan on a macvlan', withParent({ kind: 'macvlan' }), ipvlan],
    ['an ipvlan on a VLAN', withParent({ kind: 'vlan' }), ipvlan],
  ])('not for %s', (_, around, wanted) => {
    expect(planAttachment(around, wanted).outcome).toBe('plan');
  });

  it('not on the port of a VRF', () => {
    const surroundings = { ...observed, parent: { link: eth1, controller: { ifName: 'red', kind: 'vrf' } } };
    expect(planAttachment(surroundings, desired).outcome).toBe('plan');
  });
});

describe('a check', () => {
  it.each<[ReversibleOperation, string]>([
    [{ op: 'set-down', ifName: 'eth0' }, 'Interface "eth0" is down'],
    [
      { op: 'delete-address', ifName: 'eth0', address: '10.70.8.20/22' },
      'Interface "eth0" has lost address 10.70.8.20/22',
    ],
    [
      { op: 'set-mtu', ifName: 'eth0', mtuBytes: 1300, was: 1400 },
      'Interface "eth0" has an MTU of 1300 instead of 1400',
    ],
    [
      { op: 'delete-route', ifName: 'eth0', dst: '::/0', gateway: 'fd00:70::1', protocol: 79 },
      'The route to ::/0 via fd00:70::1 on "eth0" is gone',
    ],
  ])('names %j', (damage, sentence) => {
    const pod = emptyPod();
    pod.apply(operationsFor(pod.observe()));
    pod.apply([damage]);
    expect(attachmentDifferences(pod.observe(), desired)).toContain(sentence);
  });

  it('names a MAC that is not the one that was answered, of a kind that has its own', () => {
    const of = (shape: object, mac?: string): readonly string[] => {
      const pod = emptyPod();
      const asked = { ...desired, ...shape } as DesiredAttachment;
      const plan = planAttachment(pod.observe(), asked);
      if (plan.outcome === 'refused') throw new Error(plan.failure.message);
      pod.apply(plan.operations);
      return attachmentDifferences(pod.observe(), asked, mac);
    };
    const made = '02:00:00:00:00:01';
    expect(of({}, '02:00:00:00:00:99')).toEqual([`Interface "eth0" has MAC ${made} instead of 02:00:00:00:00:99`]);
    expect([of({}, made), of({})]).toEqual([[], []]);
    for (const shape of [{ mode: 'passthru' }, { kind: 'ipvlan', mode: 'l2' }, { kind: 'vlan', vlanID: 7 }]) {
      expect(of(shape, '02:00:00:00:00:99')).toEqual([]);
    }
  });

  it('says once that the interface is gone', () => {
    expect(attachmentDifferences(emptyPod().observe(), desired)).toEqual(['Interface "eth0" is gone']);
  });
});
