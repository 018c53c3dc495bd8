import type { ObservedLink, ObservedNamespace, ObservedParent, ObservedRoute } from '../network/observed-namespace.ts';
import { dumpAddresses, readAddress } from './address-message.ts';
import { dumpLinks, getLink, readLink } from './link-message.ts';
import { NetlinkError } from './netlink-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { dumpMainRoutes, readMainRoute } from './route-message.ts';

export const observeLinks = (socket: NetlinkSocket): ObservedLink[] =>
  socket.dump('RTM_GETLINK', dumpLinks()).map(readLink);

export const observeNamespace = (socket: NetlinkSocket): ObservedNamespace => ({
  links: observeLinks(socket),
  addresses: socket.dump('RTM_GETADDR', dumpAddresses()).map(readAddress),
  routes: [...observeMainRoutes(socket, 4), ...observeMainRoutes(socket, 6)],
});

function observeMainRoutes(socket: NetlinkSocket, family: 4 | 6): ObservedRoute[] {
  try {
    return socket
      .dump('RTM_GETROUTE', dumpMainRoutes(family))
      .flatMap((message) => readMainRoute(message) ?? [])
      .filter((route) => route.family === family); // without IPv6 the kernel answers with what it has
  } catch (error) {
    // "FIB table does not exist": a namespace has a main table from its first route on.
    if (error instanceof NetlinkError && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** One link by name; undefined when there is none. */
export function observeLink(socket: NetlinkSocket, ifName: string): ObservedLink | undefined {
  try {
    return readLink(socket.get('RTM_GETLINK', getLink({ ifName })));
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

/** Asks for the two links in question only: a node may have thousands. */
export function observeParent(node: NetlinkSocket, master: string): ObservedParent | undefined {
  const link = observeLink(node, master);
  if (link === undefined) return undefined;
  if (link.controllerIndex === undefined) return { link };
  return { link, controller: readLink(node.get('RTM_GETLINK', getLink({ ifIndex: link.controllerIndex }))) };
}
