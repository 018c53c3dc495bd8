import { formatAddress } from '../../ipam/address.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';

/** A pool of the benchmark. Each has a subnet of its own, so that filling one takes nothing from another. */
export interface BenchPool {
  readonly name: string;
  readonly family: 4 | 6;
  readonly subnet: string;
  readonly gateway: string;
  readonly range: string;
  /** Addresses that other nodes' pods hold; only of an IPv4 pool. */
  readonly used: number;
  readonly size: number;
}

/** The addresses of an IPv4 subnet, less its own, its gateway and its broadcast address. */
function pool(name: string, network: string, prefixLength: number, used = 0): BenchPool {
  const first = BigInt(
    `0x${network
      .split('.')
      .map((byte) => Number(byte).toString(16).padStart(2, '0'))
      .join('')}`,
  );
  const size = 2 ** (32 - prefixLength) - 3;
  const nth = (index: bigint): string => formatAddress({ family: 4, value: first + index });
  const range = `${nth(2n)}-${nth(1n + BigInt(size))}`;
  return { name, family: 4, subnet: `${network}/${prefixLength}`, gateway: nth(1n), range, used, size };
}

export const pools = {
  empty: pool('empty', '10.71.0.0', 19),
  used1000: pool('used-1000', '10.72.0.0', 19, 1000),
  used4000: pool('used-4000', '10.73.0.0', 19, 4000),
  used20000: pool('used-20000', '10.80.0.0', 16, 20_000),
  elsewhere: pool('elsewhere', '10.96.0.0', 12, 100_000),
  slash24: pool('slash-24', '10.74.0.0', 24),
  slash8: pool('slash-8', '11.0.0.0', 8),
  slash64: {
    name: 'slash-64',
    family: 6,
    subnet: 'fd00:74::/64',
    gateway: 'fd00:74::1',
    range: 'fd00:74::2-fd00:74::ffff:ffff:ffff:fffe',
    used: 0,
    size: 2 ** 64,
  },
} as const satisfies Record<string, BenchPool>;

export type PoolName = keyof typeof pools;

const v6Pool = { name: 'empty-v6', subnet: 'fd00:71::/64', gateway: 'fd00:71::1', range: 'fd00:71::2-fd00:71::ffff' };

/** The pools as objects; none is a default, pods name theirs. */
export const poolObjects = (): readonly object[] =>
  [...Object.values(pools), v6Pool].map(({ name, subnet, gateway, range }) => ({
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name },
    spec: { subnet, gateway, ips: [range] },
  }));

/** Makes a pod take its addresses from this pool, and from the IPv6 pool too when it is dual stack. */
export const poolAnnotations = (pool: PoolName, isDualStack: boolean): Record<string, string> => ({
  [ippoolAnnotation]: JSON.stringify({
    [`ipv${pools[pool].family}`]: [pools[pool].name],
    ...(isDualStack ? { ipv6: [v6Pool.name] } : {}),
  }),
});
