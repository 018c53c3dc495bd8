import type { Attachment, PodIdentity } from './attachment.ts';
import type { CniResult } from './cni.ts';
import type { NetworkCoordination } from './coordination.ts';
import type { DeviceConf } from './device.ts';
import type { Failure } from './failures.ts';
import type { ProbeConf } from './probing.ts';
import type { SharedLinkConf } from './shared-link.ts';

/** Name of the workflow that owns one sandbox's network, and of its messages. */
export const podNetworkMessages = {
  workflow: 'podNetwork',
  add: 'add',
  detach: 'detach',
  describe: 'describe',
} as const;

/** One ADD: the argument of `podNetwork` and of its update `add`. Everything in it was checked when the request arrived. */
export interface AddRequest {
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
  readonly node: string;
  /** Path of the sandbox's network namespace, proven to be one. */
  readonly netns: string;
  /** The kernel's name of that namespace until reboot (SO_NETNS_COOKIE, decimal); a path can be reused, a cookie cannot. */
  readonly netnsCookie: string;
  /** Names the call over reconnections of its caller; 32 hexadecimal digits. */
  readonly nonce: string;
  /** Unix time of arrival: "exhausted" may only be said from a list that began later. */
  readonly arrivedAtMs: number;
  readonly network: NetworkConf;
  /** Exact addresses that the call itself asks for; absent: it asks for none. */
  readonly wishes?: readonly AddressWish[];
}

/** Exact addresses as one source asks for them: texts, not looked at yet. */
export interface AddressWish {
  /** As a message names it, for example "IP of CNI_ARGS". */
  readonly source: string;
  /** With or without prefix length. */
  readonly ips: readonly string[];
}

/** What the network configuration asks for, parsed and with defaults filled in. */
export interface NetworkConf {
  /**
   * `interface`: we make the pod's interface, everything in one call. `addresses`: another plugin makes it, we are its IPAM.
   * `links`: only links of the node, on which another plugin then makes it. `rdma`: only the RDMA device of an interface that is
   * there. `coordination`: only what ties such a one to its node.
   */
  readonly provides: 'interface' | 'addresses' | 'links' | 'rdma' | 'coordination';
  /** Present when we make the interface. */
  readonly link?: LinkConf;
  /** Instead of `link`: the pod's interface is a device of the node, or its RDMA device is. */
  readonly device?: DeviceConf;
  /** Links of the node that must be there first, each on those before it. Absent: none. */
  readonly shared?: readonly SharedLinkConf[];
  /** The interface is tied to its node and to the pod's other interfaces. Absent: it is not. */
  readonly coordination?: NetworkCoordination;
  readonly defaultIPv4Pools: readonly string[];
  readonly defaultIPv6Pools: readonly string[];
  /** No default route through this interface. */
  readonly cleanGateway: boolean;
  /** Only pools in whose subnet the PF behind the interface has an address. For SR-IOV. */
  readonly matchMasterSubnet?: boolean;
  /** What makes the interface, as the configuration names it, for a message; there with `matchMasterSubnet`. */
  readonly madeBy?: string;
  /** What is asked of the network before an address is configured; absent: what the cluster says. */
  readonly probes?: ProbeConf;
}

/** The interface that we make in the pod, on a link of the node. */
export type LinkConf = LinkShape & {
  /** Name of the parent on the node. */
  readonly master: string;
  /** Absent: the parent's. */
  readonly mtuBytes?: number;
};

/** What kind of interface, by the kernel's name, with what only that kind has. */
export type LinkShape =
  | { readonly kind: 'macvlan'; readonly mode: MacvlanMode }
  | { readonly kind: 'ipvlan'; readonly mode: IpvlanMode }
  /** 1 to 4094: IEEE 802.1Q reserves 0 and 4095. The kernel has one of each on a parent, so one pod of a node has it. */
  | { readonly kind: 'vlan'; readonly vlanID: number };

export const macvlanModes = ['bridge', 'private', 'vepa', 'passthru'] as const;
export type MacvlanMode = (typeof macvlanModes)[number];

/** All ipvlans of one parent are in the same mode: struct ipvl_port, drivers/net/ipvlan/ipvlan.h. */
export const ipvlanModes = ['l2', 'l3', 'l3s'] as const;
export type IpvlanMode = (typeof ipvlanModes)[number];

/** One DEL, or the undo of one failed ADD: identity only, so it can be made from a record, a mark or a repeated call. */
export interface DetachRequest {
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
  readonly nonce: string;
  /** CNI_NETNS of the call, where it came with one; the attachment's record knows better. */
  readonly netns?: string;
  /** `failed-add`: the sandbox never ran. `detach`: the runtime took it down. `proven-gone`: found without a call, with proof. */
  readonly reason: 'failed-add' | 'detach' | 'proven-gone';
}

/** An address that is ours for this attachment: a claim with this container ID in it was written. */
export interface ClaimedAddress {
  readonly family: 4 | 6;
  /** With the pool's prefix length, for example "10.70.8.20/22". */
  readonly address: string;
  readonly pool: string;
  readonly gateway?: string;
  /** Routes of the pool, and the default route unless cleaned. */
  readonly routes: readonly { readonly dst: string; readonly gw: string }[];
}

/** What `describe` answers, what current details print, and what `orb explain` shows first. */
export interface PodNetworkState {
  readonly pod: PodIdentity;
  readonly node: string;
  readonly containerID: string;
  readonly interfaces: readonly InterfaceState[];
}

export interface InterfaceState {
  readonly network: string;
  readonly ifName: string;
  readonly kind: Attachment['kind'];
  readonly phase: InterfacePhase;
  readonly addresses: readonly ClaimedAddress[];
  readonly result?: CniResult;
  readonly failure?: Failure;
}

export type InterfacePhase = 'Attaching' | 'Attached' | 'Unwinding' | 'Failed' | 'Detaching' | 'UnwindStuck';
