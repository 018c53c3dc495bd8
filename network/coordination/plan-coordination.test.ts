import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { expectGolden } from '../../test/testing/golden-file.ts';
import type { CoordinationOperation } from './coordination-operation.ts';
import { planCoordination } from './plan-coordination.ts';
import { CoordinationModel } from './testing/coordination-model.ts';
import { join, networks, overlayPod, request, settings, tie } from './testing/pod-shapes.ts';
import { podView } from './testing/pod-view.ts';

const refusal = (model: CoordinationModel, ifName: string, changes: Parameters<typeof request>[1] = {}): string => {
  const plan = planCoordination(model.observe(ifName), request(ifName, changes));
  return plan.outcome === 'refused' ? `${plan.failure.message}. ${plan.failure.remedy}` : plan.outcome;
};
const routesOf = (model: CoordinationModel, table: number, dst: string): string[] =>
  model.pod.routes
    .filter((route) => route.table === table && route.dst === dst)
    .map(({ gateway = 'link', ifName }) => `${gateway} ${ifName}`);
/** Routes and rules without who made them: a main plugin there, we here. */
const shapeOf = (model: CoordinationModel): readonly string[][] => [
  model.pod.routes
    .map(({ table, dst, gateway, ifName, metric, source }) =>
      JSON.stringify([table, dst, gateway, ifName, metric, source]),
    )
    .toSorted(),
  rules(model).toSorted(),
];
const rules = (model: CoordinationModel): string[] =>
  model.pod.rules.map(({ from, mark, table }) => `${from ?? `mark ${mark}`} ${table}`);
const isOf =
  (op: CoordinationOperation['op']) =>
  (operation: CoordinationOperation): boolean =>
    operation.op === op;

describe('the tables of spec/connectivity.md §1.7', () => {
  it('are those of the golden file', () => {
    const single = new CoordinationModel();
    const first = join(single, 'eth0', 'macvlan', {
      settings: settings({ policyRoutes: [{ dst: '10.9.0.0/16', gw: '10.70.8.9' }] }),
    });
    const overlay = overlayPod();
    const added = join(overlay, 'net1', 'macvlan', {
      settings: settings({ policyRoutes: [{ dst: '10.9.0.0/16', gw: '10.70.8.9' }] }),
    });
    const moved = overlayPod();
    const asDefault = join(moved, 'net1', 'macvlan', { settings: settings({ podDefaultRouteNic: 'net1' }) });
    const two = new CoordinationModel();
    join(two, 'eth0', 'macvlan');
    const second = join(two, 'net1', 'second');
    const later = overlayPod();
    const wish = { settings: settings({ podDefaultRouteNic: 'net2' }), awaitedNics: ['net1', 'net2'] };
    join(later, 'net1', 'second', wish);
    const last = join(later, 'net2', 'third', wish);
    const text = [
      podView('single underlay: macvlan eth0', single, first.operations),
      podView('overlay eth0, macvlan net1', overlay, added.operations),
      podView('overlay eth0, macvlan net1 with the default route', moved, asDefault.operations),
      podView('macvlan eth0, macvlan net1 (what net1 adds)', two, second.operations),
      podView('overlay eth0, net1, then net2 with the default route (what net2 changes)', later, last.operations),
    ].join('');
    expectGolden(new URL('./testdata/pod-tables.txt', import.meta.url), text);
  });
});

