import { describe, expect, it } from '@jest/globals';
import { mutateSubnet, validateSubnetCreate, validateSubnetDelete, validateSubnetUpdate } from './subnet-rules.ts';
import { networkEditRefusals, networkRefusals, v4, v6 } from './testing/network-refusals.ts';
import { pool, said, subnet, world } from './testing/objects.ts';

const terminating = { deletionTimestamp: '2026-11-21T12:00:00Z', finalizers: ['spiderpool.spidernet.io'] };

describe('the mutating webhook', () => {
  it('gives a SpiderSubnet its finalizer, its ipVersion, its label and merged ranges', () => {
    expect(mutateSubnet(subnet({ ...v4, ips: ['10.1.0.2', '10.1.0.1'] }), undefined, world())).toMatchObject({
      outcome: 'mutated',
      object: {
        metadata: {
          finalizers: ['spiderpool.spidernet.io'],
          labels: { 'ipam.spidernet.io/subnet-cidr': '10-1-0-0-16' },
        },
        spec: { ...v4, ipVersion: 4, ips: ['10.1.0.1-10.1.0.2'] },
      },
    });
  });

  it('says at once what is wrong (§12.3 #27)', () => {
    const spec = { subnet: '10.1.0.5/16', ips: ['10.2.0.1'] };
    expect(mutateSubnet(subnet(spec), undefined, world())).toEqual({
      outcome: 'denied',
      status: 422,
      message: [
        'Cannot create SpiderSubnet "s":',
        '- spec.subnet "10.1.0.5/16" has host bits set: write "10.1.0.0/16"',
        '- spec.ips[0] "10.2.0.1" is not inside spec.subnet "10.1.0.0/16": choose from 10.1.0.0 to 10.1.255.255',
      ].join('\n'),
    });
  });

  it('gives nothing to one that is being deleted', () => {
    const dying = subnet(v4, { ...terminating, finalizers: [] });
    expect(mutateSubnet(dying, dying, world())).toEqual({ outcome: 'mutated', object: dying });
  });
});

describe('a new SpiderSubnet is refused', () => {
  it.each(networkRefusals)(
    '%s, by field, value and remedy, and by the mutating webhook already',
    (_, spec, message) => {
      expect(said(validateSubnetCreate(subnet(spec), world()))).toBe(`422 Cannot create SpiderSubnet "s": ${message}`);
      expect(mutateSubnet(subnet(spec), undefined, world())).toMatchObject({
        outcome: 'denied',
        message: `Cannot create SpiderSubnet "s": ${message}`,
      });
    },
  );

  it.each([
    [4, v4, [6]],
    [6, v6, [4]],
  ] as const)('while IPv%i is off', (family, spec, families) => {
    expect(said(validateSubnetCreate(subnet(spec), world({ settings: { families } })))).toBe(
      `422 Cannot create SpiderSubnet "s": spec.subnet "${spec.subnet}" is IPv${family}, which is off in this cluster: use a ` +
        `subnet of the other family, or set ORBWEAVER_ENABLE_IPV${family}=true`,
    );
  });

  it('as existing, when its name is taken', () => {
    expect(said(validateSubnetCreate(subnet(v4), world({ subnets: [subnet({ subnet: '10.9.0.0/16' })] })))).toContain(
      '409 Cannot create SpiderSubnet "s": metadata.name "s" is taken by another SpiderSubnet: choose another name',
    );
  });

  it.each([['10.1.0.0/16'], ['10.0.0.0/8'], ['10.1.4.0/24']])('over a SpiderSubnet of %s', (text) => {
    expect(said(validateSubnetCreate(subnet(v4), world({ subnets: [subnet({ subnet: text }, { name: 't' })] })))).toBe(
      `422 Cannot create SpiderSubnet "s": spec.subnet "10.1.0.0/16" overlaps with ${text} of SpiderSubnet "t": use a subnet that lies apart`,
    );
  });

  it('over a pool of another CIDR', () => {
    expect(said(validateSubnetCreate(subnet(v4), world({ pools: [pool({ subnet: '10.1.4.0/24' })] })))).toContain(
      'overlaps with 10.1.4.0/24 of SpiderIPPool "p": use a subnet that lies apart',
    );
  });

  it('when a pool of its CIDR has addresses that it has not', () => {
    const pools = [pool({ ...v4, ips: ['10.1.0.1-10.1.0.9'], excludeIPs: ['10.1.0.4'] })];
    const spec = { ...v4, ips: ['10.1.0.1-10.1.0.9'], excludeIPs: ['10.1.0.4-10.1.0.5'] };
    expect(said(validateSubnetCreate(subnet(spec), world({ pools })))).toContain(
      'spec.ips lacks 10.1.0.5 of SpiderIPPool "p", which would be this Subnet’s: add it here, or take it from that pool',
    );
  });
});

describe('a new SpiderSubnet is admitted', () => {
  it('over the pools of its CIDR whose addresses it has', () => {
    const pools = [
      pool({ ...v4, ips: ['10.1.0.1-10.1.0.9'] }),
      pool({ subnet: 'fd00::/64', ips: ['fd00::1'] }, { name: 'q' }),
    ];
    expect(said(validateSubnetCreate(subnet({ ...v4, ips: ['10.1.0.0-10.1.255.255'] }), world({ pools })))).toBe(
      'allowed',
    );
  });

  it('with a warning where SpiderSubnets are off', () => {
    expect(said(validateSubnetCreate(subnet(v4), world({ settings: { subnets: false } })))).toBe(
      'allowed: SpiderSubnets are off in this cluster, so nothing uses this one: set ORBWEAVER_ENABLE_SPIDER_SUBNET=true',
    );
  });
});

