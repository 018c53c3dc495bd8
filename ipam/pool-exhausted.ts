import { ProvisionError } from '../contracts/failures.ts';
import { type Family, familyName } from './address.ts';

/** A pool that was tried, and how many addresses it may hand out at all. */
export interface ExhaustedPool {
  readonly name: string;
  readonly capacity: bigint;
}

/** No pool of the family has a free address. The numbers are only as true as the list of claims they were compared with. */
export function poolExhausted(family: Family, tried: readonly ExhaustedPool[]): ProvisionError {
  const names = tried.map(({ name }) => `"${name}"`).join(', ');
  const message =
    tried.length === 1
      ? `Cannot claim an ${familyName(family)} address from pool ${names}: ${tried.map(state).join()}`
      : `Cannot claim an ${familyName(family)} address: ${tried.map((pool) => `pool "${pool.name}": ${state(pool)}`).join('; ')}`;
  return new ProvisionError({
    type: 'PoolExhausted',
    message,
    remedy: `Extend spec.ips of SpiderIPPool ${names}, or see who holds them: ${tried.map(({ name }) => `orb pools ${name}`).join('; ')}`,
  });
}

function state({ capacity }: ExhaustedPool): string {
  if (capacity === 0n) return 'it has no addresses: spec.ips is empty, or all of it is excluded or reserved';
  return capacity === 1n ? 'its only one is in use' : `all ${capacity} are in use`;
}
