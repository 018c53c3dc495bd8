import { formatAddress, fromClaimName } from '../ipam/address.ts';
import type { TakenAddress } from '../ipam/admission/world.ts';
import type { ApiClient } from './api-client.ts';
import { deadlineIn } from './persist.ts';
import { listPoolClaims } from './pool-claims.ts';

const readMs = 5000;

/** Claims of which nobody uses the address any more. */
const unused = new Set(['Cooling', 'Conflicted']);

/** The addresses of a pool that somebody has, from a list of its claims that begins now. */
export async function takenAddresses(api: ApiClient, pool: string): Promise<readonly TakenAddress[]> {
  const rows = await listPoolClaims(api, pool, deadlineIn(readMs));
  return rows.flatMap((row) => {
    const address = fromClaimName(row['Name'] ?? '');
    if (address === undefined || unused.has(row['Phase'] ?? '')) return [];
    const holder = row['Identity'] || `pod ${row['Namespace'] ?? ''}/${row['Pod'] ?? ''}`;
    return [{ address: formatAddress(address), holder }];
  });
}
