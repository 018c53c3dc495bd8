import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { formatAddress } from '../address.ts';
import { contains } from '../interval-set.ts';
import { readNetworkFields } from './network-fields.ts';
import {
  judgeNarrowing,
  mutatePool,
  narrowedBy,
  validatePoolCreate,
  validatePoolDelete,
  validatePoolUpdate,
} from './pool-rules.ts';
import { networkEditRefusals, networkRefusals, v4, v6 } from './testing/network-refusals.ts';
import { pool, said, subnet, world } from './testing/objects.ts';

const mutated = (object: unknown, old?: unknown, where = world()): SpiderIPPool => {
  const mutation = mutatePool(object, old, where);
  if (mutation.outcome === 'denied') throw new Error(mutation.message);
  return mutation.object as SpiderIPPool;
};

const terminating = { deletionTimestamp: '2026-11-21T12:00:00Z', finalizers: ['spiderpool.spidernet.io'] };
const automatic = {
  name: 'auto4-web-eth0-3f2a1',
  labels: { 'ipam.spidernet.io/owner-application-name': 'web', 'ipam.spidernet.io/owner-spider-subnet': 's' },
};

describe('the mutating webhook gives a pool', () => {
  it('its finalizer, its ipVersion and the label of its subnet', () => {
    const { metadata, spec } = mutated(pool(v4));
    expect(metadata.finalizers).toEqual(['spiderpool.spidernet.io']);
    expect(metadata.labels).toEqual({ 'ipam.spidernet.io/ippool-cidr': '10-1-0-0-16' });
    expect(spec).toEqual({ ...v4, ipVersion: 4 });
    expect(mutated(pool(v6)).metadata.labels).toEqual({ 'ipam.spidernet.io/ippool-cidr': 'fd00-1---64' });
  });

  it('its finalizer and label back, and keeps foreign ones', () => {
    const metadata = { finalizers: ['example.org/mine'], labels: { tier: 'a' } };
    const again = mutated(pool({ ...v4, ipVersion: 4 }, metadata), pool({ ...v4, ipVersion: 4 }));
    expect(again.metadata.finalizers).toEqual(['example.org/mine', 'spiderpool.spidernet.io']);
    expect(again.metadata.labels).toEqual({ tier: 'a', 'ipam.spidernet.io/ippool-cidr': '10-1-0-0-16' });
  });

  it('sorted ranges that neither overlap nor touch, and leaves a single entry as it was written', () => {
    const ips = ['10.1.0.9', '10.1.0.1-10.1.0.3', '10.1.0.4', '10.1.0.2-10.1.0.4'];
    expect(mutated(pool({ ...v4, ips, excludeIPs: ['10.1.0.3-10.1.0.3'] })).spec).toMatchObject({
      ips: ['10.1.0.1-10.1.0.4', '10.1.0.9'],
      excludeIPs: ['10.1.0.3-10.1.0.3'],
    });
    expect(mutated(pool({ ...v6, ips: ['FD00:1::1', 'fd00:1::0002'] })).spec.ips).toEqual(['fd00:1::1-fd00:1::2']);
  });

  it('nothing while it is being deleted', () => {
    const dying = pool({ ...v4, ips: ['10.1.0.2', '10.1.0.1'] }, { ...terminating, finalizers: [] });
    expect(mutated(dying, dying)).toBe(dying);
  });

  it('the same again when it is asked twice', () => {
    const once = mutated(pool({ ...v4, ips: ['10.1.0.2', '10.1.0.1'] }), undefined, world({ subnets: [subnet(v4)] }));
    expect(mutated(once, once, world({ subnets: [subnet(v4)] }))).toEqual(once);
  });
});

