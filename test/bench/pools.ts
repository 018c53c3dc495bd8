import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import { ipClaimLabels } from '../../contracts/ip-claim.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { labelHash } from '../../kube/label-hash.ts';

/** A pool of the benchmark. Each has a subnet of its own, so that filling one takes nothing from another. */
export interface BenchPool {
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly range: string;
  /** Addresses that other nodes' pods hold. */
  readonly used: number;
  /** Its addresses are 10.<secondByte>.0.2 and those that follow. */
  readonly secondByte: number;
  readonly size: number;
}

const slash19 = (name: string, secondByte: number, used: number): BenchPool => ({
  name,
  subnet: `10.${secondByte}.0.0/19`,
  gateway: `10.${secondByte}.0.1`,
  range: `10.${secondByte}.0.2-10.${secondByte}.31.254`,
  used,
  secondByte,
  size: 8189,
});

export const pools = {
  empty: slash19('empty', 71, 0),
  used1000: slash19('used-1000', 72, 1000),
  used4000: slash19('used-4000', 73, 4000),
  used20000: {
    name: 'used-20000',
    subnet: '10.80.0.0/16',
    gateway: '10.80.0.1',
    range: '10.80.0.2-10.80.255.254',
    used: 20_000,
    secondByte: 80,
    size: 65_533,
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
  [ippoolAnnotation]: JSON.stringify({ ipv4: [pools[pool].name], ...(isDualStack ? { ipv6: [v6Pool.name] } : {}) }),
});

/** Fills a pool with claims of pods on a node that does not exist, spread evenly over its range. */
export async function fillPool(api: ApiClient, pool: BenchPool): Promise<void> {
  const addresses = Array.from({ length: pool.used }, (_, index) => 2 + Math.floor((index * pool.size) / pool.used));
  const waiting = addresses.values();
  const lane = async (): Promise<void> => {
    for (const offset of waiting) {
      const address = `10.${pool.secondByte}.${offset >> 8}.${offset & 0xff}`;
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