describe('a single underlay interface', () => {
  it('answers through the node what came in through the node', () => {
    const model = new CoordinationModel();
    join(model, 'eth0', 'macvlan');
    expect(rules(model)).toEqual(['mark 1 100', 'mark 1 100']);
    expect(routesOf(model, 100, '0.0.0.0/0')).toEqual(['10.70.8.2 veth0']);
    expect(routesOf(model, 100, '::/0')).toEqual(['fd00:70::2 veth0']);
    expect(model.pod.hasReplyMarks).toBe(true);
  });

  it('has nothing of the family that it has no address of', () => {
    const model = new CoordinationModel();
    model.addNic('eth0', { addresses: ['10.70.8.20/22'], gateways: ['10.70.8.1'] });
    tie(model, 'eth0');
    expect(model.pod.routes.filter(({ dst }) => dst.includes(':'))).toEqual([]);
    expect(model.node.rules.map(({ family }) => family)).toEqual([4]);
  });

  it('takes the length of its queue in the pod, its MAC from its address, its filter on every level that counts', () => {
    const model = new CoordinationModel();
    const asked = settings({
      txQueueLen: 500,
      podMACPrefix: '0a:1b',
      podRPFilter: 1,
      vethMtuBytes: 8900,
      vethLinkAddress: '169.254.200.1',
    });
    join(model, 'eth0', 'macvlan', { settings: asked });
    expect(model.pod.links.find(({ ifName }) => ifName === 'eth0')).toMatchObject({
      txQueueLen: 500,
      mac: '0a:1b:0a:46:08:14',
    });
    expect(model.pod.links.find(({ ifName }) => ifName === 'veth0')).toMatchObject({
      mtuBytes: 8900,
      alias: 'orbweaver:5b1e00112233445566/veth0',
    });
    expect(model.pod.addresses.map(({ address }) => address)).toContain('169.254.200.1/32');
    expect(model.pod.sysctls).toMatchObject({
      'net.ipv4.conf.all.rp_filter': '1',
      'net.ipv4.conf.eth0.rp_filter': '1',
      'net.ipv4.conf.veth0.rp_filter': '1',
      'net.ipv4.conf.veth0.src_valid_mark': '1',
    });
    expect(model.node.links.every(({ txQueueLen }) => txQueueLen === 1000)).toBe(true);
  });

  it('leaves rp_filter alone when the setting is negative', () => {
    const model = new CoordinationModel();
    const { podRPFilter: _, ...left } = settings();
    expect(join(model, 'eth0', 'macvlan', { settings: left }).operations.some(isOf('set-sysctl'))).toBe(false);
  });

  it('removes what the node remembers of whoever had the address before', () => {
    const model = new CoordinationModel();
    const stale = { address: '10.70.8.20', mac: '02:00:00:00:00:99', state: 'stale', protocol: 0 } as const;
    model.node.neighbours.push({ ...stale, ifName: 'eth1' });
    model.addLink('node', 'vethold', { kind: 'veth' });
    model.node.routes.push({ dst: '10.70.8.20/32', ifName: 'vethold', table: 500, protocol: 79, metric: 0 });
    join(model, 'eth0', 'macvlan');
    expect(model.node.neighbours.filter(({ address }) => address === '10.70.8.20')).toMatchObject([
      { ifName: 'veth5b1e0011223', state: 'permanent' },
    ]);
    expect(model.node.routes.filter(({ dst }) => dst === '10.70.8.20/32')).toMatchObject([
      { ifName: 'veth5b1e0011223' },
    ]);
  });

  it('leaves the address of an interface that is no Ethernet', () => {
    const model = new CoordinationModel();
    model.addNic('eth0', { ...networks.macvlan, link: { kind: 'ipoib', isEthernet: false } });
    const { notes, operations } = tie(model, 'eth0', { settings: settings({ podMACPrefix: '0a:1b' }) });
    expect(notes).toEqual(['podMACPrefix: eth0 has no MAC, it is no Ethernet']);
    expect(operations.map(({ op }) => op)).not.toContain('set-mac');
  });

  it('notes what it cannot hand to the node', () => {
    const model = new CoordinationModel();
    model.node.addresses = model.node.addresses.filter(({ family }) => family === 4);
    model.addNic('eth0', networks.macvlan);
    const observed = model.observe('eth0');
    const plan = planCoordination(
      { ...observed, node: { ...observed.node, sourcesToPod: ['10.70.8.2'] } },
      request('eth0'),
    );
    expect(plan).toMatchObject({
      notes: ['fd00:96::/108 is not handed to the node: the node has no IPv6 address that the pod could send it to'],
    });
  });
});

describe('tables', () => {
  it('are never shared by two interfaces, whatever they are called', () => {
    const model = new CoordinationModel();
    join(model, 'eth0', 'macvlan');
    model.addLink('pod', 'ib0', { isEthernet: false });
    const tables = [
      join(model, 'net1', 'second').table,
      join(model, 'storage', 'third').table,
      tie(model, 'eth0').table,
    ];
    expect(tables.slice(0, 1)).toEqual([102]);
    expect(tables[1]).toBeGreaterThan(10_000);
    expect(new Set(tables).size).toBe(3);
  });
});

