import { ipClaimLabels } from '../contracts/ip-claim.ts';
import { formatAddress, fromClaimName } from '../ipam/address.ts';
import type { TakenAddress } from '../ipam/admission/world.ts';
import type { ApiClient } from './api-client.ts';
import { labelHash } from './label-hash.ts';
import { listTable } from './list.ts';
import { deadlineIn, persist } from './persist.ts';

const collection = '/apis/orbweaver.io/v1alpha1/ipclaims';
const readMs = 5000;

/** Claims of which nobody uses the address any more. */
const unused = new Set(['Cooling', 'Conflicted']);

/** The addresses of a pool that somebody has, from a list of its claims that begins now. */
export async function takenAddresses(api: ApiClient, pool: string): Promise<readonly TakenAddress[]> {
  const labelSelector = `${ipClaimLabels.pool}=${labelHash(pool)}`;
  const rows = await persist(`list the IPClaims of pool "${pool}"`, deadlineIn(readMs), (timeoutMs) =>
    listTable(api, { path: collection, labelSelector }, deadlineIn(timeoutMs)),
  );
  return rows.flatMap((row) => {
    const address = fromClaimName(row['Name'] ?? '');
    if (address === undefined || unused.has(row['Phase'] ?? '')) return [];
    const holder = row['Identity'] || `pod ${row['Namespace'] ?? ''}/${row['Pod'] ?? ''}`;
    return [{ address: formatAddress(address), holder }];
  });
}
