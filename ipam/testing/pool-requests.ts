import type { PoolRequest } from '../pool-request.ts';

export interface Asked {
  readonly pod?: Partial<PoolRequest['pod']>;
  readonly namespace?: Partial<PoolRequest['namespace']>;
  readonly node?: PoolRequest['node'];
  readonly ifName?: string;
  readonly network?: Partial<PoolRequest['network']>;
  readonly cluster?: Partial<PoolRequest['cluster']>;
  readonly masterAddresses?: NonNullable<PoolRequest['masterAddresses']>;
}

/** A request of pod pay/api-0 on node n1 for eth0, in a cluster that has everything switched on; differences are given. */
export const requestOf = ({
  pod,
  namespace,
  node,
  ifName,
  network,
  cluster,
  masterAddresses,
}: Asked = {}): PoolRequest => ({
  pod: { namespace: 'pay', name: 'api-0', labels: {}, annotations: {}, ...pod },
  namespace: { name: 'pay', labels: {}, annotations: {}, ...namespace },
  node: node ?? { name: 'n1', labels: {} },
  ifName: ifName ?? 'eth0',
  network: { defaultIPv4Pools: [], defaultIPv6Pools: [], cleanGateway: false, ...network },
  cluster: { families: [4, 6], namespace: 'orbweaver-system', subnets: true, automaticPools: true, ...cluster },
  ...(masterAddresses && { masterAddresses }),
});
