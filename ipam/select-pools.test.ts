import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Family } from './address.ts';
import { applicationAffinityKeys, automaticPoolLabels } from './automatic-pool.ts';
import { networksAnnotation } from './pod-networks.ts';
import { routesAnnotation } from './pod-routes.ts';
import { ippoolAnnotation, ippoolsAnnotation, namespacePoolAnnotations } from './pool-annotation.ts';
import { readPoolCatalogue } from './pool-catalogue.ts';
import type { Application, Labels, PoolRequest } from './pool-request.ts';
import type { PoolObject } from './pool-snapshot.ts';
import { explainSelection, needsController, type PoolSelection, selectPools } from './select-pools.ts';
import { poolSizeAnnotation, subnetAnnotation, subnetsAnnotation } from './subnet-annotation.ts';
import { requestOf } from './testing/pool-requests.ts';

const v4 = (name: string, spec: Partial<PoolObject['spec']> = {}): PoolObject => ({
  metadata: { name },
  spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.90'], ...spec },
});
const v6 = (name: string, spec: Partial<PoolObject['spec']> = {}): PoolObject =>
  v4(name, { subnet: '2001:db8::/64', ips: ['2001:db8::1-2001:db8::ff'], ...spec });
const deleted = (pool: PoolObject): PoolObject => ({
  ...pool,
  metadata: { ...pool.metadata, deletionTimestamp: '2026-11-21T10:00:00Z' },
});

interface Asked {
  readonly annotation?: string | undefined;
  /** Other annotations of the pod. */
  readonly annotations?: Labels;
  readonly namespace?: Labels;
  readonly conf4?: readonly string[];
  readonly conf6?: readonly string[];
  readonly cleanGateway?: boolean;
  readonly ifName?: string;
  readonly controller?: Application;
  readonly cluster?: Partial<PoolRequest['cluster']>;
}
const asRequest = (asked: Asked): PoolRequest => {
  const { annotation, annotations = {}, conf4 = [], conf6 = [], cleanGateway = false, ifName = 'eth0' } = asked;
  const own = annotation === undefined ? {} : { [ippoolAnnotation]: annotation };
  const controller = asked.controller && { controller: asked.controller };
  return requestOf({
    pod: { annotations: { ...annotations, ...own }, ...controller },
    namespace: { annotations: asked.namespace ?? {} },
    network: { defaultIPv4Pools: conf4, defaultIPv6Pools: conf6, cleanGateway },
    ifName,
    ...(asked.cluster && { cluster: asked.cluster }),
  });
};
const select = (pools: readonly PoolObject[], asked: Asked = {}): PoolSelection =>
  selectPools(asRequest(asked), readPoolCatalogue(pools, []));

/** What was selected, as a line a person can compare; a refusal is its type and message. */
function told(selection: PoolSelection): string {
  if (selection.outcome === 'refused') return `${selection.failure.type}: ${selection.failure.message}`;
  if (selection.outcome === 'awaited') return `awaited: ${selection.failure.message}`;
  return selection.families
    .map(({ family, pools }) => `IPv${family} ${pools.map(({ name }) => name).join(' ')}`)
    .join(', ');
}

