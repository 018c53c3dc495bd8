import { asIpCommand, type LinkOperation } from '../network/link-operation.ts';
import type { ObservedLink } from '../network/observed-namespace.ts';
import { kernelRefused } from './kernel-refused.ts';
import { deleteLink } from './link-message.ts';
import { NetlinkError } from './netlink-error.ts';
import { closing, openNodeNamespace } from './network-namespace.ts';
import { observeLink } from './observe.ts';
import { systemCalls } from './system-calls.ts';

/** Removing what is gone already is success, and is not counted. */
export function removeUnlessGone(operation: LinkOperation, netns: string | undefined, remove: () => void): boolean {
  try {
    remove();
    return true;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (error.code === 'ENODEV' || error.code === 'EADDRNOTAVAIL') return false;
    throw kernelRefused(operation, netns, error);
  }
}

/**
 * Removes a pair by its end on the node, for when the other one is not in sight: its namespace is hidden, or going and not gone.
 * Gives the ip(8) command; none when the node has no such link, or one that is not meant.
 */
export const removeNodeEnd = (
  hostNetns: string | undefined,
  ifName: string,
  isMeant: (link: ObservedLink) => boolean,
): string[] =>
  closing(openNodeNamespace(systemCalls, hostNetns), (namespace) =>
    closing(namespace.netlink(), (node) => {
      const link = observeLink(node, ifName);
      if (link === undefined || !isMeant(link)) return [];
      const operation = { op: 'delete-link', ifName } as const;
      const remove = (): void => node.change('RTM_DELLINK', deleteLink(link.ifIndex));
      return removeUnlessGone(operation, undefined, remove) ? [asIpCommand(operation, undefined)] : [];
    }),
  );
