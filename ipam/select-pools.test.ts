import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Family } from './address.ts';
import { ippoolAnnotation } from './pool-annotation.ts';
import { readPoolCatalogue } from './pool-catalogue.ts';
import type { PoolRequest } from './pool-levels.ts';
import type { PoolObject } from './pool-snapshot.ts';
import { type PoolSelection, selectPools } from './select-pools.ts';

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
  readonly conf4?: readonly string[];
  readonly conf6?: readonly string[];
}
const requestOf = ({ annotation, conf4 = [], conf6 = [] }: Asked): PoolRequest => ({
  podAnnotations: annotation === undefined ? {} : { [ippoolAnnotation]: annotation },
  network: { defaultIPv4Pools: conf4, defaultIPv6Pools: conf6 },
});
const select = (pools: readonly PoolObject[], asked: Asked = {}): PoolSelection =>
  selectPools(requestOf(asked), readPoolCatalogue(pools, []));

/** What was selected, as a line a person can compare; a refusal is its type and message. */
function told(selection: PoolSelection): string {
  if (selection.outcome === 'refused') return `${selection.failure.type}: ${selection.failure.message}`;
  return selection.families
    .map(({ family, pools }) => `IPv${family} ${pools.map(({ name }) => name).join(' ')}`)
    .join(', ');
}

describe('the level that decides', () => {
  const pools = [
    v4('pod4'),
    v6('pod6'),
    v4('conf4'),
    v6('conf6'),
    v4('default4', { default: true }),
    v6('default6', { default: true }),
  ];

  it('is the pod annotation before the network configuration before the cluster default', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["pod4"],"ipv6":["pod6"]}', conf4: ['conf4'] }))).toBe(
      'IPv4 pod4, IPv6 pod6',
    );
    expect(told(select(pools, { conf4: ['conf4'], conf6: ['conf6'] }))).toBe('IPv4 conf4, IPv6 conf6');
    expect(told(select(pools))).toBe('IPv4 default4, IPv6 default6');
  });

  it('decides both families: a lower level adds none', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["pod4"]}', conf6: ['conf6'] }))).toBe('IPv4 pod4');
    expect(told(select(pools, { conf6: ['conf6'] }))).toBe('IPv6 conf6');
  });

  it('does not give way when its pools are gone or its text is wrong', () => {
    expect(told(select(pools, { annotation: '{"ipv4":["gone"]}', conf4: ['conf4'] }))).toMatch(/^PoolNotFound: /);
    expect(told(select(pools, { annotation: '{"ipv4":"pod4"}', conf4: ['conf4'] }))).toMatch(/^InvalidAnnotation: /);
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

  it('is skipped with its reason while its family has another one', () => {
    const selection = select(pools, { annotation: '{"ipv4":["off","going","six","bad","gone","p*","good"]}' });
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
            { name: 'p*', reason: 'is a wildcard, which is not supported yet' },
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
          'Cannot choose an IPv6 pool from default_ipv4_ippool and default_ipv6_ippool of the network configuration: "rack-*" is a wildcard, which is not supported yet',
        remedy:
          'Correct these pools, or name others in default_ipv4_ippool and default_ipv6_ippool of the network configuration: kubectl get spiderippools',
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
    expect(told(select([unreadable]))).toBe(
      'NoPool: Cannot choose a pool: none is named by pod annotation ipam.spidernet.io/ippool, nor by default_ipv4_ippool and ' +
        'default_ipv6_ippool of the network configuration, nor by the pools with spec.default: true ("b" is malformed (spec.subnet "x" is not a CIDR))',
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
        'Cannot choose a pool: none is named by pod annotation ipam.spidernet.io/ippool, nor by default_ipv4_ippool and ' +
        'default_ipv6_ippool of the network configuration, nor by the pools with spec.default: true',
      remedy: 'Name a pool in one of these places, or set spec.default: true on a SpiderIPPool',
    },
  });
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
  const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'gone', 'w*'), { maxLength: 5 });
  const annotations = fc.option(
    fc.oneof(
      fc.record({ ipv4: names, ipv6: names }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string(),
    ),
    { nil: undefined },
  );
  const requests: fc.Arbitrary<Asked> = fc.record({ annotation: annotations, conf4: names, conf6: names });

  it('gets every family that was asked for, or none; only pools that can serve; in the order named', () => {
    fc.assert(
      fc.property(poolObjects, names, names, (pools, ipv4, ipv6) => {
        fc.pre(ipv4.length + ipv6.length > 0);
        const selection = select(pools, { annotation: JSON.stringify({ ipv4, ipv6 }) });
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
          .map(({ family, named }) => ({ family, pools: [...new Set(named.filter(canServe(family)))] }));
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

  it('gets an answer, and never an exception', () => {
    fc.assert(
      fc.property(poolObjects, requests, (pools, asked) => {
        expect(['selected', 'refused']).toContain(select(pools, asked).outcome);
      }),
      { numRuns: 500 },
    );
  });
});
