import { describe, expect, it } from '@jest/globals';
import { podRows, renderPods } from './pod-table.ts';
import { claimOf } from './testing/claims.ts';
import { golden } from './testing/golden.ts';

const v6 = '2001-0db8-0070-0008-0000-0000-0000-0014';
const claims = [
  claimOf('10.70.9.4', {}, { pod: 'api-10' }),
  claimOf(v6, { address: '2001:db8:70:8::14/64', pool: 'rack7-v6' }, { pod: 'api-2' }),
  claimOf('10.70.8.100', {}, { pod: 'api-2' }),
  claimOf('10.70.8.20', { phase: 'Held' }, { pod: 'api-2', interface: 'net1', node: 'r7-n2' }),
  claimOf('10.70.8.9', { phase: 'Suspect', until: '2026-11-21T12:00:00Z' }, { namespace: 'batch', pod: 'job-x' }),
];

describe('the addresses of pods', () => {
  it('come by namespace, pod and interface, numbers as numbers, IPv4 before IPv6', () => {
    expect(
      podRows(claims).map(({ namespace, pod, interface: nic, address }) => [namespace, pod, nic, address].join(' ')),
    ).toEqual([
      'batch job-x eth0 10.70.8.9/22',
      'pay api-2 eth0 10.70.8.100/22',
      'pay api-2 eth0 2001:db8:70:8::14/64',
      'pay api-2 net1 10.70.8.20/22',
      'pay api-10 eth0 10.70.9.4/22',
    ]);
  });

  it('are the same whatever order the claims come in', () => {
    expect(podRows(claims.toReversed())).toEqual(podRows(claims));
  });

  it('can be those of one namespace, pod or node', () => {
    expect(podRows(claims, { namespace: 'batch' })).toHaveLength(1);
    expect(podRows(claims, { namespace: 'pay', pod: 'api-2' })).toHaveLength(3);
    expect(podRows(claims, { node: 'r7-n2' })).toHaveLength(1);
    expect(podRows(claims, { namespace: 'none' })).toEqual([]);
  });

  it('have a row for each holder while a machine migrates', () => {
    const shared = claimOf('10.70.8.30', {}, { pod: 'vm-a', node: 'r7-n1' }, { pod: 'vm-b', node: 'r7-n2' });
    expect(podRows([shared]).map(({ pod, node }) => [pod, node])).toEqual([
      ['vm-a', 'r7-n1'],
      ['vm-b', 'r7-n2'],
    ]);
  });

  it('print as a table', async () => {
    const printed = renderPods(podRows(claims));
    expect(printed).toBe(await golden('pods.txt', printed));
  });
});
