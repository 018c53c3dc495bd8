import { describe, expect, it } from '@jest/globals';
import { applicationAffinityKeys, automaticPoolLabels } from './automatic-pool.ts';
import { type Cidr, parseCidr } from './cidr.ts';
import { intervalSet } from './interval-set.ts';
import { defaultNetworkAnnotation, findPodNetwork, networksAnnotation } from './pod-networks.ts';
import { judgePool } from './pool-filters.ts';
import type { Application } from './pool-request.ts';
import { isMalformed, type PoolObject, readPool } from './pool-snapshot.ts';
import { type Asked, requestOf } from './testing/pool-requests.ts';

/** What the filters say at last: "serves", or the objection. */
function verdictOf(spec: Partial<PoolObject['spec']>, asked: Asked = {}, metadata: object = {}): string {
  const object = { metadata: { name: 'p', ...metadata }, spec: { subnet: '10.70.8.0/22', ...spec } };
  const pool = readPool(object, { 4: intervalSet([]), 6: intervalSet([]) });
  if (isMalformed(pool)) throw new Error(pool.problem);
  const request = requestOf(asked);
  const findNetwork = () => findPodNetwork(request.pod, request.cluster, request.ifName);
  const last = judgePool(pool, { family: 4, request, findNetwork }).at(-1);
  return last?.outcome === 'objects' ? last.because : 'serves';
}
function cidr(text: string): Cidr {
  const read = parseCidr(text);
  if (read === undefined) throw new Error(text);
  return read;
}

describe('a pool bound to nodes', () => {
  it('D00011, D00012: serves the nodes that it names, and no other', () => {
    expect(verdictOf({ nodeName: ['n2', 'n1'] })).toBe('serves');
    expect(verdictOf({ nodeName: ['n2', 'n3'] })).toBe('serves others: node name "n1" is not in its nodeName (n2, n3)');
  });

  it('L00001, L00002: serves the nodes whose labels match', () => {
    const spec = { nodeAffinity: { matchLabels: { zone: 'a' } } };
    expect(verdictOf(spec, { node: { name: 'n1', labels: { zone: 'a' } } })).toBe('serves');
    expect(verdictOf(spec, { node: { name: 'n1', labels: { zone: 'b' } } })).toBe(
      'serves others: the labels of node "n1" do not match its nodeAffinity (zone=a)',
    );
    expect(verdictOf(spec, { node: { name: 'n1' } })).toBe(
      'has nodeAffinity, and the labels of node "n1" are not known',
    );
  });

  it.each([
    ['matches', { zone: 'a' }],
    ['does not match', { zone: 'b' }],
    ['cannot be read', { '-': 'b' }],
  ])('D00013: goes by the names alone when the selector %s', (_, matchLabels) => {
    const node = { name: 'n1', labels: { zone: 'a' } };
    expect(verdictOf({ nodeName: ['n1'], nodeAffinity: { matchLabels } }, { node })).toBe('serves');
    expect(verdictOf({ nodeName: ['n2'], nodeAffinity: { matchLabels } }, { node })).toContain('node name "n1"');
  });

  it('keeps its reason short, however many it names', () => {
    const nodeName = Array.from({ length: 500 }, (_, index) => `n${index + 2}`);
    expect(verdictOf({ nodeName })).toBe(
      'serves others: node name "n1" is not in its nodeName (n2, n3, n4, n5, n6, and 495 more)',
    );
  });
});

describe('a pool bound to namespaces', () => {
  it('D00014, D00015: serves the namespaces that it names, and no other', () => {
    expect(verdictOf({ namespaceName: ['pay'] })).toBe('serves');
    expect(verdictOf({ namespaceName: ['shop'] })).toBe(
      'serves others: namespace name "pay" is not in its namespaceName (shop)',
    );
  });

  it('L00003, L00004: serves the namespaces whose labels match', () => {
    const spec = { namespaceAffinity: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }] } };
    expect(verdictOf(spec, { namespace: { labels: { team: 'b' } } })).toBe('serves');
    expect(verdictOf(spec)).toBe(
      'serves others: the labels of namespace "pay" do not match its namespaceAffinity (team in (a,b))',
    );
  });

  it('D00016: goes by the names alone when both are there', () => {
    const namespaceAffinity = { matchLabels: { team: 'a' } };
    expect(verdictOf({ namespaceName: ['pay'], namespaceAffinity })).toBe('serves');
    const asked = { namespace: { labels: { team: 'a' } } };
    expect(verdictOf({ namespaceName: ['shop'], namespaceAffinity }, asked)).toContain('namespace name "pay"');
  });
});

