import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { ipClaimLabels } from '../../contracts/ip-claim.ts';
import { formatAddress, parseAddress } from '../../ipam/address.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { labelHash } from '../../kube/label-hash.ts';

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

/** Fills a pool with claims of pods on a node that does not exist, spread evenly over its range. */
export async function fillPool(api: ApiClient, pool: BenchPool): Promise<void> {
  const [first] = pool.range.split('-');
  const start = parseAddress(first ?? '')?.value ?? 0n;
  const addresses = Array.from({ length: pool.used }, (_, index) => Math.floor((index * pool.size) / pool.used));
  const waiting = addresses.values();
  const lane = async (): Promise<void> => {
    for (const offset of waiting) {
      const address = formatAddress({ family: 4, value: start + BigInt(offset) });
      await api.request({
        method: 'POST',
        path: '/apis/orbweaver.io/v1alpha1/ipclaims',
        body: strangersClaim(pool, address),
        timeoutMs: 30_000,
      });
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

function strangersClaim(pool: BenchPool, address: string): IPClaim {
  const id = Buffer.from(address).toString('hex').padEnd(64, '0');
  return {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: {
      name: address,
      labels: { [ipClaimLabels.pool]: labelHash(pool.name), [ipClaimLabels.node]: labelHash('elsewhere') },
    },
    spec: {
      address: `${address}${pool.subnet.slice(pool.subnet.indexOf('/'))}`,
      pool: pool.name,
      phase: 'Bound',
      holders: [
        {
          namespace: 'default',
          pod: `stranger-${address.replaceAll('.', '-')}`,
          podUID: '9a1f4c52-0b7e-4c0e-8d0f-6d2b2f3f0a11',
          interface: 'eth0',
          network: 'underlay',
          containerID: id,
          netns: `/run/netns/cni-${id.slice(0, 36)}`,
          netnsCookie: '4242',
          node: 'elsewhere',
          machineID: '6d7a3b1e-52f4-4f6a-9a53-2f0c5ab1c9d4',
          bootID: '0c6d0c8e-31a7-4a6e-b2f7-5a7d3f1b2e90',
        },
      ],
    },
  };
}
