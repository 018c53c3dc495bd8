/**
 * Replies leave through the veth pair when their connection came in there: a client outside that was let in by the node
 * (externalTrafficPolicy Local) must get its answer from the node, and the pod's default route would send it past it.
 *
 * The connection is marked when it begins, and so is every packet of it, in both directions: on the way in for the strict
 * check of sources, on the way out for the rule that looks into table 100.
 */
export const replyMark = 0x1;

/** Name of the nftables table of the inet family in the pod: both families in one, and gone in one step. */
export const replyMarkTable = 'orbweaver';

/** Priority of iptables' mangle table: before the destination is rewritten and before routing. NF_IP_PRI_MANGLE, include/uapi/linux/netfilter_ipv4.h */
export const manglePriority = -150;

/** The table as nft(8) takes it; `kernel/nftables-message.ts` says the same in netlink. */
export const replyMarkRules = (ifName: string): string[] => [
  `create table inet ${replyMarkTable}`,
  `add chain inet ${replyMarkTable} prerouting { type filter hook prerouting priority mangle; }`,
  `add rule inet ${replyMarkTable} prerouting iifname "${ifName}" ct state new ct mark set ${hex(replyMark)}`,
  `add rule inet ${replyMarkTable} prerouting iifname "${ifName}" ct mark ${hex(replyMark)} meta mark set ${hex(replyMark)}`,
  `add chain inet ${replyMarkTable} output { type route hook output priority mangle; }`,
  `add rule inet ${replyMarkTable} output ct mark ${hex(replyMark)} meta mark set ${hex(replyMark)}`,
];

const hex = (mark: number): string => `0x${mark.toString(16)}`;