describe('a pool bound to pods', () => {
  it('L00005, L00006: serves the pods whose labels match', () => {
    const spec = { podAffinity: { matchLabels: { app: 'api' } } };
    expect(verdictOf(spec, { pod: { labels: { app: 'api' } } })).toBe('serves');
    expect(verdictOf(spec, { pod: { labels: { app: 'web' } } })).toBe(
      'serves others: the labels of pod pay/api-0 do not match its podAffinity (app=api)',
    );
  });

  it('serves nobody while its selector cannot be read', () => {
    const podAffinity = { matchExpressions: [{ key: 'app', operator: 'Is', values: ['api'] }] };
    expect(verdictOf({ podAffinity })).toBe(
      'has an invalid podAffinity: operator "Is" is none of In, NotIn, Exists, DoesNotExist',
    );
  });
});

describe('an automatic pool', () => {
  const keys = applicationAffinityKeys;
  const spec = (extra: Partial<PoolObject['spec']> = {}): Partial<PoolObject['spec']> => ({
    podAffinity: {
      matchLabels: {
        [keys.group]: 'apps',
        [keys.version]: 'v1',
        [keys.kind]: 'Deployment',
        [keys.namespace]: 'pay',
        [keys.name]: 'api',
      },
    },
    ...extra,
  });
  const metadata = { labels: { [automaticPoolLabels.applicationName]: 'api' } };
  const controller: Application = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    namespace: 'pay',
    name: 'api',
    uid: 'u',
  };

  it("serves its application's pods, whatever their labels", () => {
    expect(verdictOf(spec(), { pod: { controller } }, metadata)).toBe('serves');
  });

  it('I00020: serves no pod of another application', () => {
    expect(verdictOf(spec(), { pod: { controller: { ...controller, name: 'web' } } }, metadata)).toBe(
      'is the automatic pool of Deployment pay/api, and the pod belongs to Deployment pay/web',
    );
    expect(verdictOf(spec(), {}, metadata)).toBe(
      "is the automatic pool of Deployment pay/api, and the pod's controller is unknown",
    );
  });

  it('is asked no further: networks and the PF were decided when it was made', () => {
    const extra = { multusName: ['netops/other'] };
    expect(verdictOf(spec(extra), { pod: { controller }, network: { matchMasterSubnet: true } }, metadata)).toBe(
      'serves',
    );
  });

  it('still keeps to its nodes and namespaces, and to being switched on', () => {
    expect(verdictOf(spec({ nodeName: ['n2'] }), { pod: { controller } }, metadata)).toContain('node name "n1"');
    expect(verdictOf(spec({ disable: true }), { pod: { controller } }, metadata)).toBe('is disabled');
  });
});