describe('a pool of the same subnet as a SpiderSubnet', () => {
  const routes = [{ dst: '10.64.0.0/10', gw: '10.1.0.7' }];
  const owner = subnet({ ...v4, gateway: '10.1.0.1', routes }, { name: 'rack7' });
  const where = world({ subnets: [subnet(v6), owner] });

  it('D00008: becomes its own, with its gateway and its routes', () => {
    const { metadata, spec } = mutated(pool(v4), undefined, where);
    expect(metadata.ownerReferences).toEqual([
      {
        apiVersion: 'spiderpool.spidernet.io/v2beta1',
        kind: 'SpiderSubnet',
        name: 'rack7',
        uid: 'uid-of-rack7',
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
    expect(metadata.labels).toMatchObject({ 'ipam.spidernet.io/owner-spider-subnet': 'rack7' });
    expect(spec).toEqual({ ...v4, ipVersion: 4, gateway: '10.1.0.1', routes });
  });

  it('keeps its own gateway, and explicitly no routes', () => {
    const own = { ...v4, gateway: '10.1.0.2', routes: [] };
    expect(mutated(pool(own), undefined, where).spec).toEqual({ ...own, ipVersion: 4 });
  });

  it('inherits nothing later: what was taken out of it stays out', () => {
    const owned = mutated(pool(v4), undefined, where);
    const { gateway: _, ...without } = owned.spec;
    expect(mutated({ ...owned, spec: without }, owned, where).spec.gateway).toBeUndefined();
  });

  it('belongs to the Subnet that is there now, not to one of that name before', () => {
    const restored = mutated(pool(v4), undefined, world({ subnets: [subnet(v4, { name: 'rack7', uid: 'before' })] }));
    expect(mutated(restored, undefined, where).metadata.ownerReferences?.map(({ uid }) => uid)).toEqual([
      'uid-of-rack7',
    ]);
  });

  it.each([
    ['the feature is off', world({ ...where, settings: { subnets: false } }), {}],
    ['that is being deleted', world({ subnets: [subnet(v4, terminating)] }), {}],
    [
      'something else controls it',
      where,
      { ownerReferences: [{ kind: 'Fleet', name: 'f', uid: 'u', controller: true }] },
    ],
  ])('stays as it is when %s', (_, place, metadata) => {
    const { metadata: after } = mutated(pool(v4, metadata), undefined, place);
    expect(after.ownerReferences).toEqual(pool(v4, metadata).metadata.ownerReferences);
    expect(after.labels).not.toHaveProperty(['ipam.spidernet.io/owner-spider-subnet']);
  });
});

describe('a new pool is refused', () => {
  const refusals: readonly (readonly [string, object, string])[] = [
    ...networkRefusals,
    [
      'with an empty podAffinity',
      { ...v4, podAffinity: {} },
      'spec.podAffinity {} names no label: leave it out to serve every pod, or add matchLabels',
    ],
    [
      'with a podAffinity that cannot be read',
      { ...v4, podAffinity: { matchExpressions: [{ key: 'app', operator: 'Like' }] } },
      'because operator "Like" is none of In, NotIn, Exists, DoesNotExist: write it as any label selector',
    ],
    [
      'with a namespaceAffinity that cannot be read',
      { ...v4, namespaceAffinity: { matchLabels: { 'a b': 'c' } } },
      'spec.namespaceAffinity {"matchLabels":{"a b":"c"}} can never be read, because "a b" is not a label key',
    ],
    [
      'with a nodeAffinity that cannot be read',
      { ...v4, nodeAffinity: { matchExpressions: [{ key: 'zone', operator: 'In', values: [] }] } },
      'can never be read, because operator In of "zone" has no values: write it as any label selector',
    ],
  ];

  it.each(refusals)('%s', (_, spec, message) => {
    expect(said(validatePoolCreate(pool(spec), world()))).toMatch(/^422 Cannot create SpiderIPPool "p": /);
    expect(said(validatePoolCreate(pool(spec), world()))).toContain(message);
  });

  it.each(refusals)(
    '%s, by the mutating webhook already (§12.3 #27: no mistake is swallowed there)',
    (_, spec, message) => {
      expect(mutatePool(pool(spec), undefined, world())).toMatchObject({
        outcome: 'denied',
        status: 422,
        message: expect.stringContaining(message),
      });
    },
  );

  it('with all that is wrong in one message', () => {
    const spec = { ...v4, ips: ['10.2.0.1'], gateway: 'none', podAffinity: {} };
    expect(
      said(validatePoolCreate(pool(spec), world({ pools: [pool({ subnet: '10.1.4.0/24' }, { name: 'b' })] }))),
    ).toBe(
      [
        '422 Cannot create SpiderIPPool "p":',
        '- spec.ips[0] "10.2.0.1" is not inside spec.subnet "10.1.0.0/16": choose from 10.1.0.0 to 10.1.255.255',
        '- spec.gateway "none" is not an address: write one address, without prefix length',
        '- spec.podAffinity {} names no label: leave it out to serve every pod, or add matchLabels',
        '- spec.subnet "10.1.0.0/16" overlaps with 10.1.4.0/24 of SpiderIPPool "b": use a subnet that lies apart, or "10.1.4.0/24" here too',
      ].join('\n'),
    );
  });

  it('with the first twenty of very many problems', () => {
    const ips = Array.from({ length: 500 }, (_, at) => `10.2.0.${at}`);
    expect(
      said(validatePoolCreate(pool({ ...v4, ips }), world()))
        .split('\n')
        .slice(21),
    ).toEqual(['- and 480 more']);
  });

  it.each([
    [4, v4, [6]],
    [6, v6, [4]],
  ] as const)('while IPv%i is off', (family, spec, families) => {
    expect(said(validatePoolCreate(pool(spec), world({ settings: { families } })))).toBe(
      `422 Cannot create SpiderIPPool "p": spec.subnet "${spec.subnet}" is IPv${family}, which is off in this cluster: use a ` +
        `subnet of the other family, or set ORBWEAVER_ENABLE_IPV${family}=true`,
    );
  });

  it('as existing, when its name is taken', () => {
    expect(said(validatePoolCreate(pool(v4), world({ pools: [pool({ subnet: '10.9.0.0/16' })] })))).toBe(
      '409 Cannot create SpiderIPPool "p": metadata.name "p" is taken by another SpiderIPPool: choose another name, or edit the ' +
        'pool that has it: kubectl edit sp p',
    );
  });

  it.each([
    ['holds it', { subnet: '10.0.0.0/8' }],
    ['lies in it', { subnet: '10.1.4.0/24' }],
  ])('when another pool’s subnet %s', (_, other) => {
    expect(said(validatePoolCreate(pool(v4), world({ pools: [pool(other, { name: 'b' })] })))).toContain(
      `spec.subnet "10.1.0.0/16" overlaps with ${other.subnet} of SpiderIPPool "b": use a subnet that lies apart`,
    );
  });

  it('when a pool of the same subnet gives one of its addresses', () => {
    const other = pool({ ...v4, ips: ['10.1.0.5-10.1.0.9'] }, { name: 'b' });
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1-10.1.0.6'] }), world({ pools: [other] })))).toBe(
      '422 Cannot create SpiderIPPool "p": spec.ips "10.1.0.5-10.1.0.6" is given by SpiderIPPool "b" too: take it out of one of ' +
        'them, or add it to the spec.excludeIPs of one',
    );
  });

  const owned = { labels: { 'ipam.spidernet.io/owner-spider-subnet': 's' } };

  it('when it has addresses that its SpiderSubnet has not', () => {
    const where = world({ subnets: [subnet({ ...v4, ips: ['10.1.0.1-10.1.0.9'], excludeIPs: ['10.1.0.3'] })] });
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1-10.1.0.4'] }, owned), where))).toContain(
      'spec.ips "10.1.0.3" is outside SpiderSubnet "s", which owns the pool: add it to that one’s spec.ips first',
    );
  });

  it('when its SpiderSubnet is gone', () => {
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1'] }, owned), world()))).toContain(
      'metadata.ownerReferences "s" is the name of no SpiderSubnet: create it, or remove the label',
    );
  });

  it('when it says that it is an automatic one and a user makes it', () => {
    expect(
      said(
        validatePoolCreate(
          pool({ ...v4, ips: ['10.1.0.1'] }, automatic),
          world({ subnets: [subnet({ ...v4, ips: ['10.1.0.1'] })] }),
        ),
      ),
    ).toContain(
      'spec.ips "10.1.0.1" are of an automatic pool, which only the control worker sets: change the annotation',
    );
  });
});