describe('the level that decides', () => {
  const pools = [
    v4('nic4'),
    v6('nic6'),
    v4('pod4'),
    v6('pod6'),
    v4('team4'),
    v6('team6'),
    v4('conf4'),
    v6('conf6'),
    v4('default4', { default: true }),
    v6('default6', { default: true }),
  ];

  const everywhere: Asked = {
    annotations: { [ippoolsAnnotation]: '[{"interface":"eth0","ipv4":["nic4"],"ipv6":["nic6"]}]' },
    annotation: '{"ipv4":["pod4"],"ipv6":["pod6"]}',
    namespace: { [namespacePoolAnnotations[4]]: '["team4"]', [namespacePoolAnnotations[6]]: '["team6"]' },
    conf4: ['conf4'],
    conf6: ['conf6'],
  };

  it('A00004, A00005, A00006: is ippools, then ippool, the namespace, the network configuration, the cluster default', () => {
    expect(told(select(pools, everywhere))).toBe('IPv4 nic4, IPv6 nic6');
    expect(told(select(pools, { ...everywhere, annotations: {} }))).toBe('IPv4 pod4, IPv6 pod6');
    const { namespace = {}, conf4 = [], conf6 = [] } = everywhere;
    expect(told(select(pools, { namespace, conf4, conf6 }))).toBe('IPv4 team4, IPv6 team6');
    expect(told(select(pools, { conf4, conf6 }))).toBe('IPv4 conf4, IPv6 conf6');
    expect(told(select(pools))).toBe('IPv4 default4, IPv6 default6');
  });

  it('decides both families: a lower level adds none', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["pod4"]}', conf6: ['conf6'] }))).toBe('IPv4 pod4');
    expect(told(select(pools, { conf6: ['conf6'] }))).toBe('IPv6 conf6');
    expect(told(select(pools, { namespace: { [namespacePoolAnnotations[4]]: '["team4"]' }, conf6: ['conf6'] }))).toBe(
      'IPv4 team4',
    );
  });

  it('is not one whose lists are empty', () => {
    const namespace = { [namespacePoolAnnotations[4]]: '[]', [namespacePoolAnnotations[6]]: '[]' };
    expect(told(select(pools, { namespace, conf4: ['conf4'] }))).toBe('IPv4 conf4');
  });

  it('does not give way when its pools are gone or its text is wrong', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["gone"]}', conf4: ['conf4'] }))).toMatch(/^PoolNotFound: /);
    expect(told(select(pools, { annotation: '{"ipv4":"pod4"}', conf4: ['conf4'] }))).toMatch(/^InvalidAnnotation: /);
    expect(told(select(pools, { namespace: { [namespacePoolAnnotations[4]]: 'team4' }, conf4: ['conf4'] }))).toMatch(
      /^InvalidAnnotation: .* of namespace "pay"/,
    );
    expect(told(select(pools, { conf4: ['conf4'], conf6: ['c['] }))).toBe(
      'InvalidConfig: Key "default_ipv6_ippool" of the network configuration has a malformed wildcard: "c[" has a "[" without "]"',
    );
  });

  it('is told, for the log', () => {
    expect(select(pools)).toMatchObject({ outcome: 'selected', source: 'the pools with spec.default: true' });
  });
});

describe('the order of pools', () => {
  it('is the one in which they are named, each once', () => {
    const pools = ['a', 'b', 'c'].map((name) => v4(name));
    expect(told(select(pools, { annotation: '{"ipv4":["c","a","c","b","a"]}' }))).toBe('IPv4 c a b');
    expect(told(select(pools, { conf4: ['b', 'b', 'a'] }))).toBe('IPv4 b a');
  });

  it('is by name for cluster defaults, however the API server lists them', () => {
    const pools = ['c', 'a', 'b'].map((name) => v4(name, { default: true }));
    expect(told(select(pools))).toBe('IPv4 a b c');
  });
});

