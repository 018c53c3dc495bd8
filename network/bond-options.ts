import { type BondOptionName, type BondOptions, bondOptionNames } from '../contracts/shared-link.ts';

/** What values an option takes. Numbers by their width in the kernel's attribute; words by the number that the kernel gives them. */
export type BondOptionType =
  | { readonly is: 'number'; readonly bits: 8 | 16 | 32; readonly most?: number }
  | { readonly is: 'word'; readonly words: readonly string[]; readonly bits: 8 | 32 }
  | { readonly is: 'mac' }
  | { readonly is: 'port' }
  | { readonly is: 'addresses' };

const number = (bits: 8 | 16 | 32, most?: number): BondOptionType => ({
  is: 'number',
  bits,
  ...(most === undefined ? {} : { most }),
});
const words = (bits: 8 | 32, ...list: readonly string[]): BondOptionType => ({ is: 'word', words: list, bits });

/** bond_opts of drivers/net/bonding/bond_options.c, bond_policy of bond_netlink.c in the same folder. */
export const bondOptionTypes: Readonly<Record<BondOptionName, BondOptionType>> = {
  active_slave: { is: 'port' },
  ad_actor_sys_prio: number(16),
  ad_actor_system: { is: 'mac' },
  ad_select: words(8, 'stable', 'bandwidth', 'count'),
  ad_user_port_key: number(16, 1023),
  all_slaves_active: number(8, 1),
  arp_all_targets: words(32, 'any', 'all'),
  arp_interval: number(32, 0x7fffffff),
  arp_ip_target: { is: 'addresses' },
  arp_validate: words(32, 'none', 'active', 'backup', 'all', 'filter', 'filter_active', 'filter_backup'),
  downdelay: number(32, 0x7fffffff),
  fail_over_mac: words(8, 'none', 'active', 'follow'),
  lacp_rate: words(8, 'slow', 'fast'),
  lp_interval: number(32, 0x7fffffff),
  miimon: number(32, 0x7fffffff),
  min_links: number(32, 0x7fffffff),
  num_peer_notif: number(8),
  packets_per_slave: number(32, 65_535),
  peer_notif_delay: number(32, 300_000),
  primary: { is: 'port' },
  primary_reselect: words(8, 'always', 'better', 'failure'),
  resend_igmp: number(32, 255),
  tlb_dynamic_lb: number(8, 1),
  updelay: number(32, 0x7fffffff),
  use_carrier: number(8, 1),
  xmit_hash_policy: words(8, 'layer2', 'layer3+4', 'layer2+3', 'encap2+3', 'encap3+4', 'vlan+srcmac'),
};

/** Where ip(8) has a word of its own: iproute2, ip/iplink_bond.c. */
const ipNames: Partial<Record<BondOptionName, string>> = {
  num_peer_notif: 'num_grat_arp',
  peer_notif_delay: 'peer_notify_delay',
};

/** As ip(8) takes them, each with a blank before it, in one order whatever was asked first. */
export const asIpBondOptions = (options: BondOptions): string =>
  bondOptionNames
    .flatMap((name) => (options[name] === undefined ? [] : [` ${ipNames[name] ?? name} ${options[name]}`]))
    .join('');
