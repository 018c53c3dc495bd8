/**
 * A device of the node that is the pod's interface: lent to the pod, moved into its namespace under the interface's name, and
 * given back as it was. Unlike a `LinkConf`, nothing is made.
 */
export type DeviceConf = HostDeviceConf | VirtualFunctionConf | RdmaDeviceConf;

/** A link of the node, as it is. */
export interface HostDeviceConf {
  readonly kind: 'host-device';
  readonly select: DeviceSelector;
  /** Absent: as it is. */
  readonly mtuBytes?: number;
}

export type DeviceSelector =
  | { readonly by: 'name'; readonly ifName: string }
  /** Colon notation, lower case. */
  | { readonly by: 'mac'; readonly mac: string }
  | { readonly by: 'pci'; readonly pciAddress: string };

/** A virtual function of an SR-IOV NIC (PCI Express Base, chapter 9), with what its PF enforces. */
export interface VirtualFunctionConf {
  readonly kind: 'sriov';
  /** With domain, lower case, for example "0000:3b:02.1". */
  readonly pciAddress: string;
  /** What is asked for, and only that: the rest stays as it is. */
  readonly settings: VfSettings;
  /** Absent: as it is. */
  readonly mtuBytes?: number;
  /** Its link is InfiniBand (IPoIB) and its address a GUID. Absent: Ethernet. */
  readonly isInfiniBand?: true;
  /** Its RDMA device goes with it. Only while the node's RDMA is in exclusive mode. */
  readonly movesRdma: boolean;
}

/** The RDMA device of a PCI function, whose link another plugin of the chain moves. */
export interface RdmaDeviceConf {
  readonly kind: 'rdma';
  /** As above. */
  readonly pciAddress: string;
}

/** What a PF keeps and enforces for one of its VFs; a driver may know only some. include/uapi/linux/if_link.h, IFLA_VF_* */
export interface VfSettings {
  /** The address that the VF's driver finds; all zeros: it makes one up. */
  readonly mac?: string;
  /** GUIDs of an InfiniBand VF as a node and as a port, for example "02:00:00:00:00:00:00:2a"; all ones: none (`noGuid`). */
  readonly nodeGuid?: string;
  readonly portGuid?: string;
  readonly vlan?: VfVlan;
  readonly rate?: VfRate;
  readonly spoofCheck?: boolean;
  /** Promiscuous mode, any MAC, all multicast: what the VF itself may ask for. */
  readonly trust?: boolean;
  readonly linkState?: VfLinkState;
}

/** Firmware takes no zeros, which it shows of a VF that was never told one; with ones the VF has none either. */
export const noGuid = 'ff:ff:ff:ff:ff:ff:ff:ff';

/** The tag that the PF puts on and takes off; id 0 and priority 0: none. */
export interface VfVlan {
  readonly id: number;
  /** 802.1Q priority, 0 to 7. */
  readonly qos: number;
  readonly protocol: VfVlanProtocol;
}

/** Mb/s; 0: no limit. */
export interface VfRate {
  readonly minMbps: number;
  readonly maxMbps: number;
}

export const vfVlanProtocols = ['802.1Q', '802.1ad'] as const;
export type VfVlanProtocol = (typeof vfVlanProtocols)[number];

/** By number, as the kernel has them: IFLA_VF_LINK_STATE_*. */
export const vfLinkStates = ['auto', 'enable', 'disable'] as const;
export type VfLinkState = (typeof vfLinkStates)[number];

/** Which device an attachment has, and how it was before the first change: what giving it back restores. */
export interface DeviceLease {
  /** Absent for a link that is no PCI function's. */
  readonly pciAddress?: string;
  /** What drives the PCI function: it is given back to that one, also when a worker was killed between taking and giving. */
  readonly driver?: string;
  /** Absent when its driver makes no link, because it belongs to a program in the pod (vfio), and when only its RDMA device is lent. */
  readonly link?: LentLink;
  /** Of a VF, what its PF told. */
  readonly settings?: VfSettings;
  /** Names of its RDMA devices, where they go with it. */
  readonly rdmaDevices?: readonly string[];
}

export interface LentLink {
  readonly ifName: string;
  /** IFLA_INFO_KIND, for example "veth": such a link ends with a namespace that ends. Absent for hardware, which the node gets back. */
  readonly kind?: string;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly isUp: boolean;
  readonly alias: string;
}
