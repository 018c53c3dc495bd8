import type { VfSettings } from '../contracts/device.ts';
import { ipInNamespace, shortName } from './link-operation.ts';
import type { Place } from './observed-device.ts';

/**
 * One change of a device that is lent. It has no inverse of its own: the lease tells how the device was, and `planReturn` plans the
 * way back from wherever it is.
 */
export type DeviceOperation =
  | SetVf
  | Rebind
  | { readonly op: 'move-in' | 'move-out'; readonly ifName: string; readonly name: string }
  | { readonly op: 'set-name'; readonly place: Place; readonly ifName: string; readonly name: string }
  | { readonly op: 'set-alias'; readonly place: Place; readonly ifName: string; readonly alias: string }
  | { readonly op: 'set-mtu'; readonly place: Place; readonly ifName: string; readonly mtuBytes: number }
  | { readonly op: 'set-mac'; readonly place: Place; readonly ifName: string; readonly mac: string }
  | { readonly op: 'set-up' | 'set-down'; readonly place: Place; readonly ifName: string }
  | { readonly op: 'move-rdma-in' | 'move-rdma-out'; readonly device: string };

/** One setting: a driver that refuses the second of two would leave the first. */
export interface SetVf {
  readonly op: 'set-vf';
  readonly pf: string;
  readonly vfIndex: number;
  readonly settings: VfSettings;
}

/**
 * Takes a function from its driver and gives it back: only so does an address that the PF gave a VF reach its link (igbvf). What
 * link it then has, and under which name, is seen only afterwards, so nothing follows in the same plan.
 */
export interface Rebind {
  readonly op: 'rebind';
  readonly pciAddress: string;
  readonly driver: string;
}

/** In the order and the form in which an operator would type it on the node; `netns` is the path of the pod's namespace. */
export const asDeviceCommands = (operations: readonly DeviceOperation[], netns: string): string[] =>
  operations.map((operation) => asDeviceCommand(operation, netns));

export function asDeviceCommand(operation: DeviceOperation, netns: string): string {
  const inPod = ipInNamespace(netns);
  const at = (place: Place): string => (place === 'pod' ? inPod : 'ip');
  switch (operation.op) {
    case 'set-vf':
      return `ip link set dev ${operation.pf} vf ${operation.vfIndex} ${asVfArguments(operation.settings)}`;
    case 'rebind': {
      const { pciAddress, driver } = operation;
      const path = `/sys/bus/pci/drivers/${driver}`;
      return `echo ${pciAddress} >${path}/unbind && echo ${pciAddress} >${path}/bind`;
    }
    case 'move-in':
      return `ip link set dev ${operation.ifName} netns ${shortName(netns) ?? netns} name ${operation.name}`;
    case 'move-out':
      return `${inPod} link set dev ${operation.ifName} netns 1 name ${operation.name}`;
    case 'set-name':
      return `${at(operation.place)} link set dev ${operation.ifName} name ${operation.name}`;
    case 'set-alias':
      return `${at(operation.place)} link set dev ${operation.ifName} alias ${operation.alias === '' ? "''" : operation.alias}`;
    case 'set-mtu':
      return `${at(operation.place)} link set dev ${operation.ifName} mtu ${operation.mtuBytes}`;
    case 'set-mac':
      return `${at(operation.place)} link set dev ${operation.ifName} address ${operation.mac}`;
    case 'set-up':
    case 'set-down':
      return `${at(operation.place)} link set dev ${operation.ifName} ${operation.op === 'set-up' ? 'up' : 'down'}`;
    case 'move-rdma-in':
      return `rdma dev set ${operation.device} netns ${shortName(netns) ?? netns}`;
    case 'move-rdma-out':
      return `nsenter --net=${netns} rdma dev set ${operation.device} netns /proc/1/ns/net`;
    default:
      return operation satisfies never;
  }
}

/** "vlan 100 qos 5", as ip(8) takes it after `vf INDEX`. */
export function asVfArguments(settings: VfSettings): string {
  const { mac, nodeGuid, portGuid, vlan, rate, spoofCheck, trust, linkState } = settings;
  const onOff = (value: boolean): string => (value ? 'on' : 'off');
  return [
    ...(mac === undefined ? [] : [`mac ${mac}`]),
    ...(nodeGuid === undefined ? [] : [`node_guid ${nodeGuid}`]),
    ...(portGuid === undefined ? [] : [`port_guid ${portGuid}`]),
    ...(vlan === undefined ? [] : [`vlan ${vlan.id} qos ${vlan.qos}`]),
    ...(vlan?.protocol === '802.1ad' ? ['proto 802.1ad'] : []),
    ...(rate === undefined ? [] : [`max_tx_rate ${rate.maxMbps} min_tx_rate ${rate.minMbps}`]),
    ...(spoofCheck === undefined ? [] : [`spoofchk ${onOff(spoofCheck)}`]),
    ...(trust === undefined ? [] : [`trust ${onOff(trust)}`]),
    ...(linkState === undefined ? [] : [`state ${linkState}`]),
  ].join(' ');
}