describe('a pool that cannot serve', () => {
  const pools = [
    v4('good'),
    v4('off', { disable: true }),
    deleted(v4('going')),
    v6('six'),
    v4('bad', { ips: ['10.70.8.9-10.70.8.1'] }),
  ];

  it('§12.3 #10: is skipped with its reason while its family has another one', () => {
    const selection = select(pools, { annotation: '{"ipv4":["off","going","six","bad","gone","p*","s?x","good"]}' });
    expect(selection).toMatchObject({
      families: [
        {
          family: 4,
          pools: [{ name: 'good' }],
          skipped: [
            { name: 'off', reason: 'is disabled' },
            { name: 'going', reason: 'is being deleted' },
            { name: 'six', reason: 'is an IPv6 pool' },
            { name: 'bad', reason: 'is malformed (spec.ips: "10.70.8.9-10.70.8.1" ends before it starts)' },
            { name: 'gone', reason: 'does not exist' },
            { name: 'p*', reason: 'matches no IPv4 pool' },
            { name: 's?x', reason: 'matches no IPv4 pool' },
          ],
        },
      ],
    });
  });

  it('fails the whole request when its family has no other one', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["good"],"ipv6":["off","gone"]}' }))).toBe(
      'NoPool: Cannot choose an IPv6 pool from pod annotation ipam.spidernet.io/ippool: "off" is disabled; "gone" does not exist',
    );
  });

  it('is PoolNotFound when every one of them is missing', () => {
    expect(select(pools, { conf4: ['gone'], conf6: ['rack-*'] })).toEqual({
      outcome: 'refused',
      failure: {
        type: 'PoolNotFound',
        message:
          'Cannot choose an IPv4 pool from default_ipv4_ippool and default_ipv6_ippool of the network configuration: "gone" does not exist. ' +
          'Cannot choose an IPv6 pool from default_ipv4_ippool and default_ipv6_ippool of the network configuration: "rack-*" matches no IPv6 pool',
        remedy:
          'Correct these pools, or name others in default_ipv4_ippool and default_ipv6_ippool of the network configuration. Step by step: orb why pay/api-0',
      },
    });
  });

  it('still asks for its family as a cluster default', () => {
    expect(told(select([v4('a', { default: true }), v6('b', { default: true, disable: true })]))).toBe(
      'NoPool: Cannot choose an IPv6 pool from the pools with spec.default: true: "b" is disabled',
    );
  });

  it('asks for no family as a cluster default without a readable subnet', () => {
    const unreadable = v4('b', { default: true, subnet: 'x' });
    expect(told(select([v4('a', { default: true }), unreadable]))).toBe('IPv4 a');
    expect(told(select([unreadable]))).toMatch(
      /nor by the pools with spec\.default: true \("b" is malformed \(spec\.subnet "x" is not a CIDR\)\)$/,
    );
  });

  it('is named in the same order, however the API server lists them', () => {
    const unreadable = ['e', 'a'].map((name) => v4(name, { default: true, subnet: 'x' }));
    expect(told(select(unreadable))).toMatch(/\("a" is malformed .*; "e" is malformed /);
  });

  it('keeps a message short, however many pools are named', () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `gone-${index}`);
    expect(told(select([], { annotation: JSON.stringify({ ipv4: names }) }))).toMatch(
      /"gone-9" does not exist; and 19990 more$/,
    );
  });
});

it('refuses with every place where a pool can be named when none is', () => {
  expect(select([v4('a')])).toEqual({
    outcome: 'refused',
    failure: {
      type: 'NoPool',
      message:
        'Cannot choose a pool: none is named by pod annotation ipam.spidernet.io/subnets, nor by pod annotation ipam.spidernet.io/subnet, ' +
        'nor by pod annotation ipam.spidernet.io/ippools, nor by pod annotation ipam.spidernet.io/ippool, ' +
        'nor by namespace annotations ipam.spidernet.io/default-ipv4-ippool and ipam.spidernet.io/default-ipv6-ippool, ' +
        'nor by default_ipv4_ippool and default_ipv6_ippool of the network configuration, nor by the pools with spec.default: true',
      remedy:
        'Name a pool in one of these places, or set spec.default: true on a SpiderIPPool. Step by step: orb why pay/api-0',
    },
  });
});