describe('the interface with the default route', () => {
  it('gets it when it comes, also when it was named before it came', () => {
    const model = overlayPod();
    const wish = { settings: settings({ podDefaultRouteNic: 'net2' }), awaitedNics: ['net2'] };
    join(model, 'net1', 'second', wish);
    expect(routesOf(model, 254, '0.0.0.0/0')).toEqual(['169.254.1.1 eth0']);
    join(model, 'net2', 'third', wish);
    expect(routesOf(model, 254, '0.0.0.0/0')).toEqual(['10.72.0.1 net2']);
    expect(routesOf(model, 100, '0.0.0.0/0')).toEqual(['169.254.1.1 eth0']);
    expect(rules(model)).toEqual(expect.arrayContaining(['10.244.1.7/32 100', '10.71.0.20/32 101']));
    expect(rules(model)).not.toContain('10.72.0.20/32 102');
  });

  it.each([undefined, 'eth0', 'net1', 'net2'])(
    'is the same in the end when we make the interfaces, each with its default route aside from the beginning (%s)',
    (podDefaultRouteNic) => {
      const wish = {
        settings: settings(podDefaultRouteNic === undefined ? {} : { podDefaultRouteNic }),
        awaitedNics: ['net1', 'net2'],
      };
      const [chained, whole] = [new CoordinationModel(), new CoordinationModel()];
      for (const [ifName, network] of [
        ['eth0', 'macvlan'],
        ['net1', 'second'],
        ['net2', 'third'],
      ] as const) {
        join(chained, ifName, network, wish);
        const { addresses, gateways } = networks[network];
        const defaultRoutes = gateways.map((gateway) => ({
          dst: gateway.includes(':') ? '::/0' : '0.0.0.0/0',
          gateway,
        }));
        const before = whole.pod.routes.filter(({ table, dst }) => table === 254 && dst.endsWith('/0')).length;
        whole.addNic(ifName, { addresses, gateways: ifName === 'eth0' ? gateways : [] });
        tie(whole, ifName, { ...wish, defaultRoutes });
        const after = whole.pod.routes.filter(({ table, dst }) => table === 254 && dst.endsWith('/0')).length;
        expect(after).toBe(Math.max(before, 2)); // one of each family in the main table, at every turn
        expect(tie(whole, ifName, { ...wish, defaultRoutes }).operations).toEqual([]);
      }
      expect(shapeOf(whole)).toEqual(shapeOf(chained));
    },
  );

  it('is refused when no network brings it (C00014)', () => {
    const model = overlayPod();
    model.addNic('net1', networks.second);
    expect(
      refusal(model, 'net1', { settings: settings({ podDefaultRouteNic: 'net9' }), awaitedNics: ['net2'] }),
    ).toMatch(/^podDefaultRouteNIC: "net9" doesn't exist in pod, and none of the pod's networks brings it/);
  });

  it('stays where it is when routes are not tuned (C00017)', () => {
    const model = overlayPod();
    join(model, 'net1', 'second', { settings: settings({ tunePodRoutes: false, podDefaultRouteNic: 'net1' }) });
    expect(rules(model)).toEqual([]);
    expect(routesOf(model, 254, '0.0.0.0/0')).toEqual(['10.71.0.1 net1', '169.254.1.1 eth0']);
  });

  it('keeps the services in reach of an underlay interface that lost it', () => {
    const model = new CoordinationModel();
    join(model, 'eth0', 'macvlan');
    join(model, 'net1', 'second', { settings: settings({ podDefaultRouteNic: 'net1' }) });
    expect(routesOf(model, 101, '10.96.0.0/12')).toEqual(['10.70.8.2 veth0']);
    expect(routesOf(model, 101, '0.0.0.0/0')).toEqual(['10.70.8.1 eth0']);
    expect(routesOf(model, 254, '0.0.0.0/0')).toEqual(['10.71.0.1 net1']);
  });

  it('is chosen for each family on its own: one without an IPv6 gateway leaves IPv6 where it is', () => {
    const model = overlayPod();
    model.addNic('net1', { addresses: networks.second.addresses, gateways: ['10.71.0.1'] });
    tie(model, 'net1', { settings: settings({ podDefaultRouteNic: 'net1' }) });
    expect(routesOf(model, 254, '0.0.0.0/0')).toEqual(['10.71.0.1 net1']);
    expect(routesOf(model, 254, '::/0')).toEqual(['fe80::ecee:eeff:feee:eeee eth0']);
  });

  it('moves only when it is one gateway: several in one IPv4 route are refused', () => {
    const model = overlayPod();
    model.addNic('net1', { addresses: ['10.71.0.20/16'], gateways: [] });
    const hop = { dst: '0.0.0.0/0', ifName: 'net1', table: 254, protocol: 3, metric: 5, isHop: true } as const;
    model.pod.routes.push({ ...hop, gateway: '10.71.0.1' }, { ...hop, gateway: '10.71.0.2' });
    expect(refusal(model, 'net1')).toMatch(/^Cannot move the default route of "net1" into its own table/);
  });
});

