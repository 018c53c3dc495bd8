import { formatMac, localMac } from '../local-mac.ts';

/** Names and numbers that users' scripts know (spec/connectivity.md §1.4, §1.5). */

/** The pod's end of the pair that ties an underlay pod to its node. */
export const vethInPod = 'veth0';

/** Name of the node's end. At most 15 bytes: the kernel's IFNAMSIZ (16) less the terminator. */
export const vethOnNode = (containerID: string): string => `veth${containerID.slice(0, 11)}`;

/** RT_TABLE_MAIN, include/uapi/linux/rtnetlink.h */
export const mainTable = 254;

/** The way back through the node: of marked replies in underlay mode, of the first interface in overlay mode. */
export const returnTable = 100;

/** Before every rule of the kernel's own but `local`. */
export const nodeRulePriority = 1000;
export const replyRulePriority = 1000;
/** Just before the kernel's rule for the main table (32766). */
export const sourceRulePriority = 32_765;

/** Where tables begin that no name has: beyond the numbers that names have, and by a number that the kernel gives once in a pod. */
const firstTableByIndex = 10_000;

/**
 * The table of one interface's routes. By the interface and not by how many were seen before it, so two never share one:
 *
 * | | underlay | overlay |
 * |---|---|---|
 * | first interface | 101 | 100 |
 * | netN (Multus' names) | 101 + N | 100 + N |
 * | any other name | 10000 + its index in the pod | the same |
 */
export function policyTable(
  mode: 'underlay' | 'overlay',
  nic: { readonly ifName: string; readonly ifIndex: number },
  firstNic: string,
): number {
  const base = mode === 'underlay' ? returnTable + 1 : returnTable;
  if (nic.ifName === firstNic) return base;
  const number = /^net([1-9]\d{0,2})$/.exec(nic.ifName)?.[1];
  return number === undefined ? firstTableByIndex + nic.ifIndex : base + Number(number);
}

/**
 * MACs for both ends of the pair, the same whenever they are asked for: given ones are left alone, where systemd
 * (MACAddressPolicy=persistent) replaces those that the kernel drew.
 */
export const vethMacs = (containerID: string): { readonly pod: string; readonly node: string } => ({
  pod: localMac(`${containerID}/pod`),
  node: localMac(`${containerID}/node`),
});

/** Two given bytes, then the last four of the address. */
export const prefixedMac = (prefix: string, address: Uint8Array): string => `${prefix}:${formatMac(address.slice(-4))}`;