describe('the pools of each NIC', () => {
  const pools = [v4('p'), v4('q'), v6('q6')];
  const two = '[{"interface":"eth0","ipv4":["p"]},{"interface":"net1","ipv4":["q"],"ipv6":["q6"]}]';
  const byPlace = '[{"ipv4":["p"]},{"ipv4":["q"],"cleangateway":true}]';
  const of = (text: string, ifName: string, networks?: string) =>
    select(pools, {
      ifName,
      annotations: { [ippoolsAnnotation]: text, ...(networks && { [networksAnnotation]: networks }) },
      cleanGateway: true,
    });

  it('are those of its item', () => {
    expect(told(of(two, 'eth0'))).toBe('IPv4 p');
    expect(told(of(two, 'net1'))).toBe('IPv4 q, IPv6 q6');
  });

  it('A00010: are those of its place among the networks of the pod where items have no name', () => {
    expect(told(of(byPlace, 'eth0'))).toBe('IPv4 p');
    expect(told(of(byPlace, 'net1', 'netops/vlan-80'))).toBe('IPv4 q');
    expect(told(of(byPlace, 'storage', 'netops/vlan-80@storage'))).toBe('IPv4 q');
  });

  it('A00011: have a default route as the item says, whatever the network configuration does', () => {
    const cleansOf = (text: string, ifName: string) => {
      const selection = of(text, ifName, 'netops/vlan-80');
      return selection.outcome === 'selected' && selection.families[0]?.routes.cleanGateway;
    };
    expect(cleansOf(byPlace, 'eth0')).toBe(false);
    expect(cleansOf(byPlace, 'net1')).toBe(true);
    const conf = select(pools, { conf4: ['p'], cleanGateway: true });
    expect(conf).toMatchObject({ families: [{ routes: { cleanGateway: true } }] });
  });

  it('A00013: are refused where the annotation has none for this one', () => {
    expect(told(of(two, 'net2'))).toBe(
      `InvalidAnnotation: Cannot read pod annotation ${ippoolsAnnotation}: it has no item for NIC net2. Found: ${two}`,
    );
    expect(told(of(byPlace, 'net2', 'netops/vlan-80,netops/vlan-90'))).toContain(
      'it has no item 2, which NIC net2 needs',
    );
    expect(told(of(byPlace, 'net1'))).toContain('Cannot tell which network of the pod NIC net1 is');
  });

  it('A00014: are refused when an item is wrong, also one of another NIC', () => {
    expect(told(of(two.replace('net1', 'eth0'), 'eth0'))).toContain('NIC "eth0" has two items');
    expect(told(of(two.replace('["q6"]', '"q6"'), 'eth0'))).toContain('"ipv6" of item 1 is not a list of pool names');
  });
});

describe('a wildcard', () => {
  const pools = [v4('rack-2'), v6('rack-6'), v4('rack-1'), v4('other'), v4('rack-off', { disable: true })];

  it('A00007, A00015: stands for the pools of the family that it matches, by name', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["rack-*"],"ipv6":["rack-*"]}' }))).toBe(
      'IPv4 rack-1 rack-2, IPv6 rack-6',
    );
    expect(told(select(pools, { namespace: { [namespacePoolAnnotations[4]]: '["rack-[12]"]' } }))).toBe(
      'IPv4 rack-1 rack-2',
    );
    expect(told(select(pools, { conf4: ['*'] }))).toBe('IPv4 other rack-1 rack-2');
  });

  it('§12.3 #9: stands in its place, and a pool that is named twice counts where it is named first', () => {
    expect(told(select(pools, { conf4: ['rack-2', 'rack-*', 'other'] }))).toBe('IPv4 rack-2 rack-1 other');
    expect(told(select(pools, { conf4: ['other', 'rack-*', 'rack-1', '*'] }))).toBe('IPv4 other rack-1 rack-2');
  });

  it('§12.3 #12: that matches nothing does not drop its family', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["rack-*"],"ipv6":["none-*"]}' }))).toBe(
      `PoolNotFound: Cannot choose an IPv6 pool from pod annotation ${ippoolAnnotation}: "none-*" matches no IPv6 pool`,
    );
    const selection = select(pools, { annotation: '{"ipv4":["none-*","rack-1"]}' });
    expect(selection).toMatchObject({ families: [{ skipped: [{ name: 'none-*', reason: 'matches no IPv4 pool' }] }] });
  });

  it('skips what it matches for the same reasons as a name', () => {
    expect(told(select(pools, { conf4: ['rack-o*'] }))).toContain('"rack-off" is disabled');
  });
});

describe('a family that the cluster does not use', () => {
  const pools = [v4('p'), v6('p6'), v4('d', { default: true }), v6('d6', { default: true })];
  const cluster = { families: [4] as const };

  it('is left out with a warning', () => {
    const selection = select(pools, { annotation: '{"ipv4":["p"],"ipv6":["p6"]}', cluster });
    expect(told(selection)).toBe('IPv4 p');
    expect(selection).toMatchObject({
      warnings: [`IPv6 of pod annotation ${ippoolAnnotation} is left out: this cluster does not use it`],
    });
    expect(told(select(pools, { cluster }))).toBe('IPv4 d');
  });

  it('§12.3 #12: is refused when nothing else is asked for', () => {
    expect(select(pools, { annotation: '{"ipv6":["p6"]}', conf4: ['p'], cluster })).toEqual({
      outcome: 'refused',
      failure: {
        type: 'NoPool',
        message: `Cannot choose a pool: pod annotation ${ippoolAnnotation} asks for IPv6 only, and this cluster does not use IPv6`,
        remedy: 'Name IPv4 pools there, or switch it on with ORBWEAVER_ENABLE_IPV6',
      },
    });
  });
});

