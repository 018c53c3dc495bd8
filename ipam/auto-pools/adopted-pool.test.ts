import { describe, expect, it } from '@jest/globals';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { adopted } from './adopted-pool.ts';

const apiVersion = 'spiderpool.spidernet.io/v2beta1';
const routes = [{ dst: '10.64.0.0/10', gw: '10.70.8.9' }];
const subnet: SpiderSubnet = {
  apiVersion,
  kind: 'SpiderSubnet',
  metadata: { name: 'rack7', uid: 's-1' },
  spec: { subnet: '10.70.8.0/22', gateway: '10.70.8.1', routes },
};
const pool = (
  spec: Partial<SpiderIPPool['spec']> = {},
  metadata: Partial<SpiderIPPool['metadata']> = {},
): SpiderIPPool => ({
  apiVersion,
  kind: 'SpiderIPPool',
  metadata: { name: 'manual', labels: { team: 'a' }, ...metadata },
  spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20'], ...spec },
});

describe('D00008: a pool that a Subnet takes on', () => {
  it('is owned and labelled, and gets gateway and routes where it says nothing', () => {
    expect(adopted(pool(), subnet)).toMatchObject({
      metadata: {
        labels: { team: 'a', 'ipam.spidernet.io/owner-spider-subnet': 'rack7' },
        ownerReferences: [
          { kind: 'SpiderSubnet', name: 'rack7', uid: 's-1', controller: true, blockOwnerDeletion: true },
        ],
      },
      spec: { ips: ['10.70.8.20'], gateway: '10.70.8.1', routes },
    });
  });

  it('keeps what it says itself, also that it has no routes', () => {
    expect(adopted(pool({ gateway: '10.70.8.2', routes: [] }), subnet)?.spec).toMatchObject({
      gateway: '10.70.8.2',
      routes: [],
    });
  });

  it('is none that somebody controls, that goes, or of another CIDR', () => {
    const owner = { apiVersion: 'v1', kind: 'Other', name: 'x', uid: 'x', controller: true };
    expect(adopted(pool({}, { ownerReferences: [owner] }), subnet)).toBeUndefined();
    expect(adopted(pool({}, { deletionTimestamp: 'now' }), subnet)).toBeUndefined();
    expect(adopted(pool({ subnet: '10.70.8.0/23' }), subnet)).toBeUndefined();
  });
});
