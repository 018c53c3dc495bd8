import { describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { ClusterState, NamespaceContents } from './cluster-state.ts';
import { violationsOf } from './invariants.ts';

const path = '/run/netns/one';
const address = '10.70.8.20/16';

const namespace = (over: Partial<NamespaceContents> = {}): NamespaceContents => ({
  path,
  links: [
    {
      name: 'eth0',
      alias: 'orbweaver:5bc0/eth0',
      mtuBytes: 1500,
      isUp: true,
      addresses: [address, 'fe80::1/64'],
    },
  ],
  routes: [],
  rules: [],
  ...over,
});

function claim({ phase = 'Bound', containerID = '5bc0', netns = path }: Record<string, string> = {}): IPClaim {
  const holder = {
    namespace: 'pay',
    pod: 'api-0',
    podUID: '9c1f',
    interface: 'eth0',
    network: 'underlay',
    containerID,
  };
  return {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name: '10.70.8.20' },
    spec: {
      address,
      pool: 'v4',
      phase: phase as IPClaim['spec']['phase'],
      holders: [{ ...holder, netns, netnsCookie: '1', node: 'node-a', machineID: 'm', bootID: 'b' }],
    },
  };
}

const cluster = (claims: readonly IPClaim[], ...namespaces: readonly NamespaceContents[]): ClusterState => ({
  claims,
  nodes: [{ name: 'node-a', namespaces, records: [], waiting: [] }],
});

describe('the invariants of a cluster at rest', () => {
  it('hold when every address has its claim and every claim its address', () => {
    expect(violationsOf(cluster([claim()], namespace()))).toEqual([]);
  });

  it('hold for an address that a migrating machine has on two nodes, and not for a third sandbox', () => {
    const [one] = claim().spec.holders;
    if (one === undefined) throw new Error('It has no holder');
    const two = '/run/netns/two';
    const shared = {
      ...claim(),
      spec: { ...claim().spec, holders: [one, { ...one, containerID: '77aa', netns: two }] },
    };
    const links = namespace().links.map((link) => ({ ...link, alias: 'orbweaver:77aa/eth0' }));
    expect(violationsOf(cluster([shared], namespace(), namespace({ path: two, links })))).toEqual([]);
    const third = namespace({ path: '/run/netns/three' });
    expect(violationsOf(cluster([shared], namespace(), namespace({ path: two, links }), third))).not.toEqual([]);
  });

  it('hold for an address that is held for a pod without a sandbox', () => {
    expect(violationsOf(cluster([claim({ phase: 'Held' })]))).toEqual([]);
  });

  it.each([
    [
      'an address is in two namespaces',
      cluster([claim()], namespace(), namespace({ path: '/run/netns/two' })),
      'one and',
    ],
    ['an address has no claim', cluster([], namespace()), 'has no Bound claim'],
    ['a claim is only held', cluster([claim({ phase: 'Held' })], namespace()), 'has no Bound claim'],
    ['a claim is of another namespace', cluster([claim({ netns: '/run/netns/x' })], namespace()), 'is claimed for'],
    [
      'a claim is of another sandbox',
      cluster([claim({ containerID: 'other' })], namespace()),
      'belongs to sandbox 5bc0',
    ],
    ['a claim has no sandbox', cluster([claim()]), 'no namespace has it'],
    ['a claim has a sandbox without the address', cluster([claim()], namespace({ links: [] })), 'no namespace has it'],
  ])('are broken when %s', (_, state, tells) => {
    expect(violationsOf(state).join('\n')).toContain(tells);
  });
});