describe('automatic pools', () => {
  const application: Application = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    namespace: 'pay',
    name: 'api',
    uid: 'uid-1',
  };
  const keys = applicationAffinityKeys;
  const made = (
    pool: PoolObject,
    { uid = 'uid-1', ifName = 'eth0', subnet = 'sub-a', name = 'api' } = {},
  ): PoolObject => ({
    metadata: {
      ...pool.metadata,
      labels: {
        [automaticPoolLabels.applicationName]: name,
        [automaticPoolLabels.applicationUID]: uid,
        [automaticPoolLabels.ifName]: ifName,
        [automaticPoolLabels.subnet]: subnet,
      },
    },
    spec: {
      ...pool.spec,
      podAffinity: {
        matchLabels: {
          [keys.group]: 'apps',
          [keys.version]: 'v1',
          [keys.kind]: 'Deployment',
          [keys.namespace]: 'pay',
          [keys.name]: name,
        },
      },
    },
  });
  const subnets = '[{"interface":"eth0","ipv4":["sub-a"]},{"interface":"net1","ipv4":["sub-b"],"ipv6":["sub-b6"]}]';
  const asks = (text: string, more: Asked = {}): Asked => ({
    controller: application,
    ...more,
    annotations: { [subnetsAnnotation]: text, ...more.annotations },
  });

  it('are found by application, NIC, family and subnet, before any level that names pools', () => {
    const pools = [
      made(v4('auto4')),
      made(v4('auto4-net1'), { ifName: 'net1', subnet: 'sub-b' }),
      made(v6('auto6-net1'), { ifName: 'net1', subnet: 'sub-b6' }),
      made(v4('auto4-web'), { name: 'web' }),
      v4('p'),
    ];
    expect(told(select(pools, asks(subnets, { annotation: '{"ipv4":["p"]}' })))).toBe('IPv4 auto4');
    expect(told(select(pools, asks(subnets, { ifName: 'net1' })))).toBe('IPv4 auto4-net1, IPv6 auto6-net1');
    const one = { annotations: { [subnetAnnotation]: '{"ipv4":["sub-a"]}' }, controller: application };
    expect(told(select(pools, one))).toBe('IPv4 auto4');
  });

  it.each([
    ['it is not made', []],
    ['it is of another subnet', [made(v4('auto4'), { subnet: 'sub-z' })]],
    ['it is of another NIC', [made(v4('auto4'), { ifName: 'net1' })]],
    ["it is another application's", [made(v4('auto4'), { name: 'web' })]],
    ['it is being deleted', [deleted(made(v4('auto4')))]],
  ])('are awaited while %s', (_, pools) => {
    expect(told(select(pools, asks(subnets, { conf4: ['p'] })))).toBe(
      'awaited: Cannot choose a pool: the automatic IPv4 pool of Deployment pay/api for NIC eth0 from SpiderSubnet "sub-a" is not there yet',
    );
  });

  it('are awaited while they are still those of an earlier application of the same name', () => {
    expect(told(select([made(v4('auto4'), { uid: 'uid-0' })], asks(subnets)))).toMatch(
      /^awaited: .*, pool "auto4" is still that of an earlier application of the same name$/,
    );
  });

  it('are not awaited in a family that the cluster does not use', () => {
    const pools = [made(v4('auto4'), { subnet: 'sub-b', ifName: 'net1' })];
    const selection = select(pools, asks(subnets, { ifName: 'net1', cluster: { families: [4] } }));
    expect(told(selection)).toBe('IPv4 auto4');
    expect(selection).toMatchObject({ warnings: [expect.stringContaining('IPv6')] });
  });

  it('are refused when one is switched off, with its reason', () => {
    expect(told(select([made(v4('auto4', { disable: true }))], asks(subnets)))).toContain('"auto4" is disabled');
  });

  it('I00023: are refused to a pod without a controller', () => {
    const orphan = { apiVersion: 'v1', kind: 'Pod', namespace: 'pay', name: 'api-0', uid: 'p' };
    expect(told(select([], asks(subnets, { controller: orphan })))).toContain(
      'automatic pools are made for applications, and pod pay/api-0 has no controller',
    );
  });

  it('I00024: are refused where the feature is switched off', () => {
    const cluster = { automaticPools: false };
    expect(told(select([v4('d', { default: true })], asks(subnets, { cluster })))).toContain(
      'the Auto-Pool feature is disabled',
    );
  });

  it('are not asked for where SpiderSubnets are switched off: lower levels decide', () => {
    const cluster = { subnets: false, automaticPools: false };
    expect(told(select([v4('d', { default: true })], asks(subnets, { cluster })))).toBe('IPv4 d');
    expect(told(select([v4('d', { default: true })], asks('nonsense', { cluster })))).toBe('IPv4 d');
  });

  it('are refused for a NIC that the annotation leaves out, and when it cannot be read', () => {
    expect(told(select([], asks(subnets, { ifName: 'net2' })))).toContain('it names no subnet for NIC net2');
    expect(told(select([], asks('[]')))).toMatch(/^InvalidAnnotation: /);
    expect(told(select([made(v4('auto4'))], asks(subnets, { annotations: { [poolSizeAnnotation]: '3+2' } })))).toMatch(
      /^InvalidAnnotation: .*ippool-ip-number/,
    );
  });

  it('need the controller to be known, and nothing else does', () => {
    const needs = (pools: readonly PoolObject[], asked: Asked) =>
      needsController(asRequest(asked), readPoolCatalogue(pools, []));
    const { controller: _, ...unknown } = asks(subnets);
    expect(needs([], unknown)).toBe(true);
    expect(needs([made(v4('auto4'))], { conf4: ['auto*'] })).toBe(true);
    expect(needs([made(v4('auto4')), v4('p', { podAffinity: { matchLabels: { a: 'b' } } })], { conf4: ['p'] })).toBe(
      false,
    );
    expect(needs([v4('p')], { conf4: ['p'] })).toBe(false);
    expect(needs([], { ...unknown, cluster: { subnets: false, automaticPools: false } })).toBe(false);
  });
});

