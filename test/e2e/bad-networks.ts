import { routesAnnotation } from '../../ipam/pod-routes.ts';

/** A network, or what its pod says of it, that cannot be made; listed in docs/reference/bad-input.md. */
export interface BadNetwork {
  readonly name: string;
  /** Keys over those of the stack's network. */
  readonly conf: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly type: string;
  readonly code: number;
  /** What could not be done, what was found, and the remedy. `CONTAINER` stands for the sandbox of `device owner`. */
  readonly message: string;
}

/** What the node has for them beside `underlay0`, which carries 1500 bytes. */
export const linksForBadNetworks = [
  'link add taken0 type veth peer name taken1',
  'link add other0 type bridge',
  'link set dev taken0 master other0',
  'link add spare0 type veth peer name spare1',
];
export const withoutLinksForBadNetworks = ['link del taken0', 'link del other0', 'link del spare0'];

/** Lends `spare0` to a pod, which is done before another one asks for it. */
export const lentDevice = { kind: 'host-device', master: undefined, mode: undefined, device: 'spare0' };

const bonded = (bond: object, ...master: readonly string[]) => ({ master, bond: { name: 'bond0', mode: 1, ...bond } });

export const badNetworks: readonly BadNetwork[] = [
  {
    name: 'a bond of one slave',
    conf: bonded({}, 'underlay0'),
    type: 'InvalidConfig',
    code: 7,
    message: 'Key "master" of the network configuration is ["underlay0"]. Allowed: two interfaces or more for a bond',
  },
  {
    name: 'a slave that is another one’s already',
    conf: bonded({}, 'taken0', 'taken1'),
    type: 'InvalidConfig',
    code: 7,
    message:
      'Cannot join "taken0" to bond "bond0": it is a port of bridge "other0". Take it out of that: ip link set dev taken0 nomaster',
  },
  {
    name: 'a slave that carries the node’s address',
    conf: bonded({}, 'eth0', 'taken1'),
    type: 'InvalidConfig',
    code: 7,
    message:
      'Cannot join "eth0" to bond "bond0": it carries 10.222.0.1/24, which would be cut off. Name an interface that the node itself does not use, or move the address: ip addr del 10.222.0.1/24 dev eth0',
  },
  {
    name: 'a slave that is not there',
    conf: bonded({}, 'taken1', 'eno9'),
    type: 'ParentLinkMissing',
    code: 7,
    message:
      'Cannot make bond "bond0" over "eno9": the node has no such link. Correct the name in the network configuration, or make that link on the node: ip link show',
  },
  {
    name: 'VLAN id 4095',
    conf: { vlanID: 4095 },
    type: 'InvalidConfig',
    code: 7,
    message: 'Key "vlanID" of the network configuration is 4095. Allowed: 1 to 4094, or 0 for untagged',
  },
  {
    name: 'a VLAN on a parent that is not there',
    conf: { master: ['eno9'], vlanID: 120 },
    type: 'ParentLinkMissing',
    code: 7,
    message:
      'Cannot make VLAN 120 on "eno9": the node has no such link. Correct the name in the network configuration, or make that link on the node: ip link show',
  },
  {
    name: 'an MTU above the parent’s',
    conf: { mtu: 9000 },
    type: 'InvalidConfig',
    code: 7,
    message:
      'Cannot make a macvlan on "underlay0": "underlay0" carries 1500 bytes and an MTU of 9000 is asked. Set `mtu` to at most 1500, or raise it on the node: ip link set dev underlay0 mtu 9000',
  },
  {
    name: 'an MTU above the parent’s, of a VLAN',
    conf: { vlanID: 120, mtu: 9000 },
    type: 'InvalidConfig',
    code: 7,
    message:
      'Cannot make "underlay0.120" with an MTU of 9000: "underlay0" carries 1500 bytes. Set `mtu` to at most 1500, or raise it on the node: ip link set dev underlay0 mtu 9000',
  },
  {
    name: 'a malformed option of a bond',
    conf: bonded({ options: 'miimon=fast' }, 'underlay0', 'taken1'),
    type: 'InvalidConfig',
    code: 7,
    message: 'Key "bond.options: miimon" of the network configuration is "fast". Allowed: 0 to 2147483647',
  },
  {
    name: 'a mode that no bond has',
    conf: bonded({ mode: 7 }, 'underlay0', 'taken1'),
    type: 'InvalidConfig',
    code: 7,
    message:
      'Key "bond.mode" of the network configuration is 7. Allowed: 0 (balance-rr), 1 (active-backup), 2 (balance-xor), 3 (broadcast), 4 (802.3ad), 5 (balance-tlb), 6 (balance-alb)',
  },
  {
    name: 'a VF that is not there',
    conf: { kind: 'sriov', master: undefined, mode: undefined, deviceID: '0000:ff:1f.7' },
    type: 'DeviceUnfit',
    code: 7,
    message:
      'Cannot lend VF 0000:ff:1f.7 to the pod: the node has no such PCI function. Nothing was changed. Look at the node: ls /sys/bus/pci/devices/0000:ff:1f.7',
  },
  {
    name: 'a device that the node uses itself',
    conf: { ...lentDevice, device: 'eth0' },
    type: 'DeviceUnfit',
    code: 7,
    message:
      'Cannot lend device "eth0" to the pod: "eth0" carries the node\'s address 10.222.0.1/24. Nothing was changed. Name a device that the node does not use itself',
  },
  {
    name: 'another pod’s device',
    conf: lentDevice,
    type: 'DeviceInUse',
    code: 11,
    message:
      'Cannot lend device "spare0" to the pod: interface eth0 of pod default/device-owner has it or hangs on it (sandbox CONTAINER). Wait for the DEL of that pod, which gives it back; if both pods are to run, give them different devices',
  },
  {
    name: 'a route of two families',
    conf: {},
    annotations: { [routesAnnotation]: '[{"dst": "10.64.0.0/10", "gw": "fd00:70::9"}]' },
    type: 'InvalidAnnotation',
    code: 7,
    message: `Cannot read pod annotation ipam.spidernet.io/routes: "dst" and "gw" of item 0 are of two families. Found: [{"dst": "10.64.0.0/10", "gw": "fd00:70::9"}]. Write it as in this example: ipam.spidernet.io/routes: '[{"dst": "10.64.0.0/10", "gw": "10.70.8.9"}]'`,
  },
  {
    name: 'a policy route of two families',
    conf: { coordinator: { policyRoutes: [{ dst: '10.64.0.0/10', gw: 'fd00:70::9' }] } },
    type: 'InvalidConfig',
    code: 7,
    message:
      'Key "policyRoutes[0].gw" of the coordinator\'s configuration is "fd00:70::9". Allowed: an address of the family of 10.64.0.0/10',
  },
];
