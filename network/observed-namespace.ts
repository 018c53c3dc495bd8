import type { LinkShape } from '../contracts/pod-network.ts';
import type { BondMode, BondOptions } from '../contracts/shared-link.ts';

/** Links, addresses and routes of one network namespace, as the kernel lists them. */
export interface ObservedNamespace {
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
  /** Of the main table, less those that the kernel keeps for itself (multicast, link-local, cached). */
  readonly routes: readonly ObservedRoute[];
}

export interface ObservedLink {
  readonly ifIndex: number;
  readonly ifName: string;
  /** IFLA_INFO_KIND, for example "macvlan"; absent for hardware and the loopback. */
  readonly kind?: string;
  /** Colon notation; empty for a link without a hardware address. */
  readonly mac: string;
  readonly mtuBytes: number;
  /** What its driver takes at most; absent when it sets no limit. */
  readonly maxMtuBytes?: number;
  readonly isUp: boolean;
  readonly isLoopback: boolean;
  /** ARPHRD_ETHER: its frames are Ethernet's. */
  readonly isEthernet: boolean;
  /** ARPHRD_INFINIBAND: IPoIB (RFC 4391), whose hardware addresses have 20 bytes. Absent: it is not. */
  readonly isInfiniBand?: true;
  readonly group: number;
  readonly alias: string;
  /** Index of the link underneath, in the namespace where that one is. */
  readonly parentIndex?: number;
  /** Index of the bridge, bond, VRF… that this link is a port of. */
  readonly controllerIndex?: number;
  /** Of the PCI function whose link it is (Linux 5.14), for example "0000:3b:02.1". */
  readonly pciAddress?: string;
  /** There for the kinds that we make in a pod; absent for a VLAN of another protocol than 802.1Q. */
  readonly shape?: LinkShape;
  readonly bond?: ObservedBond;
}

export interface ObservedBond {
  readonly mode: BondMode;
  /** All that the kernel tells, less `primary` and `active_slave`: those are ports. */
  readonly options: BondOptions;
  readonly primaryIndex?: number;
}

export interface ObservedAddress {
  readonly ifIndex: number;
  readonly family: 4 | 6;
  /** With prefix length, as `formatPrefix` writes it. */
  readonly address: string;
  readonly isLinkLocal: boolean;
}

export interface ObservedRoute {
  readonly family: 4 | 6;
  /** As `formatPrefix` writes it: "0.0.0.0/0" or "::/0" for the default route. */
  readonly dst: string;
  readonly gateway?: string;
  /** Absent for a route of several hops or of none (unreachable…). */
  readonly ifIndex?: number;
  /** 1024 for an IPv6 route that was made without one. */
  readonly metric: number;
  readonly protocol: number;
}

/** The link that an attachment is to hang on, with what it is itself a port of. */
export interface ObservedParent {
  readonly link: ObservedLink;
  readonly controller?: Pick<ObservedLink, 'ifName' | 'kind'>;
}
