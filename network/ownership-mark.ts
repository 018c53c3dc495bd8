/**
 * How the kernel's objects say that they are ours. Cleanup removes what is marked, and only that.
 *
 * A link carries its group from the moment it exists; the alias, which names the attachment, follows in a message of its
 * own, because the kernel silently drops IFLA_IFALIAS at creation. So a link with our group and no alias is one that we were
 * just making.
 */

/** IFLA_GROUP of every link that we make: "or" in ASCII. `ip link show group 28530` lists them. */
export const linkGroup = 0x6f72;

/**
 * rtm_protocol of every route that we make: "O" in ASCII, free in iproute2's rt_protos. From RTPROT_STATIC (4) up the kernel
 * does not interpret it (include/uapi/linux/rtnetlink.h). `ip route show proto 79` lists them.
 */
export const routeProtocol = 79;

/** Which attachment a link belongs to. */
export interface OwnershipMark {
  readonly containerID: string;
  /** Name inside the pod that was asked for; the mark still finds a link that was renamed since. */
  readonly ifName: string;
}

/** Longest alias that the kernel keeps: IFALIASZ (256) less the terminator, include/uapi/linux/if.h. */
export const maxAliasBytes = 255;

export const aliasOf = ({ containerID, ifName }: OwnershipMark): string => `orbweaver:${containerID}/${ifName}`;

/** Reads an alias that `aliasOf` wrote; undefined for every other. */
export function markOf(alias: string): OwnershipMark | undefined {
  const [, containerID, ifName] = /^orbweaver:([^/]+)\/([^/]+)$/.exec(alias) ?? [];
  return containerID === undefined || ifName === undefined ? undefined : { containerID, ifName };
}

/** Whether a link is the one of this attachment: named by its alias, or being made under that name. */
export const isMarked = (
  link: { readonly alias: string; readonly group: number; readonly ifName: string },
  mark: OwnershipMark,
): boolean =>
  link.alias === aliasOf(mark) || (link.alias === '' && link.group === linkGroup && link.ifName === mark.ifName);

interface MarkedLink {
  readonly alias: string;
  readonly group: number;
  readonly kind?: string;
}

/** Whether we made this link for an attachment, whichever, or were just making it. */
export const isOurs = ({ alias, group, kind }: MarkedLink): boolean =>
  markOf(alias) !== undefined || (alias === '' && group === linkGroup && kind !== undefined);

const sharedPrefix = 'orbweaver:shared/';

/**
 * Alias of a link that pods share and that we made: `orbweaver:shared/<name>/<ports>`. The ports are those of a bond that were up
 * before it took them: the kernel leaves a port down when its bond goes.
 */
export const sharedAliasOf = (ifName: string, portsUp: readonly string[]): string =>
  `${sharedPrefix}${ifName}/${portsUp.join(',')}`;

/** Whether we made this link of the node for pods to share, or were just making it. */
export const isOurShared = (link: MarkedLink): boolean =>
  link.alias.startsWith(sharedPrefix) ||
  (link.alias === '' && link.group === linkGroup && (link.kind === 'bond' || link.kind === 'vlan'));

/** The ports that an alias of `sharedAliasOf` remembers. */
export const portsUpOf = (alias: string): readonly string[] =>
  alias.startsWith(sharedPrefix) ? (alias.split('/')[2] ?? '').split(',').filter((name) => name !== '') : [];