describe('policy routes', () => {
  const policyRoutes = [{ dst: '10.9.0.0/16', gw: '10.71.0.9' }];

  it('of an overlay pod’s second interface go to its table (C00024)', () => {
    const model = overlayPod();
    join(model, 'net1', 'second', { settings: settings({ policyRoutes }) });
    expect(routesOf(model, 101, '10.9.0.0/16')).toEqual(['10.71.0.9 net1']);
  });

  it('go to the main table where no traffic looks into the interface’s own', () => {
    const model = overlayPod();
    join(model, 'net1', 'second', { settings: settings({ policyRoutes, podDefaultRouteNic: 'net1' }) });
    expect(routesOf(model, 254, '10.9.0.0/16')).toEqual(['10.71.0.9 net1']);
  });

  it('are refused when their gateway is out of reach, or the pod itself', () => {
    const model = overlayPod();
    model.addNic('net1', networks.second);
    const asked = (gw: string) => ({ settings: settings({ policyRoutes: [{ dst: '10.9.0.0/16', gw }] }) });
    expect(refusal(model, 'net1', asked('10.99.0.1'))).toContain(
      'no address of the interface is in its subnet (10.71.0.20/16, fd00:71::14/64)',
    );
    expect(refusal(model, 'net1', asked('10.71.0.20'))).toContain('that is the interface’s own address');
  });

  it('leave a route alone that the pod has already, and say so', () => {
    const model = overlayPod();
    model.addNic('net1', networks.second);
    model.pod.routes.push({
      dst: '10.96.0.0/12',
      gateway: '10.71.0.7',
      ifName: 'net1',
      table: 254,
      protocol: 3,
      metric: 0,
    });
    expect(tie(model, 'net1').notes).toEqual(['10.96.0.0/12 stays routed on "net1" in table 254, where it was before']);
  });
});

describe('refusals', () => {
  it.each([
    ['an interface that is not there', 'net7', {}, 'the pod has no such interface'],
    ['one without an address', 'bare', {}, 'it has no address'],
    [
      'a MAC for an ipvlan',
      'ipv',
      { settings: settings({ podMACPrefix: '0a:1b' }) },
      'an ipvlan has that of its parent',
    ],
  ] as const)('%s', (_, ifName, changes, words) => {
    const model = overlayPod();
    model.addLink('pod', 'bare', {});
    model.addNic('ipv', { addresses: ['10.73.0.2/16'], gateways: [], link: { kind: 'ipvlan' } });
    expect(refusal(model, ifName, changes)).toContain(words);
  });

  it('a stranger’s veth0', () => {
    const model = new CoordinationModel();
    model.addNic('eth0', networks.macvlan);
    model.addLink('pod', 'veth0', { kind: 'veth' });
    expect(refusal(model, 'eth0')).toContain('the pod already has a link "veth0" that is not ours');
  });

  it('an overlay whose first interface has no end on this node', () => {
    const model = new CoordinationModel();
    model.addNic('eth0', { ...networks.calico, link: { kind: 'ipvlan' } });
    model.addNic('net1', networks.second);
    expect(refusal(model, 'net1')).toContain('"eth0" is no veth whose other end is on this node');
  });
});

