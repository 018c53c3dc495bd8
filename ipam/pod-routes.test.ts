import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { formatAddress } from './address.ts';
import { formatCidr } from './cidr.ts';
import { type PodRoute, readPodRoutes, routesAnnotation, routeWarnings } from './pod-routes.ts';

const routes = (text: string): readonly PodRoute[] => {
  const reading = readPodRoutes({ [routesAnnotation]: text });
  if (reading.outcome === 'refused') throw new Error(reading.failure.message);
  return reading.routes;
};
const shown = (text: string) => routes(text).map(({ dst, gw }) => `${formatCidr(dst)} ${formatAddress(gw)}`);

describe('the annotation ipam.spidernet.io/routes', () => {
  it.each([
    ['[{"dst":"10.64.0.0/10","gw":"10.70.8.9"}]', ['10.64.0.0/10 10.70.8.9']],
    ['[{"DST":"10.65.3.1/10","Gw":"10.70.8.9"}]', ['10.64.0.0/10 10.70.8.9']],
    [
      '[{"dst":"0.0.0.0/0","gw":"10.70.8.9"},{"dst":"::0/0","gw":"FD70::0:1"}]',
      ['0.0.0.0/0 10.70.8.9', '::/0 fd70::1'],
    ],
    ['[]', []],
  ])('reads %s', (text, expected) => {
    expect(shown(text)).toEqual(expected);
  });

  it('gives no routes when it is absent', () => {
    expect(readPodRoutes({})).toEqual({ outcome: 'routes', routes: [] });
  });

  it.each([
    ['', 'it is not JSON'],
    ['null', 'it is not a list'],
    ['{"dst":"10.64.0.0/10","gw":"10.70.8.9"}', 'it is not a list'],
    ['["10.64.0.0/10"]', 'item 0 is not an object'],
    ['[{"dst":"10.64.0.0/10","gw":"10.70.8.9"},{}]', '"dst" of item 1 is not a CIDR'],
    ['[{"dst":"10.64.0.0","gw":"10.70.8.9"}]', '"dst" of item 0 is not a CIDR'],
    ['[{"dst":"10.64.0.0/33","gw":"10.70.8.9"}]', '"dst" of item 0 is not a CIDR'],
    ['[{"dst":"10.64.0.0/10"}]', '"gw" of item 0 is not an address'],
    ['[{"dst":"10.64.0.0/10","gw":"10.70.8.9/22"}]', '"gw" of item 0 is not an address'],
    ['[{"dst":"10.64.0.0/10","gw":"fd70::1"}]', '"dst" and "gw" of item 0 are of two families'],
    ['[{"dst":7,"gw":"fd70::1"}]', '"dst" of item 0 is not a CIDR'],
  ])('refuses %j: %s', (text, problem) => {
    expect(readPodRoutes({ [routesAnnotation]: text })).toMatchObject({
      outcome: 'refused',
      failure: {
        type: 'InvalidAnnotation',
        message: `Cannot read pod annotation ipam.spidernet.io/routes: ${problem}. Found: ${text}`,
        remedy: `Write it as in this example: ipam.spidernet.io/routes: '[{"dst": "10.64.0.0/10", "gw": "10.70.8.9"}]'`,
      },
    });
  });

  it('answers any text with routes or with one line', () => {
    const route = fc.record({ dst: fc.jsonValue(), gw: fc.jsonValue() });
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.array(route).map((list) => JSON.stringify(list)),
    );
    fc.assert(
      fc.property(text, (text) => {
        const reading = readPodRoutes({ [routesAnnotation]: text });
        if (reading.outcome === 'routes') expect(Array.isArray(reading.routes)).toBe(true);
        else expect(reading.failure.message).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe('routes of the pod that a NIC does not use', () => {
  const address = { address: '10.70.8.20/22', routes: [{ dst: '10.64.0.0/10', gw: '10.70.8.9' }] };

  it('are none when each leads through its network', () => {
    expect(routeWarnings(routes('[{"dst":"10.64.0.0/10","gw":"10.70.8.9"}]'), 'eth0', [address])).toEqual([]);
  });

  it('are told when they lead elsewhere, because another NIC may be theirs', () => {
    const asked = routes('[{"dst":"10.64.0.0/10","gw":"10.99.0.1"},{"dst":"fd00::/8","gw":"fd70::1"}]');
    expect(routeWarnings(asked, 'eth0', [address])).toEqual([
      'route 10.64.0.0/10 via 10.99.0.1 is left to another NIC: no address of eth0 has 10.99.0.1 in its network',
      'route fd00::/8 via fd70::1 is left to another NIC: no address of eth0 has fd70::1 in its network',
    ]);
  });

  it('are told when an earlier item leads to the same destination', () => {
    const asked = routes('[{"dst":"10.64.0.0/10","gw":"10.70.8.9"},{"dst":"10.64.0.0/10","gw":"10.70.8.10"}]');
    expect(routeWarnings(asked, 'eth0', [address])).toEqual([
      'route 10.64.0.0/10 via 10.70.8.10 is not used: an earlier item leads there via 10.70.8.9',
    ]);
  });
});
