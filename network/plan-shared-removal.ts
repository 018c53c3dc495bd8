import type { LinkOperation } from './link-operation.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { isOurShared, portsUpOf } from './ownership-mark.ts';
import { type ObservedNode, upperOf } from './plan-shared-links.ts';

export type SharedRemoval =
  | { readonly outcome: 'remove'; readonly operations: readonly LinkOperation[] }
  /** Gone already, or somebody else's. */
  | { readonly outcome: 'nothing' }
  /** Ours, and somebody else has built on it since. */
  | { readonly outcome: 'kept'; readonly why: string };

/**
 * Plans to take away a shared link that no attachment uses any more, if we made it. A bond's ports that were up before are let go
 * and go up first: only the bond says which they are, so a worker that is killed on the way leaves that to the next one.
 */
export function planSharedRemoval(node: ObservedNode, name: string): SharedRemoval {
  const link = node.links.find(({ ifName }) => ifName === name);
  if (link === undefined || !isOurShared(link)) return { outcome: 'nothing' };
  const why = builtOn(node, link);
  if (why !== undefined) return { outcome: 'kept', why };
  // Its own ports, and what a worker that was killed had just set down for it.
  const wereUp = portsUpOf(link.alias).flatMap((port): LinkOperation[] => {
    const found = node.links.find(({ ifName }) => ifName === port);
    if (found?.controllerIndex === link.ifIndex)
      return [
        { op: 'remove-port', ifName: port, controller: name },
        { op: 'set-up', ifName: port },
      ];
    return found?.controllerIndex === undefined && found?.isUp === false ? [{ op: 'set-up', ifName: port }] : [];
  });
  return { outcome: 'remove', operations: [...wereUp, { op: 'delete-link', ifName: name }] };
}

function builtOn({ links, addresses }: ObservedNode, link: ObservedLink): string | undefined {
  const upper = upperOf(links, link);
  if (upper !== undefined) return `${upper.kind} "${upper.ifName}" hangs on it`;
  const controller = links.find(({ ifIndex }) => ifIndex === link.controllerIndex);
  if (controller !== undefined) return `it is a port of ${controller.kind ?? 'link'} "${controller.ifName}"`;
  const address = addresses.find(({ ifIndex, isLinkLocal }) => ifIndex === link.ifIndex && !isLinkLocal);
  return address && `it carries ${address.address}`;
}
