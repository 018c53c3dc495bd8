import { parseAddress } from '../network/ip-prefix.ts';
import { arpAnnouncement } from './arp-frame.ts';
import { linkLayerAddress } from './link-layer-address.ts';
import { neighbourAdvertisement } from './ndp-frame.ts';
import { AF_PACKET, SOCK_RAW } from './netlink-constants.ts';
import type { NetworkNamespace } from './network-namespace.ts';
import type { SystemCalls } from './system-calls.ts';

/**
 * Tells the neighbours of a link which MAC its addresses have now. arp_notify and ndisc_notify would do so only when a link
 * comes up or changes its MAC (ip-sysctl.rst), which is before the addresses are there.
 *
 * Closing a packet socket waits for a grace period of the kernel, about 15 ms, so this runs in a thread of its own.
 */
export function announceAddresses(
  calls: SystemCalls,
  namespace: NetworkNamespace,
  link: { readonly ifIndex: number; readonly mac: string; readonly addresses: readonly string[] },
): void {
  const mac = Buffer.from(link.mac.replaceAll(':', ''), 'hex');
  const socket = namespace.socket(AF_PACKET, SOCK_RAW, 0); // protocol 0: it receives nothing
  try {
    for (const address of link.addresses.map((text) => parseAddress(text.replace(/\/.*/, '')))) {
      const frame = address.length === 4 ? arpAnnouncement(mac, address) : neighbourAdvertisement(mac, address);
      calls.sendto(socket, frame, linkLayerAddress(link.ifIndex, frame));
    }
  } finally {
    calls.close(socket);
  }
}
