import { describe, expect, it } from '@jest/globals';
import { nicIdentities } from './nic-identities.ts';
import { identityText } from './sticky-identity.ts';

const cluster = { namespace: 'orbweaver-system', stickyStatefulSets: true, stickyVirtualMachines: true };
const controller = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  name: 'vm-1',
  uid: 'v',
  controller: true,
};
const networks = {
  'v1.multus-cni.io/default-network': '[{"name": "underlay", "ipam-claim-reference": "first"}]',
  'k8s.v1.cni.cncf.io/networks': '[{"name": "vlan", "ipam-claim-reference": "second"}, {"name": "vlan"}]',
};
const told = (ifName: string, annotations: Record<string, string>, ownerReferences = [controller]): readonly string[] =>
  nicIdentities({ namespace: 'pay', name: 'x', ownerReferences, annotations }, ifName, cluster).map(identityText);

describe('the addresses of a NIC stick to', () => {
  it.each([
    ['eth0', 'IPAMClaim/pay/first'],
    ['net1', 'IPAMClaim/pay/second'],
  ])('the IPAMClaim that its own network names: %s to %s, and what the machine has already stays', (ifName, claim) => {
    expect(told(ifName, networks)).toEqual([claim, 'VirtualMachineInstance/pay/vm-1']);
    expect(told(ifName, networks, [])).toEqual([claim]);
  });

  it('what all of the pod’s do, where its network names none', () => {
    expect(told('net2', networks)).toEqual(['VirtualMachineInstance/pay/vm-1']);
    expect(told('net2', networks, [])).toEqual([]);
    expect(told('net1', {}, [])).toEqual([]);
  });

  it('no IPAMClaim that Multus cannot read', () => {
    expect(told('net1', { 'k8s.v1.cni.cncf.io/networks': '[{"ipam-claim-reference": "second"}' }, [])).toEqual([]);
  });
});
