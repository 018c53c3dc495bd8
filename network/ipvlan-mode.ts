import type { Failure } from '../contracts/failures.ts';
import type { LinkConf } from '../contracts/pod-network.ts';

/**
 * Why an ipvlan may not be made beside others: its mode is that of all ipvlans of its parent, and the kernel would change theirs
 * with it (ipvlan_link_new(), drivers/net/ipvlan/ipvlan_main.c). `owner` says whose each of the others is.
 */
export function otherIpvlanMode(
  wanted: LinkConf,
  others: readonly { readonly link: LinkConf; readonly owner: string }[],
): Failure | undefined {
  if (wanted.kind !== 'ipvlan') return undefined;
  const { master, mode } = wanted;
  for (const { link, owner } of others) {
    if (link.kind !== 'ipvlan' || link.master !== master || link.mode === mode) continue;
    return {
      type: 'InvalidConfig',
      message: `Cannot make an ipvlan in mode ${mode} on "${master}": ${owner} is in mode ${link.mode} there, and all ipvlans of a link are in one mode`,
      remedy: 'Give the networks on this link the same mode, or one of them another link (a VLAN of it will do)',
    };
  }
  return undefined;
}
