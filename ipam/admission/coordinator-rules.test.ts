import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { mutateCoordinator, validateCoordinatorCreate, validateCoordinatorUpdate } from './coordinator-rules.ts';
import { coordinator, said } from './testing/objects.ts';

const smallest = { podCIDRType: 'auto' };

describe('the mutating webhook', () => {
  it('makes CIDRs of addresses, clears host bits, and names each once', () => {
    const spec = {
      ...smallest,
      overlayPodCIDR: ['FD00:64:0::1/48', 'fd00:64::/48'],
      serviceCIDR: [],
      hijackCIDR: ['169.254.20.10', '10.64.3.1/10', 'fd00::1', '10.64.0.0/10'],
      policyRoutes: [{ dst: '10.65.3.1/16', gw: '10.70.8.1' }],
      txQueueLen: 7,
    };
    expect(mutateCoordinator(coordinator(spec), undefined)).toEqual({
      outcome: 'mutated',
      object: coordinator({
        ...spec,
        overlayPodCIDR: ['fd00:64::/48'],
        hijackCIDR: ['169.254.20.10/32', '10.64.0.0/10', 'fd00::1/128'],
        policyRoutes: [{ dst: '10.65.0.0/16', gw: '10.70.8.1' }],
      }),
    });
  });

  it('adds nothing, and no finalizer', () => {
    expect(mutateCoordinator(coordinator(smallest), undefined)).toEqual({
      outcome: 'mutated',
      object: coordinator(smallest),
    });
  });

  it('says at once what is wrong', () => {
    expect(mutateCoordinator(coordinator({ ...smallest, vethMTU: 0 }), undefined)).toMatchObject({
      outcome: 'denied',
      message:
        'Cannot create SpiderCoordinator "default": spec.vethMTU 0 is out of range: write 68 to 65535, such as 1500',
    });
  });
});

describe('a new coordinator is admitted', () => {
  it.each([
    [
      'with everything',
      {
        mode: 'overlay',
        podCIDRType: 'cilium',
        hijackCIDR: ['169.254.0.0/16', 'fd00::/8'],
        policyRoutes: [
          { dst: '10.65.0.0/16', gw: '10.70.8.1' },
          { dst: 'fd00:65::1', gw: 'fd00:70::1' },
        ],
        podMACPrefix: '0A:1b',
        tunePodRoutes: false,
        podDefaultRouteNIC: 'net1',
        vethLinkAddress: '169.254.200.1',
        vethMTU: 9000,
        txQueueLen: 1000,
        hostRuleTable: 4_294_967_295,
        podRPFilter: -1,
      },
    ],
    [
      'with empty texts for what is not set',
      { ...smallest, podMACPrefix: '', podDefaultRouteNIC: '', vethLinkAddress: '' },
    ],
    ['without podCIDRType where its CIDRs are written', { overlayPodCIDR: ['10.244.0.0/16'] }],
    ['without podCIDRType where there are no such pods', { overlayPodCIDR: [] }],
    ['with null for what is not set', { ...smallest, mode: null, hijackCIDR: null, policyRoutes: null, vethMTU: null }],
  ])('%s', (_, spec) => {
    expect(said(validateCoordinatorCreate(coordinator(spec)))).toBe('allowed');
  });

  it('with what earlier versions knew, and is told that it has no effect', () => {
    const spec = { ...smallest, detectGateway: true, detectIPConflict: false, hostRPFilter: 0 };
    expect(said(validateCoordinatorCreate(coordinator(spec)))).toBe(
      'allowed: spec.detectGateway true has no effect: remove it',
    );
  });
});

