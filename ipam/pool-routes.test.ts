import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Address } from './address.ts';
import { intervalSet } from './interval-set.ts';
import { type PodRoute, readPodRoutes, routesAnnotation } from './pod-routes.ts';
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

describe('routes that the pod asks for', () => {
  const podRoutes = (...routes: readonly (readonly [dst: string, gw: string])[]) => {
    const reading = readPodRoutes({
      [routesAnnotation]: JSON.stringify(routes.map(([dst, gw]) => ({ dst, gw }))),
    });
    if (reading.outcome === 'refused') throw new Error(reading.failure.message);
    return reading.routes;
  };
  const told = (pool: PoolSnapshot, cleanGateway: boolean, routes: readonly PodRoute[]) =>
    routesOf(pool, { cleanGateway, podRoutes: routes }).map(({ dst, gw }) => `${dst} via ${gw}`);

  it("come before the pool's and win where both lead to one destination", () => {
    expect(told(v4, false, podRoutes(['10.66.0.0/10', '10.70.8.7'], ['172.16.0.0/12', '10.70.11.254']))).toEqual([
      '10.64.0.0/10 via 10.70.8.7',
      '172.16.0.0/12 via 10.70.11.254',
      '192.168.0.0/16 via 10.70.8.9',
      '0.0.0.0/0 via 10.70.8.1',
    ]);
  });

  it('are left to another NIC when their gateway is in no network of this one', () => {
    expect(told(v6, false, podRoutes(['10.64.0.0/10', '10.70.8.7'], ['fd00::/8', 'fd70::1']))).toEqual([
      '::/0 via 2001:db8::1',
    ]);
    expect(told(v4, true, podRoutes(['172.16.0.0/12', '10.70.12.1']))).not.toContain('172.16.0.0/12 via 10.70.12.1');
  });

  it("may be the default route, which then replaces the gateway's, also a cleaned one", () => {
    const ours = podRoutes(['0.0.0.0/0', '10.70.8.2'], ['0.0.0.0/0', '10.70.8.3']);
    expect(told(v4, false, ours).at(-1)).toBe('0.0.0.0/0 via 10.70.8.2');
    expect(told(v4, true, ours).at(-1)).toBe('0.0.0.0/0 via 10.70.8.2');
    expect(told(v4, false, ours).filter((route) => route.startsWith('0.0.0.0/0'))).toHaveLength(1);
    expect(told(v6, false, podRoutes(['::/0', '2001:db8::9']))).toEqual(['::/0 via 2001:db8::9']);
  });

  it('never give two routes to one destination, nor one through a gateway outside the network', () => {
    const gateways = fc.constantFrom('10.70.8.7', '10.70.11.1', '10.99.0.1');
    const destinations = fc.constantFrom('0.0.0.0/0', '10.64.0.0/10', '10.80.0.0/16', '192.168.0.0/16');
    const asked = fc.array(fc.tuple(destinations, gateways));
    fc.assert(
      fc.property(asked, fc.boolean(), (asked, cleanGateway) => {
        const routes = routesOf(v4, { cleanGateway, podRoutes: podRoutes(...asked) });
        expect(new Set(routes.map(({ dst }) => dst)).size).toBe(routes.length);
        for (const { dst, gw } of routes) {
          expect(gw).toMatch(/^10\.70\.(8|9|10|11)\./);
          const ofPod = asked.find((route) => route[0] === dst && route[1] !== '10.99.0.1');
          if (ofPod) expect(gw).toBe(ofPod[1]);
        }
      }),
    );
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