describe('routes of the pod', () => {
  const annotated = (text: string): Asked => ({ conf4: ['p'], annotations: { [routesAnnotation]: text } });

  it('go along with the pools', () => {
    const selection = select([v4('p')], annotated('[{"dst":"10.64.0.0/10","gw":"10.70.8.9"}]'));
    expect(selection).toMatchObject({ families: [{ routes: { cleanGateway: false, podRoutes: [{}] } }] });
  });

  it('refuse the request when they cannot be read', () => {
    expect(told(select([v4('p')], annotated('[{"dst":"default"}]')))).toMatch(
      /^InvalidAnnotation: .*"dst" of item 0 is not a CIDR/,
    );
  });
});

describe('an explanation', () => {
  const pools = [
    v4('near', { nodeName: ['n1'] }),
    v4('far', { nodeName: ['n2'] }),
    v4('plain'),
    v4('bad', { gateway: 'x' }),
  ];
  const request = asRequest({ conf4: ['plain', '*', 'gone'] });
  const trace = explainSelection(request, readPoolCatalogue(pools, []));

  it('tells what each level said, down to the one that decided', () => {
    expect(trace.levels.map(({ outcome, says }) => `${outcome}: ${says}`)).toEqual([
      'absent: names no pool',
      'absent: names no pool',
      'absent: names no pool',
      'absent: names no pool',
      'absent: names no pool',
      'pools: IPv4: plain, *, gone',
    ]);
  });

  it('tells what became of each pool and how it was named', () => {
    expect(trace.families.map(({ family }) => family)).toEqual([4]);
    const told = trace.families[0]?.pools.map(({ name, namedAs, objection, verdicts }) => [
      name,
      namedAs,
      objection ?? 'serves',
      verdicts.length,
    ]);
    expect(told).toEqual([
      ['plain', 'plain', 'serves', 8],
      ['bad', '*', 'is malformed (spec.gateway "x" is not an address of spec.subnet)', 0],
      ['far', '*', 'serves others: node name "n1" is not in its nodeName (n2)', 4],
      ['near', '*', 'serves', 8],
      ['gone', 'gone', 'does not exist', 0],
    ]);
  });

  it('ends with the selection itself', () => {
    expect(trace.selection).toEqual(selectPools(request, readPoolCatalogue(pools, [])));
    expect(told(trace.selection)).toBe('IPv4 near plain');
  });
});