describe('a new coordinator is refused', () => {
  it.each([
    [
      'with everything',
      { hijackCIDR: ['0.0.0.0/0'] },
      'spec.hijackCIDR[0] "0.0.0.0/0" is everything: name the interface of the default route in spec.podDefaultRouteNIC instead',
    ],
    [
      'with a default route among policy routes',
      { policyRoutes: [{ dst: '::/0', gw: 'fd00::1' }] },
      'spec.policyRoutes[0].dst "::/0" is the default route: name its next hop in spec.gateway of the pool instead',
    ],
    ['with IPv6 on the veth', { vethLinkAddress: 'fd00::1' }, 'spec.vethLinkAddress "fd00::1" is not an IPv4 address'],
    [
      'without podCIDRType',
      { podCIDRType: undefined },
      'spec.podCIDRType is missing: write auto, cluster, calico, cilium, none, or the CIDRs themselves into spec.overlayPodCIDR',
    ],
    [
      'with an unknown podCIDRType',
      { podCIDRType: 'flannel' },
      'spec.podCIDRType "flannel" is none of its values: write one of auto, cluster, calico, cilium, none',
    ],
    [
      '§12.2 #1: with the plugin’s word for disabled',
      { mode: 'disable' },
      'spec.mode "disable" is none of its values: write "disabled"',
    ],
    [
      'with an unknown mode',
      { mode: 'x' },
      'spec.mode "x" is none of its values: write one of auto, underlay, overlay, disabled',
    ],
    [
      'with a malformed CIDR',
      { hijackCIDR: ['10.0.0.0/8', '10.0.0/8'] },
      'spec.hijackCIDR[1] "10.0.0/8" is neither a CIDR nor an address: write one such as "10.64.0.0/10" or "fd00:64::/48"',
    ],
    [
      'with a list that is a text',
      { serviceCIDR: '10.96.0.0/16' },
      'spec.serviceCIDR "10.96.0.0/16" is not a list: write a list of CIDRs',
    ],
    [
      'with an entry that is none',
      { overlayPodCIDR: [7] },
      'spec.overlayPodCIDR[0] 7 is neither a CIDR nor an address: write one',
    ],
    [
      'with a route without dst',
      { policyRoutes: [{ gw: '10.70.8.1' }] },
      'spec.policyRoutes[0].dst is missing: write one such as',
    ],
    [
      'with a route to nowhere',
      { policyRoutes: [{ dst: 'x', gw: '10.70.8.1' }] },
      'spec.policyRoutes[0].dst "x" is neither a CIDR nor',
    ],
    [
      'with a route without next hop',
      { policyRoutes: [{ dst: '10.65.0.0/16' }] },
      'spec.policyRoutes[0].gw is missing: write the next hop, such as "10.70.8.1"',
    ],
    [
      'with a next hop that is a CIDR',
      { policyRoutes: [{ dst: '10.65.0.0/16', gw: '10.70.8.1/22' }] },
      'spec.policyRoutes[0].gw "10.70.8.1/22" is not an address: write the next hop',
    ],
    [
      'with a next hop of the other family',
      { policyRoutes: [{ dst: '10.65.0.0/16', gw: 'fd00::1' }] },
      'spec.policyRoutes[0].gw "fd00::1" is IPv6 and dst is IPv4: write a next hop that is IPv4',
    ],
    [
      'with two routes to one destination in two spellings',
      {
        policyRoutes: [
          { dst: '10.65.0.0/16', gw: '10.70.8.1' },
          { dst: '10.65.1.1/16', gw: '10.70.8.2' },
        ],
      },
      'spec.policyRoutes[1].dst "10.65.1.1/16" is the destination of an earlier route too: keep one of them',
    ],
    [
      'with routes that are no list',
      { policyRoutes: {} },
      'spec.policyRoutes {} is not a list: write a list of {dst, gw}',
    ],
    [
      'with dashes in the MAC prefix',
      { podMACPrefix: '0a-1b' },
      'spec.podMACPrefix "0a-1b" is not two bytes as hexadecimal digits with a colon: write one such as "0a:1b"',
    ],
    ['with a MAC prefix of three bytes', { podMACPrefix: '0a:1b:2c' }, 'spec.podMACPrefix "0a:1b:2c" is not two bytes'],
    [
      'with a multicast MAC prefix',
      { podMACPrefix: '0b:1b' },
      'spec.podMACPrefix "0b:1b" begins multicast addresses, which no interface has: make its first byte even, such as "0a"',
    ],
    [
      'with a CIDR on the veth',
      { vethLinkAddress: '169.254.200.1/32' },
      'spec.vethLinkAddress "169.254.200.1/32" is not an IPv4 address: write one',
    ],
    [
      'with an MTU below IPv4’s least',
      { vethMTU: 67 },
      'spec.vethMTU 67 is out of range: write 68 to 65535, such as 1500',
    ],
    ['with an MTU that is a text', { vethMTU: '1500' }, 'spec.vethMTU "1500" is out of range'],
    [
      'with a negative queue',
      { txQueueLen: -1 },
      'spec.txQueueLen -1 is out of range: write a number of packets, or 0 to leave it alone',
    ],
    [
      'with the main table',
      { hostRuleTable: 254 },
      "spec.hostRuleTable 254 is one of the node's own tables: write a number from 1 that is",
    ],
    ['with table 0', { hostRuleTable: 0 }, 'spec.hostRuleTable 0 is out of range'],
    [
      'with rp_filter 3',
      { podRPFilter: 3 },
      'spec.podRPFilter 3 is out of range: write 0, 1 or 2, or a negative number to leave it alone',
    ],
    ['with half an rp_filter', { podRPFilter: 0.5 }, 'spec.podRPFilter 0.5 is out of range'],
    [
      'with a name that no interface can have',
      { podDefaultRouteNIC: 'net1/x' },
      'spec.podDefaultRouteNIC "net1/x" can be no name of an interface: write 1 to 15 characters without "/", ":" and blanks, such as "net1"',
    ],
    [
      'with a name too long',
      { podDefaultCniNic: 'a'.repeat(16) },
      'spec.podDefaultCniNic "aaaaaaaaaaaaaaaa" can be no name of an interface',
    ],
  ])('%s', (_, spec, message) => {
    expect(said(validateCoordinatorCreate(coordinator({ ...smallest, ...spec })))).toContain(
      `422 Cannot create SpiderCoordinator "default": ${message}`,
    );
  });

  it('with every problem at once', () => {
    expect(said(validateCoordinatorCreate(coordinator({ mode: 'x', vethMTU: 0 })))).toBe(
      '422 Cannot create SpiderCoordinator "default":\n' +
        '- spec.mode "x" is none of its values: write one of auto, underlay, overlay, disabled\n' +
        '- spec.podCIDRType is missing: write auto, cluster, calico, cilium, none, or the CIDRs themselves into spec.overlayPodCIDR\n' +
        '- spec.vethMTU 0 is out of range: write 68 to 65535, such as 1500',
    );
  });
});

