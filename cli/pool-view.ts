import type { Cluster } from './cluster.ts';
import type { PoolView } from './pool-table.ts';

/** Claims last: a pool may lack what was just given, but no claim can be counted in a pool that was not read. */
export async function readPoolView(cluster: Pick<Cluster, 'pools' | 'reservations' | 'claims'>): Promise<PoolView> {
  const [pools, reservations] = await Promise.all([cluster.pools(), cluster.reservations()]);
  return { pools, reservations, claims: await cluster.claims() };
}
