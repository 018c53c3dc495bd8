import type { PoolSize } from '../subnet-annotation.ts';

export type SizeReading =
  | { readonly outcome: 'size'; readonly size: number }
  /** One sentence. */
  | { readonly outcome: 'refused'; readonly problem: string };

/**
 * How many addresses each automatic pool of an application should have (spec/ipam.md §6.2): the one place that says so. The
 * control worker makes pools of this size; nodes take the pool as it is and never compute one.
 *
 * @param wanted What the application's annotation says; absent: replicas and the surplus.
 * @param replicas What the application's controller runs; absent: nobody can say, so a fixed number is needed.
 * @param surplus Addresses over the replicas where the application does not say how many (cluster setting).
 */
export function desiredSize(wanted: PoolSize | undefined, replicas: number | undefined, surplus: number): SizeReading {
  if (wanted?.kind === 'fixed') return { outcome: 'size', size: wanted.count };
  if (replicas !== undefined) return { outcome: 'size', size: replicas + (wanted?.count ?? surplus) };
  return {
    outcome: 'refused',
    problem:
      'its controller has no scale subresource, so nobody can say how many replicas it has: it only supports a fixed number, for example ipam.spidernet.io/ippool-ip-number: "4"',
  };
}
