import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { defaultNetworkAnnotation, findPodNetwork, networksAnnotation, readPodNetworks } from './pod-networks.ts';

const cluster = { namespace: 'orbweaver-system' };
const podWith = (annotations: Readonly<Record<string, string>>) => ({ namespace: 'pay', annotations });
const networksOf = (text: string) => {
  const reading = readPodNetworks(podWith({ [networksAnnotation]: text }), cluster);
  if (reading.outcome === 'refused') throw new Error(reading.failure.message);
  return reading.networks.slice(1);
};
function defaultOf(text: string | undefined, settings: { defaultNetwork?: string } = {}) {
  const annotations = text === undefined ? {} : { [defaultNetworkAnnotation]: text };
  const reading = readPodNetworks(podWith(annotations), { ...cluster, ...settings });
  if (reading.outcome === 'refused') throw new Error(reading.failure.message);
  return reading.networks[0];
}
const problemOf = (annotation: string, text: string): string => {
  const reading = readPodNetworks(podWith({ [annotation]: text }), cluster);
  return reading.outcome === 'refused' ? reading.failure.message : 'It was read';
};

describe('the networks of a pod', () => {
  it('are named net1, net2 … by place, unless they say how', () => {
    expect(networksOf('vlan-80, netops/vlan-90@storage ,netops/vlan-90')).toEqual([
      { index: 1, ifName: 'net1', namespace: 'pay', name: 'vlan-80' },
      { index: 2, ifName: 'storage', namespace: 'netops', name: 'vlan-90' },
      { index: 3, ifName: 'net3', namespace: 'netops', name: 'vlan-90' },
    ]);
  });

  it.each([
    ['compact', '[{"name":"vlan-80"},{"name":"vlan-90","namespace":"netops","interface":"storage"}]'],
    [
      'pretty-printed',
      '[\n  {\n    "name": "vlan-80"\n  },\n  {\n    "name": "vlan-90",\n    "namespace": "netops",\n    "interface": "storage"\n  }\n]',
    ],
    [
      'as old versions write it',
      '[{"Name":"vlan-80"},{"name":"vlan-90","namespace":"netops","interfaceRequest":"storage"}]',
    ],
  ])('are read from JSON, %s', (_, text) => {
    expect(networksOf(text)).toEqual([
      { index: 1, ifName: 'net1', namespace: 'pay', name: 'vlan-80' },
      { index: 2, ifName: 'storage', namespace: 'netops', name: 'vlan-90' },
    ]);
  });

  it('hold the exact addresses and the claim that they ask for', () => {
    const text =
      '[{"name":"vlan-80","ips":["10.70.8.20/22","fd70::20"],"mac":"02:00:00:00:00:01","cni-args":{"a":1}},{"name":"vlan-90","ipam-claim-reference":"api"}]';
    expect(networksOf(text)).toEqual([
      { index: 1, ifName: 'net1', namespace: 'pay', name: 'vlan-80', ips: ['10.70.8.20/22', 'fd70::20'] },
      { index: 2, ifName: 'net2', namespace: 'pay', name: 'vlan-90', ipamClaimReference: 'api' },
    ]);
  });

  it('begin with the default one: the pod names it, or the cluster, or nobody', () => {
    expect(defaultOf(undefined)).toEqual({ index: 0, ifName: 'eth0' });
    expect(defaultOf(undefined, { defaultNetwork: 'netops/vlan-70' })).toEqual({
      index: 0,
      ifName: 'eth0',
      namespace: 'netops',
      name: 'vlan-70',
    });
    expect(defaultOf('infra/vlan-71', { defaultNetwork: 'netops/vlan-70' })).toMatchObject({
      namespace: 'infra',
      name: 'vlan-71',
    });
    expect(defaultOf('[{"name":"vlan-71","namespace":"infra"}]')).toMatchObject({
      namespace: 'infra',
      name: 'vlan-71',
    });
  });

  it("look for a default network without namespace where Multus has its own, and not in the pod's", () => {
    expect(defaultOf('vlan-71', { defaultNetwork: 'netops/vlan-70' })).toMatchObject({ namespace: 'netops' });
    expect(defaultOf('vlan-71')).toMatchObject({ namespace: 'orbweaver-system' });
  });

  it.each([
    ['', 'it is empty'],
    ['a/b/c', '"a/b/c" is not [namespace/]name[@interface]'],
    ['vlan-80@a@b', '"vlan-80@a@b" is not [namespace/]name[@interface]'],
    ['vlan-80,,vlan-90', '"" is not [namespace/]name[@interface]'],
    ['Vlan', '"Vlan" is not [namespace/]name[@interface]'],
    ['[{"name":"a"}', 'it is not JSON'],
    ['{"name":"a"}', 'it is not a list'],
    ['["a"]', 'item 0 is not an object'],
    ['[{"namespace":"a"}]', 'item 0 has no name'],
    ['[{"name":"a"},{"name":"b","interface":7}]', '"interface" of item 1 is not a text'],
    ['[{"name":"a","namespace":[]}]', '"namespace" of item 0 is not a text'],
    ['[{"name":"a","ips":"10.70.8.20"}]', '"ips" of item 0 is not a list of addresses'],
    ['[{"name":"a","ipam-claim-reference":1}]', '"ipam-claim-reference" of item 0 is not a text'],
  ])('are refused where Multus would not read %j: %s', (text, problem) => {
    expect(problemOf(networksAnnotation, text)).toContain(`${networksAnnotation}: ${problem}. Found: `);
  });

  it('have one default network', () => {
    expect(problemOf(defaultNetworkAnnotation, 'a,b')).toContain('it names more than one network');
  });

  it('are found by the name of the NIC', () => {
    const pod = podWith({ [networksAnnotation]: 'vlan-80,netops/vlan-90@storage' });
    expect(findPodNetwork(pod, cluster, 'eth0')).toEqual({ outcome: 'found', network: { index: 0, ifName: 'eth0' } });
    expect(findPodNetwork(pod, cluster, 'storage')).toMatchObject({ network: { index: 2, name: 'vlan-90' } });
    expect(findPodNetwork(pod, cluster, 'net2')).toMatchObject({
      outcome: 'refused',
      failure: {
        message:
          'Cannot tell which network of the pod NIC net2 is: k8s.v1.cni.cncf.io/networks gives eth0, net1, storage',
      },
    });
  });

  it('are read or refused in one sentence, whatever the text', () => {
    const element = fc.record(
      { name: fc.jsonValue(), namespace: fc.jsonValue(), interface: fc.jsonValue(), ips: fc.jsonValue() },
      { requiredKeys: ['name'] },
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.array(element).map((list) => JSON.stringify(list)),
      fc.string({ unit: fc.constantFrom('a', '/', '@', ',', ' ', '-') }),
    );
    fc.assert(
      fc.property(text, text, (networks, defaultNetwork) => {
        const annotations = { [networksAnnotation]: networks, [defaultNetworkAnnotation]: defaultNetwork };
        const reading = readPodNetworks(podWith(annotations), cluster);
        if (reading.outcome === 'networks') reading.networks.forEach(({ index }, at) => expect(index).toBe(at));
        else expect(reading.failure.message).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});