describe('an edit of a coordinator', () => {
  const broken = coordinator({ mode: 'x' });
  const terminating = { deletionTimestamp: '2026-11-21T12:00:00Z', finalizers: ['spiderpool.spidernet.io'] };

  it('may change everything', () => {
    const next = coordinator({ mode: 'underlay', podCIDRType: 'calico', hijackCIDR: [] });
    expect(said(validateCoordinatorUpdate(coordinator(smallest), next))).toBe('allowed');
  });

  it('is refused where it leaves the spec wrong, and is not judged where it leaves the spec alone', () => {
    expect(said(validateCoordinatorUpdate(broken, coordinator({ mode: 'y' })))).toContain(
      '422 Cannot change SpiderCoordinator "default":',
    );
    const labelled = coordinator({ mode: 'x' }, { labels: { a: 'b' } });
    expect(said(validateCoordinatorUpdate(broken, labelled))).toBe('allowed');
    expect(mutateCoordinator(labelled, broken)).toEqual({ outcome: 'mutated', object: labelled });
  });

  it('can take Spiderpool’s finalizer away while it is being deleted, and do nothing else then', () => {
    const dying = coordinator(smallest, terminating);
    const released = coordinator(smallest, { ...terminating, finalizers: [] });
    expect(said(validateCoordinatorUpdate(dying, released))).toBe('allowed');
    expect(mutateCoordinator(released, dying)).toEqual({ outcome: 'mutated', object: released });
    expect(said(validateCoordinatorUpdate(dying, coordinator({ podCIDRType: 'none' }, terminating)))).toContain('403 ');
  });
});

it('any coordinator is judged, none makes a rule throw, and what is admitted is stored the same again', () => {
  const texts = fc.constantFrom(
    '10.1.3.0/16',
    'fd00:1::1',
    '10.1.0.5',
    '::ffff:10.0.0.1',
    '__proto__',
    '',
    'auto',
    '0a:1b',
  );
  const values = fc.oneof({ weight: 3, arbitrary: texts }, { weight: 1, arbitrary: fc.jsonValue() });
  const some = <Value>(arbitrary: fc.Arbitrary<Value>) =>
    fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: fc.jsonValue() });
  const specs = fc.record(
    {
      mode: some(fc.constantFrom('auto', 'disabled')),
      podCIDRType: some(fc.constantFrom('auto', 'none')),
      overlayPodCIDR: some(fc.array(values, { maxLength: 2 })),
      hijackCIDR: some(
        fc.array(
          texts.filter((text) => text.includes('.')),
          { maxLength: 2 },
        ),
      ),
      policyRoutes: some(fc.array(some(fc.record({ dst: values, gw: values })), { maxLength: 1 })),
      podMACPrefix: some(fc.constantFrom('', '0a:1b', '01:1b')),
      vethMTU: some(fc.integer()),
    },
    { requiredKeys: [] },
  );
  const objects = fc.oneof(
    { weight: 5, arbitrary: fc.record({ metadata: fc.constant({ name: 'a' }), spec: some(specs) }) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );
  const outcomes = new Set<string>();
  fc.assert(
    fc.property(objects, objects, (one, other) => {
      const mutation = mutateCoordinator(one, undefined);
      const created = validateCoordinatorCreate(one);
      outcomes.add(created.outcome);
      expect(mutation.outcome).toBe(created.outcome === 'allowed' ? 'mutated' : 'denied');
      if (mutation.outcome === 'mutated') expect(mutateCoordinator(mutation.object, undefined)).toEqual(mutation);
      for (const answer of [created, validateCoordinatorUpdate(other, one)]) {
        if (answer.outcome === 'denied') expect(answer.message).toMatch(/^Cannot (create|change) SpiderCoordinator "/);
      }
    }),
  );
  expect(outcomes).toEqual(new Set(['allowed', 'denied']));
});