it('§12.3 #33: a pool that was never given its ipVersion is read by its subnet', () => {
  const bare = { metadata: { name: 'p' }, spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20'] } };
  expect(told(select([bare], { conf4: ['p'] }))).toBe('IPv4 p');
  expect(told(select([bare], { conf6: ['p'] }))).toContain('"p" is an IPv4 pool');
});

describe('any cluster and any request', () => {
  const poolObjects: fc.Arbitrary<PoolObject[]> = fc.uniqueArray(
    fc
      .record({
        name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        make: fc.constantFrom(v4, v6),
        isDeleted: fc.boolean(),
        spec: fc.record(
          {
            default: fc.boolean(),
            disable: fc.boolean(),
            gateway: fc.constant('nonsense'),
            subnet: fc.constant('nonsense'),
          },
          { requiredKeys: [] },
        ),
      })
      .map(({ name, make, isDeleted, spec }) => (isDeleted ? deleted(make(name, spec)) : make(name, spec))),
    { selector: ({ metadata }) => metadata.name, maxLength: 5 },
  );
  const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'gone', 'w*', '?', '[b-d]'), { maxLength: 5 });
  const texts = fc.oneof(fc.json(), fc.string());
  const annotations = fc.option(
    fc.oneof(
      fc.record({ ipv4: names, ipv6: names }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
      texts,
    ),
    { nil: undefined },
  );
  const requests: fc.Arbitrary<Asked> = fc.record({ annotation: annotations, conf4: names, conf6: names });

  it('gets every family that was asked for, or none; only pools that can serve; in the order named', () => {
    fc.assert(
      fc.property(poolObjects, names, names, (pools, ipv4, ipv6) => {
        fc.pre(ipv4.length + ipv6.length > 0);
        const selection = select(pools, { annotation: JSON.stringify({ ipv4, ipv6 }) });
        const sorted = pools.map(({ metadata }) => metadata.name).toSorted();
        const expand = (name: string): readonly string[] =>
          name === '?' || name === '[b-d]' ? sorted.filter((one) => name === '?' || 'bcd'.includes(one)) : [name];
        const canServe = (family: Family) => (name: string) => {
          const found = pools.find(({ metadata }) => metadata.name === name);
          if (!found || found.metadata.deletionTimestamp !== undefined || found.spec.disable === true) return false;
          return (
            found.spec.gateway === undefined &&
            found.spec.subnet.includes(':') === (family === 6) &&
            found.spec.subnet !== 'nonsense'
          );
        };
        const expected = ([4, 6] as const)
          .map((family) => ({ family, named: family === 4 ? ipv4 : ipv6 }))
          .filter(({ named }) => named.length > 0)
          .map(({ family, named }) => ({
            family,
            pools: [...new Set(named.flatMap(expand).filter(canServe(family)))],
          }));
        const found =
          selection.outcome === 'selected' &&
          selection.families.map(({ family, pools }) => ({ family, pools: pools.map(({ name }) => name) }));
        expect(found).toEqual(expected.every(({ pools }) => pools.length > 0) && expected);
      }),
    );
  });

  it('gets the same answer from a list in another order, and next to a pool that nobody names', () => {
    fc.assert(
      fc.property(poolObjects, requests, (pools, asked) => {
        const selection = select(pools, asked);
        expect(select(pools.toReversed(), asked)).toEqual(selection);
        expect(
          select([v4('unrelated'), ...pools, v6('other', { disable: true }), v4('broken', { subnet: '' })], asked),
        ).toEqual(selection);
      }),
    );
  });

  it('§12.3 #1: tries specific pools first, and otherwise those that were named first', () => {
    const restrictions = [
      { podAffinity: {} },
      { nodeName: ['n1'] },
      { nodeAffinity: {} },
      { namespaceName: ['pay'] },
      { namespaceAffinity: {} },
      { multusName: ['netops/vlan-70'] },
    ] as const satisfies readonly Partial<PoolObject['spec']>[];
    /** Which of them each pool has, by bit. */
    const masks = fc.array(fc.nat({ max: 63 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(masks, (masks) => {
        const isSet = (mask: number, index: number) => ((mask >> index) & 1) === 1;
        const pools = masks.map((mask, at) => {
          const entries = restrictions.filter((_, index) => isSet(mask, index)).flatMap((one) => Object.entries(one));
          return v4(`p${at}`, Object.fromEntries<unknown>(entries));
        });
        const key = (mask: number) => restrictions.map((_, index) => (isSet(mask, index) ? 'a' : 'b')).join('');
        const expected = masks
          .map((mask, at) => ({ name: `p${at}`, key: key(mask), at }))
          .sort((a, b) => (a.key === b.key ? a.at - b.at : a.key < b.key ? -1 : 1));
        const conf4 = pools.map(({ metadata }) => metadata.name);
        const selection = select(pools.toReversed(), { conf4, cluster: { defaultNetwork: 'netops/vlan-70' } });
        expect(told(selection)).toBe(`IPv4 ${expected.map(({ name }) => name).join(' ')}`);
      }),
    );
  });

  it('never loses a family that was asked for and that the cluster uses, nor drops another one without a word', () => {
    const enabled = fc.constantFrom<readonly Family[]>([4], [6], [4, 6]);
    fc.assert(
      fc.property(poolObjects, names, names, enabled, (pools, ipv4, ipv6, families) => {
        const asked = ([4, 6] as const).filter((family) => (family === 4 ? ipv4 : ipv6).length > 0);
        fc.pre(asked.length > 0);
        const selection = select(pools, { conf4: ipv4, conf6: ipv6, cluster: { families } });
        if (selection.outcome !== 'selected') return;
        expect(selection.families.map(({ family }) => family)).toEqual(
          asked.filter((family) => families.includes(family)),
        );
        expect(selection.families.every(({ pools }) => pools.length > 0)).toBe(true);
        expect(selection.warnings.length > 0).toBe(asked.some((family) => !families.includes(family)));
      }),
    );
  });

  it('gets the answer that its explanation ends with, whatever is written anywhere', () => {
    const keys = [
      ippoolAnnotation,
      ippoolsAnnotation,
      subnetsAnnotation,
      subnetAnnotation,
      poolSizeAnnotation,
      networksAnnotation,
      routesAnnotation,
    ];
    const item = fc.record(
      { interface: fc.constantFrom('eth0', 'net1', '', 7), ipv4: names, ipv6: names, name: fc.string() },
      { requiredKeys: [] },
    );
    const text = fc.oneof(
      texts,
      fc.array(item, { maxLength: 3 }).map((items) => JSON.stringify(items)),
    );
    const annotations = fc.dictionary(fc.constantFrom(...keys), text, { maxKeys: 3 });
    const ofNamespace = fc.dictionary(fc.constantFrom(...Object.values(namespacePoolAnnotations)), text);
    const controller: Application = { apiVersion: 'v1', kind: 'X', namespace: 'pay', name: 'x', uid: 'u' };
    const ifNames = fc.constantFrom('eth0', 'net1');
    fc.assert(
      fc.property(poolObjects, annotations, ofNamespace, ifNames, (pools, annotations, namespace, ifName) => {
        const request = asRequest({ annotations, namespace, ifName, controller });
        const catalogue = readPoolCatalogue(pools, []);
        const selection = selectPools(request, catalogue);
        expect(explainSelection(request, catalogue).selection).toEqual(selection);
        if (selection.outcome === 'refused') expect(selection.failure.message).not.toMatch(/\p{Cc}/u);
      }),
    );
  });

  it('gets an answer, and never an exception', () => {
    fc.assert(
      fc.property(poolObjects, requests, (pools, asked) => {
        expect(['selected', 'refused', 'awaited']).toContain(select(pools, asked).outcome);
      }),
      { numRuns: 500 },
    );
  });
});