describe('a new pool is admitted', () => {
  it.each([
    ['with ranges and single addresses', { ...v4, ips: ['10.1.0.1-10.1.0.9', '10.1.1.1'], excludeIPs: ['10.1.0.3'] }],
    [
      'with a gateway inside ips that is excluded',
      { ...v4, gateway: '10.1.0.1', ips: ['10.1.0.1-10.1.0.9'], excludeIPs: ['10.1.0.1'] },
    ],
    ['with overlapping ranges, which the mutating webhook merges', { ...v4, ips: ['10.1.0.1-10.1.0.9', '10.1.0.5'] }],
    [
      'with every affinity',
      {
        ...v6,
        ips: ['fd00:1::1'],
        podAffinity: { matchLabels: { app: 'a' } },
        namespaceAffinity: {},
        nodeAffinity: { matchExpressions: [{ key: 'zone', operator: 'Exists' }] },
      },
    ],
    [
      'with the two halves of the default route',
      {
        ...v4,
        ips: ['10.1.0.9'],
        routes: [
          { dst: '0.0.0.0/1', gw: '10.1.0.1' },
          { dst: '128.0.0.0/1', gw: '10.1.0.1' },
        ],
      },
    ],
  ])('%s', (_, spec) => {
    expect(said(validatePoolCreate(mutated(pool(spec)), world()))).toBe('allowed');
  });

  it.each([
    ['disjoint addresses', { ips: ['10.1.0.7-10.1.0.9'] }],
    ['a shared address that is excluded there', { ips: ['10.1.0.1-10.1.0.9'], excludeIPs: ['10.1.0.1-10.1.0.6'] }],
  ])('beside a pool of the same subnet with %s', (_, spec) => {
    const where = world({ pools: [pool({ ...v4, ...spec }, { name: 'b' })] });
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1-10.1.0.6'] }), where))).toBe('allowed');
  });

  it('beside pools that nobody can read (§12.3 #33: nothing is expected of them)', () => {
    const broken = [{}, { subnet: null }, { subnet: 7, ips: 'all' }, { ...v4, ips: [null, 'x'] }];
    const pools = broken.map((spec, at) => pool(spec, { name: `b${at}` }));
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1'] }), world({ pools })))).toBe('allowed');
  });

  it.each([
    ['gives no address', v4, 'The pool gives no address: name some in spec.ips that spec.excludeIPs leaves'],
    [
      'has nodeName and nodeAffinity',
      { ...v4, ips: ['10.1.0.1'], nodeName: ['n1'], nodeAffinity: {} },
      'spec.nodeAffinity is not looked at, because spec.nodeName is set: remove one of them',
    ],
    [
      'names a network attachment that cannot be',
      { ...v4, ips: ['10.1.0.1'], multusName: ['a/b/c', 'kube-system/vlan70', 'vlan71'] },
      'spec.multusName "a/b/c" can be no network attachment\'s: write "namespace/name" or "name"',
    ],
  ])('with a warning when it %s', (_, spec, warning) => {
    expect(said(validatePoolCreate(pool(spec), world()))).toBe(`allowed: ${warning}`);
  });

  it('with a warning when it lies in a SpiderSubnet of another CIDR', () => {
    const where = world({ subnets: [subnet({ subnet: '10.0.0.0/8' })] });
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1'] }), where))).toBe(
      'allowed: SpiderSubnet "s" (10.0.0.0/8) does not manage this pool, whose subnet is another one',
    );
  });

  it('with a warning when its Subnet set the addresses aside for an automatic pool that is not there yet', () => {
    const aside = subnet(
      { ...v4, ips: ['10.1.0.1-10.1.0.9'] },
      {},
      { controlledIPPools: '{"auto4-x":{"ips":["10.1.0.1-10.1.0.3"]}}' },
    );
    const manual = mutated(pool({ ...v4, ips: ['10.1.0.2-10.1.0.5'] }), undefined, world({ subnets: [aside] }));
    expect(said(validatePoolCreate(manual, world({ subnets: [aside] })))).toBe(
      'allowed: 10.1.0.2-10.1.0.3 is set aside for the automatic pool "auto4-x", which cannot get it now',
    );
  });

  it('as an automatic one, when the control worker recorded its addresses in the Subnet', () => {
    const records = JSON.stringify({
      [automatic.name]: { ips: ['10.1.0.1-10.1.0.2'], application: 'apps_v1_Deployment_pay_web' },
    });
    const owner = subnet({ ...v4, ips: ['10.1.0.1-10.1.0.9'] }, {}, { controlledIPPools: records });
    const by = world({ subnets: [owner], user: world().controlWorker });
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1-10.1.0.2'] }, automatic), by))).toBe('allowed');
    expect(said(validatePoolCreate(pool({ ...v4, ips: ['10.1.0.1-10.1.0.3'] }, automatic), by))).toContain(
      'spec.ips "10.1.0.1-10.1.0.3" is not what the SpiderSubnet’s status.controlledIPPools says for the pool: record it there first',
    );
  });
});

