import { expect, it } from '@jest/globals';
import { mutatePool } from '../admission/pool-rules.ts';
import { said, subnet, world } from '../admission/testing/objects.ts';
import { intervalSet } from '../interval-set.ts';
import { newPool } from './pool-object.ts';

const application = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api', uid: 'a-1' };

it.each([
  ['IPv4, with gateway and routes', 4, '10.70.8.0/24', '10.70.8.1', 0x0a460800n],
  ['IPv6', 6, 'fd00:70::/64', undefined, 0xfd000070n << 96n],
] as const)(
  'a new pool is what admission would make of it, which is not asked: %s',
  (_, family, cidr, gateway, base) => {
    const routes = gateway === undefined ? undefined : [{ dst: '10.71.0.0/16', gw: gateway }];
    const owner = subnet({ subnet: cidr, ...(gateway !== undefined && { gateway, routes }) });
    const wish = {
      owner: { application, ifName: 'eth0', family },
      subnet: 's',
      size: 4,
      sizeText: '+2',
      isReclaimed: true,
    };
    const ips = intervalSet([10n, 11n, 20n, 22n].map((at) => ({ first: base + at, last: base + at })));
    const made = newPool('auto-api', wish, ips, owner);
    const mutation = mutatePool(made, undefined, world({ subnets: [owner] }));
    expect(mutation.outcome === 'denied' ? said(mutation) : mutation.object).toEqual(made);
  },
);
