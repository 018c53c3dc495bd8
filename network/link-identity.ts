import { noGuid } from '../contracts/device.ts';
import type { ObservedLink } from './observed-namespace.ts';

/**
 * What of a link's hardware address is its own: a MAC. Of an IPoIB address (RFC 4391 §9.1.1) only the port GUID, its last eight bytes:
 * the queue pair before it is another one after each start of the driver.
 */
export function identityOf({ mac }: Pick<ObservedLink, 'mac'>): string {
  const bytes = mac.split(':');
  if (bytes.length !== ipoibAddressBytes) return mac;
  const guid = bytes.slice(-guidBytes).join(':');
  return /[^0:]/.test(guid) ? guid : noGuid;
}

const ipoibAddressBytes = 20;
const guidBytes = 8;
