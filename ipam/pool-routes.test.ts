import { describe, expect, it } from '@jest/globals';
import type { Address } from './address.ts';
import { intervalSet } from './interval-set.ts';
import { routesOf, toClaimedAddress } from './pool-routes.ts';
import { isMalformed, type PoolObject, type PoolSnapshot, readPool } from './pool-snapshot.ts';

function poolOf(spec: PoolObject['spec']): PoolSnapshot {
  const pool = readPool({ metadata: { name: 'p' }, spec }, { 4: intervalSet([]), 6: intervalSet([]) });
  if (isMalformed(pool)) throw new Error(pool.problem);
  return pool;
}
const v4 = poolOf({
  subnet: '10.70.8.0/22',
  gateway: '10.70.8.1',
  routes: [
    { dst: '10.64.0.0/10', gw: '10.70.8.9' },
    { dst: '10.65.0.1/10', gw: '10.70.8.8' },
    { dst: '192.168.0.0/16', gw: '10.70.8.9' },
  ],
});
const v6 = poolOf({ subnet: '2001:db8::/64', gateway: '2001:DB8::0001' });

describe('routesOf', () => {
  it("gives the pool's routes, the first of each destination, and then the default route", () => {
    expect(routesOf(v4, { cleanGateway: false })).toEqual([
      { dst: '10.64.0.0/10', gw: '10.70.8.9' },
      { dst: '192.168.0.0/16', gw: '10.70.8.9' },
      { dst: '0.0.0.0/0', gw: '10.70.8.1' },
    ]);
    expect(routesOf(v6, { cleanGateway: false })).toEqual([{ dst: '::/0', gw: '2001:db8::1' }]);
  });

  it('gives no default route when the gateway is cleaned or absent', () => {
    expect(routesOf(v4, { cleanGateway: true }).map(({ dst }) => dst)).toEqual(['10.64.0.0/10', '192.168.0.0/16']);
    expect(routesOf(poolOf({ subnet: '10.0.0.0/8' }), { cleanGateway: false })).toEqual([]);
  });
});

describe('toClaimedAddress', () => {
  const address: Address = { family: 4, value: 0x0a460814n };

  it('carries the prefix length of the subnet, and the gateway even when it is cleaned', () => {
    expect(toClaimedAddress(v4, address, { cleanGateway: true })).toEqual({
      family: 4,
      address: '10.70.8.20/22',
      pool: 'p',
      gateway: '10.70.8.1',
      routes: routesOf(v4, { cleanGateway: true }),
    });
  });

  it('names no gateway when the pool has none', () => {
    expect(toClaimedAddress(poolOf({ subnet: '10.0.0.0/8' }), address, { cleanGateway: false })).toEqual({
      family: 4,
      address: '10.70.8.20/8',
      pool: 'p',
      routes: [],
    });
  });
});
