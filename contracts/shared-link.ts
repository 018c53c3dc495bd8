/** Links of the node that pods share: a bond, a VLAN on an interface or on a bond. Made on demand, removed with their last user. */
export type SharedLinkConf = BondConf | SharedVlanConf;

export interface BondConf {
  readonly kind: 'bond';
  /** At most 15 bytes, as every link's name. */
  readonly name: string;
  /** Interfaces of the node, two or more, in the order in which they were named. */
  readonly ports: readonly string[];
  readonly mode: BondMode;
  /** What was asked for, and only that; values as ip(8) prints them. */
  readonly options: BondOptions;
  /** Absent: the smallest of the ports'. */
  readonly mtuBytes?: number;
}

export interface SharedVlanConf {
  readonly kind: 'vlan';
  /** `<parent>.<VLAN id>` */
  readonly name: string;
  /** An interface of the node, or the bond before it in the list. */
  readonly parent: string;
  /** 1 to 4094: IEEE 802.1Q reserves 0 and 4095. */
  readonly vlanID: number;
  /** Absent: the parent's. */
  readonly mtuBytes?: number;
}

/** By number, as Spiderpool and the kernel have them: BOND_MODE_*, include/uapi/linux/if_bonding.h. */
export const bondModes = [
  'balance-rr',
  'active-backup',
  'balance-xor',
  'broadcast',
  '802.3ad',
  'balance-tlb',
  'balance-alb',
] as const;
export type BondMode = (typeof bondModes)[number];

/** The options of a bond by the kernel's names (Documentation/networking/bonding.rst). */
export const bondOptionNames = [
  'active_slave',
  'ad_actor_sys_prio',
  'ad_actor_system',
  'ad_select',
  'ad_user_port_key',
  'all_slaves_active',
  'arp_all_targets',
  'arp_interval',
  'arp_ip_target',
  'arp_validate',
  'downdelay',
  'fail_over_mac',
  'lacp_rate',
  'lp_interval',
  'miimon',
  'min_links',
  'num_peer_notif',
  'packets_per_slave',
  'peer_notif_delay',
  'primary',
  'primary_reselect',
  'resend_igmp',
  'tlb_dynamic_lb',
  'updelay',
  'use_carrier',
  'xmit_hash_policy',
] as const;
export type BondOptionName = (typeof bondOptionNames)[number];
export type BondOptions = Readonly<Partial<Record<BondOptionName, string>>>;
