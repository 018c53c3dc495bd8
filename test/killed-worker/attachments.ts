import type { PoolObject } from '../../ipam/pool-snapshot.ts';

export const pools: readonly PoolObject[] = [
  { metadata: { name: 'v4' }, spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.99'], gateway: '10.70.8.1' } },
  {
    metadata: { name: 'v6' },
    spec: { subnet: 'fd00:70::/64', ips: ['fd00:70::20-fd00:70::99'], gateway: 'fd00:70::1' },
  },
  { metadata: { name: 'rail' }, spec: { subnet: '10.70.16.0/24', ips: ['10.70.16.20-10.70.16.99'] } },
];

/** A macvlan of both families on these links of the node, tied to it. */
export const underlay = (master: readonly string[], more: object = {}) => ({
  name: 'underlay',
  kind: 'macvlan',
  master,
  default_ipv4_ippool: ['v4'],
  default_ipv6_ippool: ['v6'],
  coordinator: { podMACPrefix: '0a:1b' },
  ...more,
});

/** A VF in a VLAN, with its RDMA device where there is one, tied to the node. */
export const rail = (pciAddress: string, rdmaIsolation: boolean) => ({
  name: 'rail0',
  kind: 'sriov',
  deviceID: pciAddress,
  vlanID: 100,
  trust: 'on',
  rdmaIsolation,
  default_ipv4_ippool: ['rail'],
  coordinator: {},
});
