import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type CidrWish, discoverCidrs } from './discover-cidrs.ts';
import type { CalicoPool, NetworkSources, Source } from './network-sources.ts';

const absent = { outcome: 'absent' } as const;
const unreadable = { outcome: 'unreadable', why: '403 Forbidden' } as const;
const read = <Content>(content: Content): Source<Content> => ({ outcome: 'read', content });

/** A cluster of kubeadm without any network that we know. */
const sources = (some: Partial<NetworkSources> = {}): NetworkSources => ({
  serviceCIDRs: read([{ metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16'] } }]),
  kubeadm: read({ podSubnet: '10.244.0.0/16', serviceSubnet: '10.96.0.0/12' }),
  controllerManagers: absent,
  calicoPools: absent,
  ciliumConfig: absent,
  ciliumPools: absent,
  flannel: absent,
  ...some,
});
const calico = (
  ...pools: readonly (CalicoPool['spec'] & { readonly metadata?: object })[]
): Partial<NetworkSources> => ({
  calicoPools: read(pools.map(({ metadata, ...spec }, at) => ({ metadata: { name: `p${at}`, ...metadata }, spec }))),
});
const cilium = (config: Readonly<Record<string, string>>): Partial<NetworkSources> => ({ ciliumConfig: read(config) });
const manager = (...words: readonly string[]): Partial<NetworkSources> => ({
  kubeadm: absent,
  controllerManagers: read([['kube-controller-manager', ...words]]),
});

/** The list and where it is from, or the reason. */
function pods(type: CidrWish['podCIDRType'], some: Partial<NetworkSources> = {}): string {
  const wish = type === undefined ? {} : { podCIDRType: type };
  const { overlayPodCIDR, podCIDRSource, reason } = discoverCidrs(wish, sources(some));
  return overlayPodCIDR ? `${overlayPodCIDR.join()} (${podCIDRSource})` : `? ${reason}`;
}
function services(some: Partial<NetworkSources> = {}): string {
  const { serviceCIDR, serviceCIDRSource, reason } = discoverCidrs({ podCIDRType: 'none' }, sources(some));
  return serviceCIDR ? `${serviceCIDR.join()} (${serviceCIDRSource})` : `? ${reason}`;
}

const pool = { cidr: '10.48.0.0/16' };
const clusterPool = { ipam: 'cluster-pool', 'cluster-pool-ipv4-cidr': '10.0.0.0/9' };
const ofKubeadm = '10.244.0.0/16 (networking.podSubnet of ConfigMap kube-system/kubeadm-config)';

describe('V00001: auto', () => {
  it.each([
    ['Cilium', cilium(clusterPool), '10.0.0.0/9 (the ConfigMap of Cilium)'],
    ['Calico', calico(pool), '10.48.0.0/16 (IPPools of Calico)'],
    ['Flannel, which takes the CIDR of the cluster', { flannel: read(true as const) }, ofKubeadm],
    ['Cilium, where Calico was before it', { ...cilium(clusterPool), ...calico(pool) }, '10.0.0.0/9 (the ConfigMap'],
    [
      'Calico, where Cilium is chained to it',
      { ...cilium({ ...clusterPool, 'cni-chaining-mode': 'generic-veth' }), ...calico(pool) },
      '10.48.0.0/16 (IPPools of Calico)',
    ],
    ['Cilium that says it is not chained', cilium({ ...clusterPool, 'cni-chaining-mode': 'none' }), '10.0.0.0/9 ('],
    [
      'Flannel, where Calico left a pool that is off',
      { ...calico({ ...pool, disabled: true }), flannel: read(true as const) },
      ofKubeadm,
    ],
  ])('finds %s', (_, some, said) => {
    expect(pods('auto', some)).toContain(said);
  });

  it('V00002: says that there are none where it finds no network', () => {
    expect(pods('auto')).toBe(' (neither Cilium, Calico nor Flannel was found)');
  });

  it.each([
    ['Cilium', { ciliumConfig: unreadable, ...calico(pool) }],
    ['Calico', { calicoPools: unreadable, flannel: read(true as const) }],
    ['Flannel', { flannel: unreadable }],
  ])('says so where it cannot tell whether %s is there', (network, some) => {
    expect(pods('auto', some)).toContain(`it cannot be told whether ${network} is there (403 Forbidden)`);
  });

  it('does not look further than it must', () => {
    expect(pods('auto', { ...cilium(clusterPool), calicoPools: unreadable })).toContain('10.0.0.0/9');
  });
});

describe('CIDRs of pods', () => {
  it('V00003: are those of all IPPools of Calico, oldest first, less those that give pods nothing', () => {
    const at = (creationTimestamp: string) => ({ metadata: { creationTimestamp } });
    const some = calico(
      { cidr: 'fd00:48::/64', ...at('2026-02-01T00:00:00Z') },
      { cidr: '10.48.3.0/16', ...at('2026-01-01T00:00:00Z') },
      { cidr: '10.49.0.0/16', disabled: true },
      { cidr: '10.50.0.0/16', metadata: { deletionTimestamp: '2026-03-01T00:00:00Z' } },
      { cidr: '10.51.0.0/16', allowedUses: ['LoadBalancer'] },
      { cidr: '10.52.0.0/16', allowedUses: ['Tunnel', 'Workload'], ...at('2026-03-01T00:00:00Z') },
    );
    expect(pods('calico', some)).toBe('10.48.0.0/16,fd00:48::/64,10.52.0.0/16 (IPPools of Calico)');
  });

  it.each([
    ['cluster-pool', { 'cluster-pool-ipv4-cidr': '10.0.0.0/10 10.64.0.0/10', 'cluster-pool-ipv6-cidr': 'fd00::/104' }],
    ['cluster-pool-v2beta', { 'cluster-pool-ipv4-cidr': '10.0.0.0/10, 10.64.0.0/10,fd00::/104' }],
  ])('V00004: are the lists of Cilium with ipam %s', (ipam, config) => {
    expect(pods('cilium', cilium({ ipam, ...config }))).toBe(
      '10.0.0.0/10,10.64.0.0/10,fd00::/104 (the ConfigMap of Cilium)',
    );
  });

  it('V00004: are those of all CiliumPodIPPools with multi-pool', () => {
    const ciliumPools = read([
      { metadata: { name: 'default' }, spec: { ipv4: { cidrs: ['10.10.0.0/16'] }, ipv6: { cidrs: ['fd00:10::/64'] } } },
      { metadata: { name: 'mars' }, spec: { ipv4: { cidrs: ['10.20.0.0/16'] } } },
      { metadata: { name: 'empty' } },
    ]);
    expect(pods('cilium', { ...cilium({ ipam: 'multi-pool' }), ciliumPools })).toBe(
      '10.10.0.0/16,fd00:10::/64,10.20.0.0/16 (CiliumPodIPPools)',
    );
  });

  it('V00004: are those of the cluster with ipam kubernetes', () => {
    expect(pods('cilium', cilium({ ipam: 'kubernetes' }))).toBe(ofKubeadm);
  });

  it('V00005: are none where podCIDRType is none, whatever is there', () => {
    expect(pods('none', { ...calico(pool), ...cilium(clusterPool) })).toBe(' (spec.podCIDRType none)');
  });

  it('V00009: are what kubeadm recorded, not what kube-controller-manager says', () => {
    expect(pods('cluster', { controllerManagers: read([['kcm', '--cluster-cidr=10.1.0.0/16']]) })).toBe(ofKubeadm);
  });

  it.each([
    ['kubeadm recorded nothing', {}],
    ['kubeadm recorded no CIDR of pods', { kubeadm: read({ serviceSubnet: '10.96.0.0/12' }) }],
    ['its record cannot be read', { kubeadm: unreadable }],
  ])('V00010: are those of kube-controller-manager where %s', (_, some) => {
    const said = pods('cluster', { ...manager('--cluster-cidr', '10.1.0.0/16,fd00:1::/48'), ...some });
    expect(said).toBe('10.1.0.0/16,fd00:1::/48 (--cluster-cidr of kube-controller-manager)');
  });

  it('are those of every kube-controller-manager while they differ', () => {
    const controllerManagers = read([['--cluster-cidr=10.1.0.0/16'], ['--cluster-cidr=10.2.0.0/16'], ['-x'], []]);
    expect(pods('cluster', { kubeadm: absent, controllerManagers })).toContain('10.1.0.0/16,10.2.0.0/16 (');
  });
});

describe('CIDRs of pods are not known', () => {
  it.each([
    [
      'V00011: neither kubeadm nor kube-controller-manager says any',
      'cluster',
      { kubeadm: absent },
      'there is no ConfigMap kube-system/kubeadm-config, and kube-controller-manager does not run as a pod',
    ],
    [
      'V00011: both are there and say nothing',
      'cluster',
      { ...manager('--v=2'), kubeadm: read({}) },
      'ConfigMap kube-system/kubeadm-config has no networking.podSubnet, and no kube-controller-manager has --cluster-cidr',
    ],
    [
      'neither may be read',
      'cluster',
      { kubeadm: unreadable, controllerManagers: unreadable },
      'kubeadm-config cannot be read (403 Forbidden), and pods of kube-controller-manager cannot be read (403 Forbidden)',
    ],
    [
      'V00003: Calico is not there',
      'calico',
      cilium(clusterPool),
      'there is no IPPool of Calico (crd.projectcalico.org/v1)',
    ],
    [
      'every IPPool is off',
      'calico',
      calico({ ...pool, disabled: true }),
      'no IPPool of Calico gives addresses to pods',
    ],
    ['an IPPool has no CIDR', 'calico', calico({}), 'no IPPool of Calico gives addresses to pods'],
    [
      'IPPools may not be read',
      'calico',
      { calicoPools: unreadable },
      'IPPools of Calico cannot be read (403 Forbidden)',
    ],
    ['V00004: Cilium is not there', 'cilium', calico(pool), 'there is no ConfigMap of Cilium'],
    ['its ConfigMap may not be read', 'cilium', { ciliumConfig: unreadable }, 'the ConfigMap of Cilium cannot be read'],
    ['Cilium says no list', 'cilium', cilium({ ipam: 'cluster-pool' }), 'has neither cluster-pool-ipv4-cidr nor'],
    ['Cilium has no pool', 'cilium', cilium({ ipam: 'multi-pool' }), 'there is no CiliumPodIPPool (cilium.io)'],
    [
      'its pools may not be read',
      'cilium',
      { ...cilium({ ipam: 'multi-pool' }), ciliumPools: unreadable },
      'CiliumPodIPPools cannot be read (403 Forbidden)',
    ],
    [
      'a cloud gives the addresses',
      'cilium',
      cilium({ ipam: 'eni' }),
      'does not say what Cilium gives with ipam "eni"',
    ],
    ['Cilium does not say how', 'cilium', cilium({}), 'does not say what Cilium gives with ipam ""'],
    [
      'one of several is malformed',
      'calico',
      calico(pool, { cidr: '10.0.0.0/33' }),
      '"10.0.0.0/33" in IPPools of Calico is not a CIDR',
    ],
    [
      'an address stands for a CIDR',
      'cluster',
      manager('--cluster-cidr=10.0.0.1'),
      '"10.0.0.1" in --cluster-cidr of kube-co',
    ],
    ['one is everything', 'calico', calico({ cidr: '0.0.0.0/0' }), '"0.0.0.0/0" in IPPools of Calico is everything'],
    ['nobody says where to look', undefined, {}, 'spec.podCIDRType is missing'],
  ] as const)('where %s', (_, type, some, why) => {
    const said = pods(type, some);
    expect(said).toContain('? CIDRs of pods are not known: ');
    expect(said).toContain(why);
    expect(said).toMatch(/\. Write them into spec\.overlayPodCIDR, or an empty list where there are none$/);
  });
});

describe('CIDRs of Services', () => {
  it('are those of all ServiceCIDR objects, oldest first, also while one is being deleted', () => {
    const range = (name: string, creationTimestamp: string, ...cidrs: readonly string[]) => ({
      metadata: { name, creationTimestamp, deletionTimestamp: '2026-06-01T00:00:00Z' },
      spec: { cidrs },
    });
    const serviceCIDRs = read([
      range('more', '2026-02-01T00:00:00Z', '10.97.0.0/16'),
      range('kubernetes', '2026-01-01T00:00:00Z', '10.96.0.0/16', 'fd00:96::/108'),
    ]);
    expect(services({ serviceCIDRs })).toBe('10.96.0.0/16,fd00:96::/108,10.97.0.0/16 (ServiceCIDR objects)');
  });

  it.each([
    ['the API server knows no such objects', absent],
    ['there is none', read([])],
    ['they may not be read', unreadable],
  ])('are what kubeadm recorded where %s', (_, serviceCIDRs) => {
    expect(services({ serviceCIDRs })).toBe(
      '10.96.0.0/12 (networking.serviceSubnet of ConfigMap kube-system/kubeadm-config)',
    );
  });

  it('V00010: are those of kube-controller-manager where kubeadm recorded none', () => {
    expect(services({ serviceCIDRs: absent, ...manager('--service-cluster-ip-range=10.98.0.0/16') })).toBe(
      '10.98.0.0/16 (--service-cluster-ip-range of kube-controller-manager)',
    );
  });

  it('V00011: are not known where nobody says any', () => {
    expect(services({ serviceCIDRs: absent, kubeadm: absent })).toBe(
      '? CIDRs of Services are not known: there is no ConfigMap kube-system/kubeadm-config, and kube-controller-manager ' +
        'does not run as a pod. Write them into spec.serviceCIDR, or an empty list where there are none',
    );
    expect(services({ serviceCIDRs: unreadable, kubeadm: absent })).toContain(
      'ServiceCIDR objects cannot be read (403 Forbidden), there is no ConfigMap',
    );
  });
});

describe('a list that is written into the coordinator', () => {
  it('wins over everything that is found, and needs nothing', () => {
    const nothing: NetworkSources = { ...sources(), serviceCIDRs: absent, kubeadm: absent };
    const wish: CidrWish = { overlayPodCIDR: ['10.7.3.0/16', '10.7.0.0/16', 'FD00:7::/48'], serviceCIDR: [] };
    const status = {
      phase: 'Synced',
      overlayPodCIDR: ['10.7.0.0/16', 'fd00:7::/48'],
      podCIDRSource: 'spec.overlayPodCIDR',
      serviceCIDR: [],
      serviceCIDRSource: 'spec.serviceCIDR',
    };
    expect(discoverCidrs(wish, nothing)).toEqual(status);
    expect(discoverCidrs({ ...wish, podCIDRType: 'calico' }, sources(calico(pool)))).toEqual(status);
  });
});

describe('a list that is not known', () => {
  it('§12.2 #5, #11: takes nothing from the other', () => {
    expect(discoverCidrs({ podCIDRType: 'calico' }, sources())).toEqual({
      phase: 'NotReady',
      reason: expect.stringMatching(
        /^CIDRs of pods are not known: [^.]*\.projectcalico\.[^.]*\. Write them into [^.]*\.o/,
      ),
      serviceCIDR: ['10.96.0.0/16'],
      serviceCIDRSource: 'ServiceCIDR objects',
    });
    expect(discoverCidrs({ podCIDRType: 'none' }, sources({ serviceCIDRs: absent, kubeadm: absent }))).toEqual({
      phase: 'NotReady',
      reason: expect.stringContaining('CIDRs of Services are not known'),
      overlayPodCIDR: [],
      podCIDRSource: 'spec.podCIDRType none',
    });
  });

  it('V00006: is absent, and both are where neither is known', () => {
    const neither = sources({ serviceCIDRs: absent, kubeadm: absent });
    expect(discoverCidrs({ podCIDRType: 'cluster' }, neither)).toEqual({
      phase: 'NotReady',
      reason: expect.any(String),
    });
  });
});

it('whatever the sources say, each list is canonical or has its reason', () => {
  const texts = fc.oneof(
    fc.constantFrom(
      '10.1.2.3/16',
      'FD00::1/64',
      '::/0',
      '0.0.0.0/0',
      '10.0.0.1',
      '',
      ',',
      '10.0.0.0/33',
      'x/y',
      '::ffff:1.2.3.4/96',
    ),
    fc.stringMatching(/^[0-9a-f.:/, ]{0,20}$/),
  );
  const source = <Content>(content: fc.Arbitrary<Content>): fc.Arbitrary<Source<Content>> =>
    fc.oneof(fc.constant(absent), fc.constant(unreadable), content.map(read));
  const object = <Spec>(spec: fc.Arbitrary<Spec>) =>
    fc.record({ metadata: fc.record({ name: fc.string() }), spec }, { requiredKeys: ['metadata'] });
  const list = fc.array(texts, { maxLength: 3 });
  const anything: fc.Arbitrary<NetworkSources> = fc.record({
    serviceCIDRs: source(fc.array(object(fc.record({ cidrs: list }, { requiredKeys: [] })))),
    kubeadm: source(fc.record({ podSubnet: texts, serviceSubnet: texts }, { requiredKeys: [] })),
    controllerManagers: source(fc.array(texts.map((text) => [`--cluster-cidr=${text}`]))),
    calicoPools: source(fc.array(object(fc.record({ cidr: texts, disabled: fc.boolean() }, { requiredKeys: [] })))),
    ciliumConfig: source(
      fc.record({
        ipam: fc.constantFrom('cluster-pool', 'multi-pool', 'kubernetes', 'eni'),
        'cluster-pool-ipv4-cidr': texts,
      }),
    ),
    ciliumPools: source(fc.array(object(fc.record({ ipv4: fc.record({ cidrs: list }) }, { requiredKeys: [] })))),
    flannel: source(fc.constant(true as const)),
  });
  const wishes: fc.Arbitrary<CidrWish> = fc.record(
    {
      podCIDRType: fc.constantFrom('auto', 'cluster', 'calico', 'cilium', 'none'),
      overlayPodCIDR: list,
      serviceCIDR: list,
    },
    { requiredKeys: [] },
  );
  const phases = new Set<string | undefined>();
  fc.assert(
    fc.property(wishes, anything, (wish, found) => {
      const status = discoverCidrs(wish, found);
      phases.add(status.phase);
      const isWhole = status.overlayPodCIDR !== undefined && status.serviceCIDR !== undefined;
      expect(status.phase).toBe(isWhole ? 'Synced' : 'NotReady');
      expect(status.reason === undefined).toBe(isWhole);
      for (const cidrs of [status.overlayPodCIDR ?? [], status.serviceCIDR ?? []]) {
        expect(new Set(cidrs).size).toBe(cidrs.length);
        // What was found is read as itself when it is written into the spec.
        expect(discoverCidrs({ ...wish, serviceCIDR: cidrs }, found).serviceCIDR).toEqual(cidrs);
      }
    }),
  );
  expect(phases).toEqual(new Set(['Synced', 'NotReady']));
});