describe('an edit of a pool', () => {
  const stored = mutated(pool({ ...v4, ips: ['10.1.0.1-10.1.0.9', '10.1.1.1'], gateway: '10.1.9.1' }));
  const edited = (spec: object, metadata: object = {}): SpiderIPPool => ({
    ...stored,
    metadata: { ...stored.metadata, generation: 2, ...metadata },
    spec: { ...stored.spec, ...spec },
  });

  it.each([
    ['is admitted when it adds addresses', { ips: ['10.1.0.1-10.1.0.9', '10.1.1.1-10.1.1.9'] }],
    ['is admitted when it takes addresses away', { ips: ['10.1.0.1-10.1.0.5'] }],
    [
      'D00002: is admitted when it changes gateway and routes',
      { gateway: '10.1.9.9', routes: [{ dst: '10.64.0.0/10', gw: '10.1.9.3' }] },
    ],
    ['is admitted when it switches the pool off', { disable: true, default: true }],
    ['is admitted when it leaves ipVersion out', { ipVersion: undefined }],
  ])('%s', (_, spec) => {
    expect(said(validatePoolUpdate(stored, edited(spec), world({ pools: [stored] })))).toBe('allowed');
  });

  it.each([
    [
      'subnet',
      { subnet: '10.2.0.0/16', ips: [], gateway: '10.2.0.1' },
      'spec.subnet "10.2.0.0/16" cannot be changed: it is "10.1.0.0/16": create another object, and delete this one when nothing uses it',
    ],
    ['ipVersion', { ipVersion: 6 }, 'spec.ipVersion 6 cannot be changed: it is 4'],
  ])('is refused when it changes %s, by both webhooks', (_, spec, message) => {
    expect(said(validatePoolUpdate(stored, edited(spec), world()))).toContain(message);
    expect(mutatePool(edited(spec), stored, world())).toMatchObject({
      outcome: 'denied',
      message: expect.stringContaining(message),
    });
  });

  it.each([
    [
      'D00003: is refused with a gateway outside the subnet',
      { gateway: '10.9.0.1' },
      'spec.gateway "10.9.0.1" is not inside spec.subnet',
    ],
    [
      'D00003: is refused with the default route as a route',
      { routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
      'is the default route',
    ],
    [
      'D00003: is refused with a next hop outside the subnet',
      { routes: [{ dst: '10.64.0.0/10', gw: '10.9.0.1' }] },
      'spec.routes[0].gw "10.9.0.1"',
    ],
    ['is refused with a reversed range', { ips: ['10.1.0.9-10.1.0.1'] }, 'ends before it starts'],
    ['is refused with an empty podAffinity', { podAffinity: {} }, 'spec.podAffinity {} names no label'],
  ])('%s', (_, spec, message) => {
    expect(said(validatePoolUpdate(stored, edited(spec), world()))).toMatch(/^422 Cannot change SpiderIPPool "p": /);
    expect(said(validatePoolUpdate(stored, edited(spec), world()))).toContain(message);
  });

  it.each(networkEditRefusals)('is refused %s, in the words of a new one', (_, spec, message) => {
    const old = mutated(pool(v4));
    const changed = { ...old, spec: { ...old.spec, ...spec } };
    expect(said(validatePoolUpdate(old, changed, world()))).toBe(`422 Cannot change SpiderIPPool "p": ${message}`);
  });

  const other = pool({ ...v4, ips: ['10.1.2.1-10.1.2.9'] }, { name: 'b' });

  it('D00001: is refused when it adds an address that another pool gives', () => {
    const wider = edited({ ips: ['10.1.0.1-10.1.0.9', '10.1.2.9'] });
    expect(said(validatePoolUpdate(stored, wider, world({ pools: [stored, other] })))).toContain(
      'spec.ips "10.1.2.9" is given by SpiderIPPool "b" too',
    );
  });

  it('is refused when it moves the pool to a SpiderSubnet that lacks its addresses', () => {
    const subnets = [subnet({ ...v4, ips: ['10.1.0.1-10.1.0.9'] })];
    const moved = edited({}, { labels: { 'ipam.spidernet.io/owner-spider-subnet': 's' } });
    expect(said(validatePoolUpdate(stored, moved, world({ subnets })))).toContain(
      'spec.ips "10.1.1.1" is outside SpiderSubnet "s"',
    );
  });

  it('can put right step by step what two pools share already', () => {
    const sharing = pool({ ...v4, ips: ['10.1.0.5-10.1.0.9'] }, { name: 'b' });
    const where = world({ pools: [stored, sharing] });
    expect(said(validatePoolUpdate(stored, edited({ ips: ['10.1.0.1-10.1.0.8'] }), where))).toBe('allowed');
  });

  it('is not refused for what was wrong before, as long as it keeps the spec', () => {
    const before = pool({ ...v4, ipVersion: 4, ips: ['10.1.0.9-10.1.0.1'] });
    const labelled = { ...before, metadata: { ...before.metadata, labels: { a: 'b' } } };
    expect(said(validatePoolUpdate(before, labelled, world()))).toBe('allowed');
    expect(mutatePool(labelled, before, world()).outcome).toBe('mutated');
    expect(said(validatePoolUpdate(before, { ...before, spec: { ...before.spec, disable: true } }, world()))).toContain(
      'ends before it starts: write "10.1.0.1-10.1.0.9"',
    );
  });

  it('I00018: is refused to a user, and admitted as recorded to the control worker, when it changes the addresses of an automatic pool', () => {
    const before = mutated(pool({ ...v4, ips: ['10.1.0.1'] }, automatic));
    const next = { ...before, spec: { ...before.spec, ips: ['10.1.0.1-10.1.0.2'] } };
    const controlledIPPools = JSON.stringify({ [automatic.name]: { ips: ['10.1.0.1-10.1.0.2'] } });
    const subnets = [subnet({ ...v4, ips: ['10.1.0.1-10.1.0.9'] }, {}, { controlledIPPools })];
    expect(said(validatePoolUpdate(before, next, world({ subnets })))).toBe(
      `403 Cannot change SpiderIPPool "${automatic.name}": spec.ips "10.1.0.1-10.1.0.2" are of an automatic pool, which only the ` +
        'control worker sets: change the annotation ipam.spidernet.io/ippool-ip-number of its application',
    );
    expect(said(validatePoolUpdate(before, next, world({ subnets, user: world().controlWorker })))).toBe('allowed');
    const unlabelled = { ...next, metadata: { ...next.metadata, labels: {} } };
    expect(said(validatePoolUpdate(before, unlabelled, world({ subnets })))).toContain('403 ');
    expect(
      said(validatePoolUpdate(before, { ...before, spec: { ...before.spec, disable: true } }, world({ subnets }))),
    ).toBe('allowed');
  });

  it.each([
    [{ matchLabels: { app: 'web' } }, 'spec.podAffinity.matchLabels "app" is no key of an automatic pool'],
    [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, 'is not for automatic pools'],
  ])('of an automatic pool is refused with podAffinity %j', (podAffinity, message) => {
    const before = mutated(pool(v4, automatic));
    const next = { ...before, spec: { ...before.spec, podAffinity } };
    expect(said(validatePoolUpdate(before, next, world({ subnets: [subnet(v4)] })))).toContain(message);
  });

  it('of an automatic pool may name an application whose name is longer than a label', () => {
    const podAffinity = { matchLabels: { 'ipam.spidernet.io/app-name': 'w'.repeat(200) } };
    expect(said(validatePoolCreate(pool({ ...v4, podAffinity }, automatic), world({ subnets: [subnet(v4)] })))).toMatch(
      /^allowed/,
    );
  });

  describe('that is being deleted', () => {
    const dying = edited({}, { ...terminating, finalizers: ['spiderpool.spidernet.io', 'example.org/mine'] });
    const finalizers = (names: readonly string[], spec: object = {}): object => ({
      ...dying,
      metadata: { ...dying.metadata, finalizers: names },
      spec: { ...dying.spec, ...spec },
    });

    it.each([
      ['its finalizer', ['example.org/mine']],
      ['the last finalizer', []],
      ['a finalizer of somebody else', ['spiderpool.spidernet.io']],
    ])('is admitted when it only removes %s', (_, names) => {
      expect(said(validatePoolUpdate(dying, finalizers(names), world()))).toBe('allowed');
    });

    it.each([
      ['changes the spec', finalizers(dying.metadata.finalizers ?? [], { ips: [] })],
      ['changes the spec beside removing the finalizer', finalizers([], { ips: [] })],
      ['changes nothing at all', dying],
      ['adds a finalizer', finalizers(['example.org/another'])],
    ])('is refused when it %s', (_, next) => {
      expect(said(validatePoolUpdate(dying, next, world()))).toBe(
        '403 Cannot change SpiderIPPool "p": metadata.deletionTimestamp "2026-11-21T12:00:00Z" says that it is being deleted, and ' +
          'only its finalizers can be removed now: wait until it is gone, then create it again',
      );
    });
  });
});

describe('an edit', () => {
  const old = pool({ ...v4, ips: ['10.1.0.1-10.1.0.9'] });
  const holder = 'pod pay/api-0';
  const edits: readonly (readonly [string, object])[] = [
    ['that leaves an address out of ips', { ...v4, ips: ['10.1.0.1-10.1.0.4', '10.1.0.6-10.1.0.9'] }],
    ['S00003: that excludes an address', { ...v4, ips: ['10.1.0.1-10.1.0.9'], excludeIPs: ['10.1.0.5'] }],
  ];

  it.each(edits)('%s is refused while somebody has it', (_, spec) => {
    expect(said(judgeNarrowing(old, pool(spec), [{ address: '10.1.0.5', holder }]))).toBe(
      '403 Cannot change SpiderIPPool "p": spec.ips would no longer give "10.1.0.5", which pod pay/api-0 has: keep it in spec.ips ' +
        'and out of spec.excludeIPs until it is given back',
    );
  });

  it.each(edits)('%s is admitted when nobody has it', (_, spec) => {
    expect(said(judgeNarrowing(old, pool(spec), [{ address: '10.1.0.4', holder }]))).toBe('allowed');
  });

  it('that takes addresses away is not refused for one that was not the pool’s before', () => {
    expect(said(judgeNarrowing(old, pool({ ...v4, ips: [] }), [{ address: '10.1.0.77', holder }]))).toBe('allowed');
  });

  it('that takes addresses away costs what its ranges cost, whatever their size', () => {
    const wide = pool({ subnet: 'fd00::/8', ips: ['fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'] });
    const half = pool({ subnet: 'fd00::/8', ips: ['fd00::-fd7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff'] });
    expect(narrowedBy(wide, half)).toMatchObject({ size: 1n << 119n, intervals: [expect.anything()] });
  });

  it('never passes that takes away an address that somebody has', () => {
    const at = (value: number): string => formatAddress({ family: 4, value: 0x0a010000n + BigInt(value) });
    const ends = fc.tuple(fc.nat(40), fc.nat(10)).map(([first, more]) => `${at(first)}-${at(first + more)}`);
    const specs = fc.record({ ips: fc.array(ends, { maxLength: 4 }), excludeIPs: fc.array(ends, { maxLength: 3 }) });
    fc.assert(
      fc.property(specs, specs, fc.array(fc.nat(50), { maxLength: 5 }), (before, after, values) => {
        const [from, to] = [mutated(pool({ ...v4, ...before })), mutated(pool({ ...v4, ...after }))];
        const given = readNetworkFields({ ...from.spec }).addresses;
        const taken = values.map((value) => 0x0a010000n + BigInt(value)).filter((value) => contains(given, value));
        const passed =
          validatePoolUpdate(from, to, world()).outcome === 'allowed' &&
          judgeNarrowing(
            from,
            to,
            taken.map((value) => ({ address: formatAddress({ family: 4, value }), holder })),
          ).outcome === 'allowed';
        const left = readNetworkFields({ ...to.spec }).addresses;
        expect(passed).toBe(taken.every((value) => contains(left, value)));
      }),
    );
  });
});

describe('a deletion of a pool', () => {
  const refusing = world({ settings: { refusesDeletionInUse: true } });

  it.each([
    ['in use, while that is no reason to refuse', world(), pool(v4), 3],
    ['that nobody uses', refusing, pool(v4), 0],
    ['that is being deleted already', refusing, pool(v4, terminating), 3],
  ])('is admitted for one %s', (_, where, old, taken) => {
    expect(said(validatePoolDelete(old, where, taken))).toBe('allowed');
  });

  it('is refused while addresses are in use, when the cluster wants that', () => {
    expect(said(validatePoolDelete(pool(v4), refusing, 3))).toBe(
      '403 Cannot delete SpiderIPPool "p": metadata.name "p" has 3 addresses in use: see who has them, orb pools p, and delete it ' +
        'when they are given back',
    );
  });
});

describe('large pools', () => {
  it.each([
    ['65,536 addresses', '10.1.0.0/16', '10.1.0.0-10.1.255.255'],
    ['a /8', '10.0.0.0/8', '10.0.0.0-10.255.255.255'],
    ['an IPv6 /64', 'fd00:1::/64', 'fd00:1::-fd00:1::ffff:ffff:ffff:ffff'],
  ])('of %s are one interval through mutation and validation', (_, text, range) => {
    const neighbour = pool({ subnet: text, excludeIPs: [range], ips: [range] }, { name: 'b' });
    const large = mutated(pool({ subnet: text, ips: [range, range] }));
    expect(large.spec.ips).toEqual([range]);
    expect(said(validatePoolCreate(large, world({ pools: [neighbour] })))).toBe('allowed');
  });
});

describe('what a pool’s annotation says of probes', () => {
  const detecting = (text: string, spec: object = v4) =>
    pool(spec, { annotations: { 'ipam.orbweaver.io/detection': text } });
  const wrong = detecting('{"detectOptions": {"retries": 99}}');

  it('is admitted when it can be read', () => {
    const right = detecting('{"detectIPConflict": true}', { ...v4, ips: ['10.1.0.2'] });
    expect(said(validatePoolCreate(right, world()))).toBe('allowed');
    expect(said(validatePoolUpdate(pool({ ...v4, ips: ['10.1.0.2'] }), right, world()))).toBe('allowed');
  });

  it('is refused with the annotation, the key and what is allowed, when it is new or changes', () => {
    const message =
      'metadata.annotations["ipam.orbweaver.io/detection"] "{"detectOptions": {"retries": 99}}" has detectOptions.retries 99: allowed is 1 to 10 tries';
    expect(said(validatePoolCreate(wrong, world()))).toBe(`422 Cannot create SpiderIPPool "p": ${message}`);
    expect(said(validatePoolUpdate(pool(v4), wrong, world()))).toBe(`422 Cannot change SpiderIPPool "p": ${message}`);
  });

  it('stands in no other edit’s way, when it was there before', () => {
    const labelled = { ...wrong, metadata: { ...wrong.metadata, labels: { tier: 'a' } } };
    expect(said(validatePoolUpdate(wrong, labelled, world()))).toBe('allowed');
    expect(said(validatePoolUpdate(wrong, pool(v4), world()))).toBe('allowed');
  });
});
