import { describe, expect, it } from '@jest/globals';
import { claimOf } from '../../cli/testing/claims.ts';
import type { Attachment } from '../../contracts/attachment.ts';
import { importedContainer } from '../../contracts/imported-claim.ts';
import { createImportedAttachment, type ImportedPorts } from './imported-attachment.ts';

const call: Attachment = { containerID: '5b1d', network: 'vlan70', ifName: 'eth0', kind: 'attach' };
const pod = { namespace: 'pay', name: 'api-0', uid: '9c1f' };
const known = { containerID: importedContainer('9c1f', '4711'), netns: '/run/netns/cni-1', netnsCookie: '4711' };

function ask(
  some: { containerID: string; netns: string; netnsCookie: string },
  state: 'alive' | 'gone' | 'unproven',
  cookieOfCall?: string,
) {
  const [holder] = claimOf('10.70.8.20', {}, { ...some, network: 'imported' }).spec.holders;
  const ports: ImportedPorts = {
    claims: {
      own: () => (holder === undefined ? [] : [{ ...holder, name: '10.70.8.20' }]),
      holderOf: async () => holder,
    },
    kernel: {
      identifyNamespace: async () => {
        if (cookieOfCall === undefined) throw new Error('no such namespace');
        return { cookie: cookieOfCall };
      },
      namespaceState: async () => state,
    },
  };
  return createImportedAttachment(ports);
}
const imported = { ...call, containerID: known.containerID, network: 'imported' };

describe('the DEL of a pod that Spiderpool gave its address', () => {
  it('finds the claim by the pod, whatever its container is called', async () => {
    expect(await ask(known, 'alive', '4711')(call, pod, '/run/netns/cni-1')).toEqual(imported);
  });

  it('finds it when the namespace is gone already', async () => {
    expect(await ask(known, 'gone')(call, pod, '')).toEqual(imported);
  });

  it('finds one that nobody could complete', async () => {
    const bare = { containerID: importedContainer('9c1f'), netns: '', netnsCookie: '' };
    expect(await ask(bare, 'unproven')(call, pod, '')).toEqual({ ...imported, containerID: 'imported.9c1f' });
  });

  it('finds it by name where the runtime passes no UID', async () => {
    expect(await ask(known, 'gone')(call, { ...pod, uid: '' }, '')).toEqual(imported);
  });

  it.each([
    ['of another sandbox of the pod, which ended long ago', '815', '/run/netns/cni-0'],
    ['of a sandbox whose namespace is gone, while the claim’s lives', undefined, '/run/netns/cni-0'],
  ])('%s releases nothing', async (_, cookie, netns) => {
    expect(await ask(known, 'alive', cookie)(call, pod, netns)).toBeUndefined();
  });

  it.each([
    ['another interface', { ...call, ifName: 'net1' }, pod],
    ['another pod', call, { ...pod, uid: 'other' }],
    ['no pod', call, { namespace: '', name: '', uid: '' }],
  ])('finds nothing for %s', async (_, attachment, of) => {
    expect(await ask(known, 'gone')(attachment, of, '')).toBeUndefined();
  });

  it('leaves a claim alone that a later ADD took over', async () => {
    const taken = { containerID: 'c2', netns: '/run/netns/cni-2', netnsCookie: '815' };
    expect(await ask(taken, 'alive', '815')(call, pod, '/run/netns/cni-2')).toBeUndefined();
  });
});