describe('an edit of a SpiderSubnet', () => {
  const controlledIPPools = '{"auto4-web":{"ips":["10.1.0.1-10.1.0.3"],"application":"apps_v1_Deployment_pay_web"}}';
  const old = subnet({ ...v4, ipVersion: 4, ips: ['10.1.0.1-10.1.0.9'] }, {}, { controlledIPPools });
  const manual = pool({ ...v4, ips: ['10.1.0.9'] }, { labels: { 'ipam.spidernet.io/owner-spider-subnet': 's' } });
  const where = world({ pools: [manual], subnets: [old] });
  const edited = (spec: object): object => ({ ...old, spec: { ...old.spec, ...spec } });

  it.each([
    ['adds addresses', { ips: ['10.1.0.1-10.1.0.30'] }],
    ['takes away what no pool has', { ips: ['10.1.0.1-10.1.0.3', '10.1.0.9'] }],
    ['changes gateway and routes', { gateway: '10.1.9.1', routes: [{ dst: '10.64.0.0/10', gw: '10.1.9.2' }] }],
  ])('is admitted when it %s', (_, spec) => {
    expect(said(validateSubnetUpdate(old, edited(spec), where))).toBe('allowed');
  });

  it.each([
    [
      'takes away what its status records for a pool',
      { ips: ['10.1.0.1-10.1.0.2', '10.1.0.9'] },
      '10.1.0.3, which SpiderIPPool "auto4-web" has',
    ],
    ['excludes what a pool of its has', { excludeIPs: ['10.1.0.9'] }, '10.1.0.9, which SpiderIPPool "p" has'],
  ])('is refused when it %s', (_, spec, lost) => {
    expect(said(validateSubnetUpdate(old, edited(spec), where))).toBe(
      `403 Cannot change SpiderSubnet "s": spec.ips would no longer have ${lost}: take it from that pool first, or keep it here`,
    );
  });

  it.each([
    [
      'subnet',
      { subnet: '10.2.0.0/16', ips: [] },
      'spec.subnet "10.2.0.0/16" cannot be changed: it is "10.1.0.0/16": create another object, and delete this one when nothing uses it',
    ],
    [
      'ipVersion',
      { ipVersion: 6 },
      'spec.ipVersion 6 cannot be changed: it is 4: create another object, and delete this one when nothing uses it',
    ],
  ])('is refused when it changes %s', (_, spec, message) => {
    expect(said(validateSubnetUpdate(old, edited(spec), world()))).toContain(message);
  });

  it.each(networkEditRefusals)('is refused %s', (_, spec, message) => {
    const empty = subnet({ ...v4, ipVersion: 4 });
    const changed = { ...empty, spec: { ...empty.spec, ...spec } };
    expect(said(validateSubnetUpdate(empty, changed, world()))).toBe(`422 Cannot change SpiderSubnet "s": ${message}`);
  });

  it('is refused for no old mistake while the spec stays', () => {
    const wrong = subnet({ ...v4, ips: ['10.1.0.9-10.1.0.1'] });
    expect(said(validateSubnetUpdate(wrong, { ...wrong, metadata: { ...wrong.metadata, labels: {} } }, world()))).toBe(
      'allowed',
    );
  });

  it('that is being deleted only removes finalizers', () => {
    const dying = subnet(v4, terminating);
    const released = { ...dying, metadata: { ...dying.metadata, finalizers: [] } };
    expect(said(validateSubnetUpdate(dying, released, world()))).toBe('allowed');
    expect(said(validateSubnetUpdate(dying, { ...dying, spec: { ...v4, ips: ['10.1.0.1'] } }, world()))).toContain(
      '403 ',
    );
  });

  it('survives a status that nobody can read', () => {
    const odd = subnet({ ...v4, ips: ['10.1.0.1'] }, {}, { controlledIPPools: '{"a":' });
    expect(said(validateSubnetUpdate(odd, { ...odd, spec: v4 }, world()))).toBe('allowed');
  });
});

describe('a deletion of a SpiderSubnet', () => {
  const refusing = { settings: { refusesDeletionInUse: true } };
  const used = subnet(v4, {}, { controlledIPPools: '{"a":{"ips":["10.1.0.1"]},"b":{"ips":[]}}' });

  it('is refused while pools have addresses of it, when the cluster wants that', () => {
    expect(said(validateSubnetDelete(used, world(refusing)))).toBe(
      '403 Cannot delete SpiderSubnet "s": metadata.name "s" has addresses in a: delete those pools first',
    );
  });

  it.each([
    ['that is in use, while that is no reason to refuse', used, world()],
    ['that nobody uses', subnet(v4), world(refusing)],
    ['that is being deleted already', { ...used, metadata: { ...used.metadata, ...terminating } }, world(refusing)],
  ])('is admitted for one %s', (_, old, where) => {
    expect(said(validateSubnetDelete(old, where))).toBe('allowed');
  });
});
