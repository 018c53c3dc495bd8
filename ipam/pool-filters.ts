import { type Family, familyName } from './address.ts';
import type { PoolRequest } from './pool-levels.ts';
import type { PoolSnapshot } from './pool-snapshot.ts';

/** Says why a pool cannot serve this family of this request, as the rest of a sentence that begins with its name. */
export type PoolFilter = (pool: PoolSnapshot, family: Family, request: PoolRequest) => string | undefined;

const terminating: PoolFilter = ({ isTerminating }) => (isTerminating ? 'is being deleted' : undefined);

const disabled: PoolFilter = ({ isDisabled }) => (isDisabled ? 'is disabled' : undefined);

const otherFamily: PoolFilter = (pool, family) =>
  pool.family === family ? undefined : `is an ${familyName(pool.family)} pool`;

/** The first that objects gives the reason (spec/ipam.md §4.4). */
export const poolFilters: readonly PoolFilter[] = [terminating, disabled, otherFamily];
