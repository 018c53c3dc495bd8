import { describe, expect, it } from '@jest/globals';
import type { SpiderEndpointStatus } from '../contracts/crds/spiderendpoint.ts';
import { type SpiderpoolEndpoint, spiderpoolsOwn, untilImported } from './spiderpool-endpoints.ts';
import { silent } from './testing/claim-fixtures.ts';

const status: SpiderEndpointStatus = {
  current: { uid: 'u0', node: 'n1', ips: [{ interface: 'eth0', ipv4: '10.70.8.20/22', ipv6: 'fd00:70::14/64' }] },
  ownerControllerType: 'Pod',
  ownerControllerName: 'api-0',
};
const endpoint: SpiderpoolEndpoint = {
  pod: { namespace: 'pay', name: 'api-0', uid: 'u0' },
  claims: ['10.70.8.20', 'fd00-0070-0000-0000-0000-0000-0000-0014'],
};

it('an endpoint is Spiderpool’s when it has its finalizer, and names claims for its addresses', () => {
  const metadata = { namespace: 'pay', name: 'api-0' };
  expect(spiderpoolsOwn({ ...metadata, finalizers: ['spiderpool.spidernet.io'] }, status)).toEqual({
    spiderpools: endpoint,
  });
  expect(spiderpoolsOwn(metadata, status)).toEqual({});
});

describe('the views of a cluster that comes from Spiderpool', () => {
  const look = (claims: readonly string[], isThere: boolean, signal = new AbortController().signal) =>
    untilImported({
      endpoints: () => [endpoint],
      hasClaim: (name) => claims.includes(name),
      isThere: async () => isThere,
      signal,
      log: silent,
    });

  it('wait for the claims of a living pod', async () => {
    const term = new AbortController();
    const waiting = look(['10.70.8.20'], true, term.signal);
    const first = await Promise.race([
      waiting.then(() => 'published'),
      new Promise((resolve) => setImmediate(resolve, 'waits')),
    ]);
    expect(first).toBe('waits');
    term.abort();
    await waiting;
  });

  it.each([
    ['everything is claimed', endpoint.claims, true],
    ['the pod is gone', [], false],
  ])('are published when %s', async (_, claims, isThere) => {
    await expect(look(claims, isThere)).resolves.toBeUndefined();
  });
});