describe('whatever is asked', () => {
  const asked = fc.record(
    {
      tunePodRoutes: fc.boolean(),
      podDefaultRouteNic: fc.constantFrom('eth0', 'net1', 'net2', 'data'),
      podRPFilter: fc.constantFrom(0, 1, 2),
      txQueueLen: fc.constantFrom(0, 1000, 5000),
      podMACPrefix: fc.constantFrom('0a:1b', 'fe:00'),
      vethLinkAddress: fc.constant('169.254.200.1'),
    } as const,
    { requiredKeys: ['tunePodRoutes'] },
  );
  const families = fc.constantFrom('v4', 'v6', 'both');
  const shapes = fc.record({
    isOverlay: fc.boolean(),
    families,
    isClean: fc.boolean(),
    asked,
    order: fc.shuffledSubarray(['net1', 'net2', 'data'], { minLength: 1 }),
  });
  const ofFamily = (texts: readonly string[], family: 'v4' | 'v6' | 'both'): string[] =>
    texts.filter((text) => family === 'both' || text.includes(':') === (family === 'v6'));

  /** Each interface in turn, with a look at each step. */
  function build(shape: Shape, look: (step: Step) => void): CoordinationModel {
    const model = shape.isOverlay ? overlayPod() : new CoordinationModel();
    const wished = { settings: settings(shape.asked), awaitedNics: ['eth0', 'net1', 'net2', 'data'] };
    for (const ifName of [...(shape.isOverlay ? [] : ['eth0']), ...shape.order]) {
      const network =
        { eth0: networks.macvlan, net1: networks.second, net2: networks.third, data: data }[ifName] ?? data;
      model.addNic(ifName, {
        addresses: ofFamily(network.addresses, shape.families),
        gateways: shape.isClean && ifName !== 'eth0' ? [] : ofFamily(network.gateways, shape.families),
      });
      look({ model, ifName, wished });
    }
    return model;
  }

  it('undone is as before, and done twice is done once', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        build(shape, ({ model, ifName, wished }) => {
          const before = model.state();
          const { operations } = tie(model, ifName, wished);
          const after = model.state();
          model.undo(operations);
          expect(withoutNodeRules(model.state())).toEqual(withoutNodeRules(before));
          tie(model, ifName, wished);
          expect(model.state()).toEqual(after);
          expect(tie(model, ifName, wished).operations).toEqual([]);
        });
      }),
    );
  });

  it('comes out the same in whatever order the further interfaces come', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const come = (order: string[]) => {
          const model = build({ ...shape, order }, ({ model: pod, ifName, wished }) => void tie(pod, ifName, wished));
          return {
            rules: rules(model).toSorted(),
            routes: model.pod.routes
              .map(({ table, dst, gateway, ifName }) => `${named(model, table)} ${dst} ${gateway} ${ifName}`)
              .toSorted(),
          };
        };
        if (!shape.asked.tunePodRoutes) return;
        const one = come(shape.order);
        const other = come(shape.order.toReversed());
        expect(dropTables(other.rules)).toEqual(dropTables(one.rules));
        expect(other.routes).toEqual(one.routes);
      }),
    );
  });
});

const data = { addresses: ['10.74.0.20/16', 'fd00:74::14/64'], gateways: ['10.74.0.1', 'fd00:74::1'] };

interface Shape {
  readonly isOverlay: boolean;
  readonly families: 'v4' | 'v6' | 'both';
  readonly isClean: boolean;
  readonly asked: Parameters<typeof settings>[0] & { readonly tunePodRoutes: boolean };
  readonly order: readonly string[];
}

interface Step {
  readonly model: CoordinationModel;
  readonly ifName: string;
  readonly wished: Parameters<typeof tie>[2];
}

/** The node's rule stays: it serves every pod. */
const withoutNodeRules = (state: unknown): unknown => {
  const { pod, node } = state as { pod: unknown; node: { rules: unknown } };
  return { pod, node: { ...node, rules: undefined } };
};

/** A table whose number depends on an index, by the interface that it is for. */
const named = (model: CoordinationModel, table: number): string =>
  table <= 10_000 ? `${table}` : `of ${model.pod.links.find(({ ifIndex }) => ifIndex === table - 10_000)?.ifName}`;
const dropTables = (texts: readonly string[]): string[] => texts.map((text) => text.replace(/ 1\d{4}$/, ' own'));
