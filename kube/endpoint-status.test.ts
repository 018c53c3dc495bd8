import { describe, expect, it } from '@jest/globals';
import type { SpiderEndpointStatus } from '../contracts/crds/spiderendpoint.ts';
import type { ClaimRow, HolderRow } from './claim-feed.ts';
import { endpointStatus, fingerprint, podAddresses, publishedFingerprint } from './endpoint-status.ts';

const pod = 'pay/api-0';
const holder = (some: Partial<HolderRow> = {}): HolderRow => ({
  pod,
  podUID: 'uid-0',
  interface: 'eth0',
  node: 'r7-n1',
  containerID: 'c1',
  ...some,
});
const claim = (address: string, some: Partial<ClaimRow> = {}): ClaimRow => ({
  address,
  pool: address.includes(':') ? 'rack7-v6' : 'rack7-v4',
  phase: 'Bound',
  createdAtSeconds: 1,
  holders: [holder()],
  ...some,
});
const addresses = (...claims: readonly ClaimRow[]) => podAddresses(pod, claims);
const owner = { ownerControllerType: 'Deployment', ownerControllerName: 'api' };

describe('the addresses of a pod', () => {
  it('are one element for each interface, with both families', () => {
    const net1 = [holder({ interface: 'net1' })];
    expect(addresses(claim('fd00:70::9/64'), claim('10.71.0.7/16', { holders: net1 }), claim('10.70.8.20/22'))).toEqual(
      {
        uid: 'uid-0',
        node: 'r7-n1',
        interfaces: [
          {
            interface: 'eth0',
            ipv4: '10.70.8.20/22',
            ipv4Pool: 'rack7-v4',
            ipv6: 'fd00:70::9/64',
            ipv6Pool: 'rack7-v6',
          },
          { interface: 'net1', ipv4: '10.71.0.7/16', ipv4Pool: 'rack7-v4' },
        ],
      },
    );
  });

  it('stay while they are held for the pod, and are nobody’s in any other phase', () => {
    expect(addresses(claim('10.70.8.20/22', { phase: 'Held' }))?.uid).toBe('uid-0');
    for (const phase of ['Cooling', 'Suspect', 'Conflicted'] as const)
      expect(addresses(claim('10.70.8.20/22', { phase }))).toBeUndefined();
    expect(addresses()).toBeUndefined();
  });

  it('are not what is held for an IPAMClaim, and what it has in use has no owner by that', () => {
    const identity = 'IPAMClaim/pay/api.eth0';
    expect(addresses(claim('10.70.8.20/22', { phase: 'Held', identity }))).toBeUndefined();
    expect(addresses(claim('10.70.8.20/22', { identity }))).toEqual({
      uid: 'uid-0',
      node: 'r7-n1',
      interfaces: [{ interface: 'eth0', ipv4: '10.70.8.20/22', ipv4Pool: 'rack7-v4' }],
    });
  });

  it('are those of the pod that got a Bound claim last, when two pods had the name', () => {
    const second = [holder({ podUID: 'uid-1', node: 'r7-n2' })];
    const held = claim('10.70.8.20/22', { phase: 'Held', createdAtSeconds: 3 });
    const older = claim('10.70.8.20/22', { createdAtSeconds: 1 });
    const newer = claim('10.70.8.21/22', { createdAtSeconds: 2, holders: second });
    expect(addresses(held, newer)).toMatchObject({ uid: 'uid-1', node: 'r7-n2' });
    expect(addresses(older, newer)?.interfaces).toEqual([
      { interface: 'eth0', ipv4: '10.70.8.21/22', ipv4Pool: 'rack7-v4' },
    ]);
  });

  it('include a claim that is shared with the successor of a migrating machine', () => {
    const shared = claim('10.70.8.20/22', { holders: [holder({ pod: 'pay/vm-source', podUID: 'other' }), holder()] });
    expect(addresses(shared)).toMatchObject({ uid: 'uid-0' });
  });
});