describe('a pool bound to networks', () => {
  const asked = (annotations: Readonly<Record<string, string>>, ifName: string, defaultNetwork?: string): Asked => ({
    pod: { annotations },
    ifName,
    cluster: defaultNetwork === undefined ? {} : { defaultNetwork },
  });

  it("D00009: serves the NICs of its networks; a name alone is one of Orbweaver's namespace", () => {
    const networks = { [networksAnnotation]: 'netops/vlan-80,netops/vlan-90@storage' };
    expect(verdictOf({ multusName: ['netops/vlan-80'] }, asked(networks, 'net1'))).toBe('serves');
    expect(verdictOf({ multusName: ['a', 'netops/vlan-90'] }, asked(networks, 'storage'))).toBe('serves');
    const ours = { [networksAnnotation]: 'orbweaver-system/vlan-80' };
    expect(verdictOf({ multusName: ['vlan-80'] }, asked(ours, 'net1'))).toBe('serves');
    expect(verdictOf({ multusName: ['vlan-80'] }, asked(networks, 'net1'))).toContain('"netops/vlan-80" of NIC net1');
  });

  it('knows the default network from the pod, else from the cluster', () => {
    const own = { [defaultNetworkAnnotation]: 'netops/vlan-71' };
    expect(verdictOf({ multusName: ['netops/vlan-71'] }, asked(own, 'eth0', 'netops/vlan-70'))).toBe('serves');
    expect(verdictOf({ multusName: ['netops/vlan-70'] }, asked({}, 'eth0', 'netops/vlan-70'))).toBe('serves');
  });

  it('D00010: says which network it is and which it serves', () => {
    expect(verdictOf({ multusName: ['netops/vlan-80'] }, asked({}, 'eth0', 'netops/vlan-70'))).toBe(
      'serves other networks: "netops/vlan-70" of NIC eth0 is not in its multusName (netops/vlan-80)',
    );
  });

  it('says what is missing when nobody can tell the network', () => {
    expect(verdictOf({ multusName: ['netops/vlan-80'] }, asked({}, 'eth0'))).toContain(
      'that of NIC eth0 is not known: neither annotation v1.multus-cni.io/default-network nor MULTUS_CLUSTER_NETWORK',
    );
    expect(verdictOf({ multusName: ['netops/vlan-80'] }, asked({}, 'net1'))).toContain(
      'Cannot tell which network of the pod NIC net1 is',
    );
    expect(verdictOf({ multusName: ['netops/vlan-80'] }, asked({ [networksAnnotation]: '[' }, 'net1'))).toContain(
      'it is not JSON',
    );
  });

  it('§12.3 #11: a pool that names no network needs none to be known, nor the annotations to be readable', () => {
    expect(verdictOf({}, asked({ [networksAnnotation]: '[', [defaultNetworkAnnotation]: '[' }, 'net1'))).toBe('serves');
  });
});

describe("a pool in the PF's network", () => {
  const network = { matchMasterSubnet: true };

  it('serves when an address of the PF is in its subnet', () => {
    expect(verdictOf({}, { network, masterAddresses: [cidr('192.168.1.1/24'), cidr('10.70.9.4/22')] })).toBe('serves');
  });

  it('does not serve when none is, or when nobody can tell', () => {
    expect(verdictOf({}, { network, masterAddresses: [cidr('192.168.1.1/24')] })).toBe(
      'has no address of the PF in its subnet 10.70.8.0/22, as match_master_subnet asks (192.168.1.1/24)',
    );
    expect(verdictOf({}, { network })).toContain('(it has none)');
    expect(verdictOf({}, { network, masterAddresses: { problem: 'eth9 has no PF' } })).toBe(
      'cannot be compared with the PF, as match_master_subnet asks: eth9 has no PF',
    );
  });

  it('serves anyway when nobody asks for it, or when it names this network', () => {
    expect(verdictOf({}, { masterAddresses: [] })).toBe('serves');
    const cluster = { defaultNetwork: 'netops/vlan-70' };
    expect(verdictOf({ multusName: ['netops/vlan-70'] }, { network, masterAddresses: [], cluster })).toBe('serves');
  });
});

it('asks in the order of the specification and stops at the first objection', () => {
  const pool = readPool(
    { metadata: { name: 'p' }, spec: { subnet: '10.70.8.0/22', namespaceName: ['shop'], multusName: ['x'] } },
    { 4: intervalSet([]), 6: intervalSet([]) },
  );
  if (isMalformed(pool)) throw new Error(pool.problem);
  const findNetwork = () => {
    throw new Error('The network is not looked for');
  };
  const verdicts = judgePool(pool, { family: 4, request: requestOf(), findNetwork });
  expect(verdicts.map(({ filter, outcome }) => `${filter} ${outcome}`)).toEqual([
    'terminating passes',
    'disabled passes',
    'family passes',
    'node passes',
    'namespace objects',
  ]);
});
