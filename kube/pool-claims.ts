import { ipClaimLabels } from '../contracts/ip-claim.ts';
import type { ApiClient } from './api-client.ts';
import { labelHash } from './label-hash.ts';
import { listTable, type TableRow } from './list.ts';
import { type Deadline, deadlineIn, persist } from './persist.ts';

/**
 * The claims of one pool, in whatever phase, as rows of their columns, from a list that begins now.
 *
 * @throws {ProvisionError} `ApiServerUnavailable` when there is no answer in time.
 */
export const listPoolClaims = (api: ApiClient, pool: string, deadline: Deadline): Promise<readonly TableRow[]> =>
  persist(`list the IPClaims of pool "${pool}"`, deadline, (timeoutMs) =>
    listTable(
      api,
      { path: '/apis/orbweaver.io/v1alpha1/ipclaims', labelSelector: `${ipClaimLabels.pool}=${labelHash(pool)}` },
      deadlineIn(timeoutMs),
    ),
  );