describe('the addresses of what outlives its pods', () => {
  it('name their owner, which need not be asked for', () => {
    const held = claim('10.70.8.20/22', { phase: 'Held', identity: 'StatefulSet/pay/api/0' });
    expect(addresses(held)).toMatchObject({
      uid: 'uid-0',
      owner: { ownerControllerType: 'StatefulSet', ownerControllerName: 'api' },
    });
    expect(addresses(claim('10.70.8.20/22'))?.owner).toBeUndefined();
  });

  it('are those of the pod that a machine migrates to', () => {
    const identity = 'VirtualMachineInstance/pay/vm-1';
    const holders = [holder({ pod: 'pay/vm-1' }), holder({ pod: 'pay/vm-1', podUID: 'uid-1', node: 'r7-n2' })];
    const shared = [claim('10.70.8.20/22', { identity, holders }), claim('fd00:70::9/64', { identity, holders })];
    expect(podAddresses('pay/vm-1', shared)).toEqual({
      uid: 'uid-1',
      node: 'r7-n2',
      interfaces: [
        {
          interface: 'eth0',
          ipv4: '10.70.8.20/22',
          ipv4Pool: 'rack7-v4',
          ipv6: 'fd00:70::9/64',
          ipv6Pool: 'rack7-v6',
        },
      ],
      owner: { ownerControllerType: 'VirtualMachineInstance', ownerControllerName: 'vm-1' },
    });
  });
});

describe('the status of an endpoint', () => {
  const pools = new Map([
    ['rack7-v4', { gateway: '10.70.8.1', routes: [{ dst: '10.0.0.0/8', gw: '10.70.8.2' }] }],
    ['rack7-v6', {}],
  ]);
  const wanted = addresses(claim('10.70.8.20/22'), claim('fd00:70::9/64'));
  if (wanted === undefined) throw new Error('no addresses');
  const published = endpointStatus(wanted, undefined, pools, owner);

  it('has gateway and routes of the pools', () => {
    expect(published).toEqual({
      current: {
        uid: 'uid-0',
        node: 'r7-n1',
        ips: [
          {
            interface: 'eth0',
            ipv4: '10.70.8.20/22',
            ipv4Pool: 'rack7-v4',
            ipv6: 'fd00:70::9/64',
            ipv6Pool: 'rack7-v6',
            ipv4Gateway: '10.70.8.1',
            routes: [{ dst: '10.0.0.0/8', gw: '10.70.8.2' }],
          },
        ],
      },
      ...owner,
    });
  });

  it('keeps the gateway of an address that was published, also after the pool was edited', () => {
    const edited = new Map([['rack7-v4', { gateway: '10.70.8.254' }]]);
    expect(endpointStatus(wanted, published, edited, owner)).toEqual(published);
    const moved = addresses(claim('10.70.8.21/22'), claim('fd00:70::9/64'));
    if (moved === undefined) throw new Error('no addresses');
    expect(endpointStatus(moved, published, edited, owner).current.ips[0]?.ipv4Gateway).toBe('10.70.8.254');
    const successor = { ...wanted, uid: 'uid-1' };
    expect(endpointStatus(successor, published, edited, owner).current.ips[0]?.ipv4Gateway).toBe('10.70.8.254');
  });

  it('is recognised, however the API server completes it, and told from every other', () => {
    const completed: SpiderEndpointStatus = {
      ...published,
      current: { ...published.current, ips: published.current.ips.map((ip) => ({ ...ip, vlan: 0 })) },
    };
    expect(publishedFingerprint(completed)).toBe(fingerprint(wanted));
    const others = [
      { ...wanted, uid: 'uid-1' },
      { ...wanted, node: 'r7-n2' },
      { ...wanted, interfaces: [] },
      { ...wanted, interfaces: wanted.interfaces.map((nic) => ({ ...nic, ipv4Pool: 'rack8-v4' })) },
    ];
    for (const other of others) expect(fingerprint(other)).not.toBe(fingerprint(wanted));
    expect(publishedFingerprint(undefined)).toBeUndefined();
  });
});
