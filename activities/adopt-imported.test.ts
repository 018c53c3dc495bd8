import { describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { importedContainer, importedNetwork } from '../contracts/imported-claim.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import { type AdoptPorts, adoptImported, type MountedNamespace } from './adopt-imported.ts';
import { lookForProof } from './look-for-proof.ts';

const node = { name: 'r7-n1', machineID: 'm1', bootID: 'b1' };
const log = {
  child: () => log,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const holder: ClaimHolder = {
  namespace: 'pay',
  pod: 'api-0',
  podUID: '9c1f',
  interface: 'eth0',
  network: importedNetwork,
  containerID: importedContainer('9c1f'),
  netns: '',
  netnsCookie: '',
  node: 'r7-n1',
  machineID: '',
  bootID: '',
};
const claimOf = (some: Partial<ClaimHolder> = {}): IPClaim => ({
  apiVersion: 'orbweaver.io/v1alpha1',
  kind: 'IPClaim',
  metadata: { name: '10.70.8.20', uid: 'u', resourceVersion: '1' },
  spec: { address: '10.70.8.20/22', pool: 'rack7', phase: 'Bound', kept: true, holders: [{ ...holder, ...some }] },
});
const place: MountedNamespace = {
  netns: '/run/netns/cni-1',
  netnsCookie: '4711',
  addresses: [
    { ifName: 'lo', address: '127.0.0.1' },
    { ifName: 'eth0', address: '10.70.8.20' },
  ],
};

/** A node with one claim; what is adopted is written to it. */
function world(claim: IPClaim, namespaces: readonly MountedNamespace[], isAlive = true) {
  const kept = { claim, listed: 0 };
  const ports: AdoptPorts = {
    node,
    log,
    claims: {
      own: () =>
        kept.claim.spec.holders.map(({ podUID, interface: nic, containerID }) => ({
          name: kept.claim.metadata.name,
          phase: kept.claim.spec.phase,
          podUID,
          interface: nic,
          containerID,
          identity: '',
        })),
      readWhole: async () => kept.claim,
      adopt: async (seen, { holder: completed, identity }) => {
        expect(seen).toBe(kept.claim);
        const spec = { ...seen.spec, holders: [completed], ...(identity === undefined ? {} : { identity }) };
        kept.claim = { ...seen, spec };
        return 'ours';
      },
    },
    pods: {
      findLive: async () => ({
        namespace: 'pay',
        name: 'api-0',
        uid: '9c1f',
        annotations: {},
        labels: {},
        ownerReferences: [],
        isAlive,
      }),
    },
    namespaces: {
      list: async () => {
        kept.listed += 1;
        return namespaces;
      },
    },
  };
  return { kept, ports, holderNow: () => kept.claim.spec.holders[0] };
}

describe('an imported claim', () => {
  it('learns where its sandbox is, and is proven gone like any other from then on', async () => {
    const { ports, holderNow } = world(claimOf(), [{ ...place, netns: '/run/netns/cni-0', addresses: [] }, place]);
    expect(await adoptImported(ports)).toBe(1);
    const now = holderNow();
    expect(now).toEqual({
      ...holder,
      containerID: 'imported.9c1f.4711',
      netns: '/run/netns/cni-1',
      netnsCookie: '4711',
      machineID: 'm1',
      bootID: 'b1',
    });
    const kernel = { namespaceState: async () => 'gone' as const };
    expect(await lookForProof(now === undefined ? [] : [now], { node, kernel })).toMatchObject({ isGone: true });
  });

  it('is looked at once', async () => {
    const { ports, kept } = world(claimOf(), [place]);
    await adoptImported(ports);
    expect(await adoptImported(ports)).toBe(0);
    expect(kept.listed).toBe(1);
  });

  it('whose address is in no namespace knows its boot at least, and is looked for again', async () => {
    const { ports, holderNow } = world(claimOf(), [
      { ...place, addresses: [{ ifName: 'net1', address: '10.70.8.20' }] },
    ]);
    expect(await adoptImported(ports)).toBe(1);
    expect(holderNow()).toMatchObject({ containerID: 'imported.9c1f.unseen', netns: '', bootID: 'b1' });
    const found = { ...ports, namespaces: { list: async () => [place] } };
    expect(await adoptImported(found)).toBe(1);
    expect(holderNow()).toMatchObject({ containerID: 'imported.9c1f.4711' });
  });

  it.each([
    ['that nobody has looked for', {}],
    [
      'that was looked for in vain',
      { containerID: importedContainer('9c1f', 'unseen'), machineID: 'm1', bootID: 'b1' },
    ],
  ])('%s is no proof of anything: its address stays', async (_, some) => {
    const kernel = { namespaceState: async () => 'gone' as const };
    expect(await lookForProof([{ ...holder, ...some }], { node, kernel })).toMatchObject({ isGone: false });
  });

  it('is gone when its machine has booted since it was looked for', async () => {
    const kernel = { namespaceState: async () => 'alive' as const };
    const before = { ...holder, machineID: 'm1', bootID: 'b0' };
    expect(await lookForProof([before], { node, kernel })).toMatchObject({ isGone: true });
  });

  it('of a pod that is not alive any more is left to its DEL', async () => {
    const { ports, holderNow } = world(claimOf(), [place], false);
    expect(await adoptImported(ports)).toBe(0);
    expect(holderNow()).toEqual(holder);
  });

  it('costs nothing where there is none', async () => {
    const { ports, kept } = world(claimOf({ containerID: '5b1d' }), [place]);
    expect(await adoptImported(ports)).toBe(0);
    expect(kept.listed).toBe(0);
  });
});
