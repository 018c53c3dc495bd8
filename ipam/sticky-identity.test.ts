import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { OwnerReference } from '../contracts/crds/object-meta.ts';
import { type Identity, identityText, machineOf, parseIdentity, podNameOf, stickyIdentity } from './sticky-identity.ts';

const everything = { stickyStatefulSets: true, stickyVirtualMachines: true };
const owner = (apiVersion: string, kind: string, name: string, controller = true): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid: `uid-of-${name}`,
  controller,
});
const api = owner('apps/v1', 'StatefulSet', 'api');
const vm = owner('kubevirt.io/v1', 'VirtualMachineInstance', 'vm-1');
const textOf = (name: string, ownerReferences: readonly OwnerReference[], settings = everything): string => {
  const identity = stickyIdentity({ namespace: 'pay', name, ownerReferences }, settings);
  return identity === undefined ? 'none' : identityText(identity);
};

describe('the addresses of a pod stick to', () => {
  it.each([
    ['its ordinal of a StatefulSet', 'api-0', [api], 'StatefulSet/pay/api/0'],
    ['a high ordinal', 'api-2147483647', [api], 'StatefulSet/pay/api/2147483647'],
    [
      'an ordinal of a StatefulSet whose name looks like one',
      'api-0-7',
      [owner('apps/v1', 'StatefulSet', 'api-0')],
      'StatefulSet/pay/api-0/7',
    ],
    ['its machine, whatever the pod is called', 'virt-launcher-vm-1-x7f2p', [vm], 'VirtualMachineInstance/pay/vm-1'],
  ])('%s', (_, name, owners, text) => {
    expect(textOf(name, owners)).toBe(text);
  });

  it('§12.3 #34: what its controller is, wherever in the list of its owners that stands', () => {
    const others = [owner('apps/v1', 'StatefulSet', 'other', false), owner('v1', 'ConfigMap', 'c', false)];
    expect(textOf('api-0', [...others, api])).toBe('StatefulSet/pay/api/0');
    expect(textOf('other-0', others)).toBe('none');
    const { controller: _, ...unsaid } = api;
    expect(textOf('api-0', [unsaid])).toBe('none');
  });

  it.each<[string, string, readonly OwnerReference[]]>([
    ['nothing, without a controller', 'api-0', []],
    ['nothing, in a Deployment', 'api-5b-x', [owner('apps/v1', 'ReplicaSet', 'api-5b')]],
    ['nothing, in a third party’s StatefulSet', 'api-0', [owner('apps.kruise.io/v1beta1', 'StatefulSet', 'api')]],
    ['nothing, in an old StatefulSet', 'api-0', [owner('apps/v1beta1', 'StatefulSet', 'api')]],
    ['nothing, in somebody else’s machine', 'vm', [owner('kubevirt.example/v1', 'VirtualMachineInstance', 'vm')]],
    ['nothing, without an ordinal', 'api', [api]],
    ['nothing, with another name', 'web-0', [api]],
    ['nothing, with a leading zero', 'api-00', [api]],
    ['nothing, with a sign', 'api--1', [api]],
    ['nothing, beyond an int32', 'api-2147483648', [api]],
    ['nothing, when its owner’s name is a path', 'a/b-0', [owner('apps/v1', 'StatefulSet', 'a/b')]],
    [
      'nothing, when its owner’s name is too long',
      `${'a'.repeat(254)}-0`,
      [owner('apps/v1', 'StatefulSet', 'a'.repeat(254))],
    ],
    ['nothing, when its owner has no name', '-0', [owner('apps/v1', 'StatefulSet', '')]],
  ])('%s', (_, name, owners) => {
    expect(textOf(name, owners)).toBe('none');
  });

  it('nothing where the cluster does not want it', () => {
    expect(textOf('api-0', [api], { ...everything, stickyStatefulSets: false })).toBe('none');
    expect(textOf('x', [vm], { ...everything, stickyVirtualMachines: false })).toBe('none');
  });
});

describe('the machine of a pod', () => {
  it('is its controller’s, and no other owner’s', () => {
    const of = (...ownerReferences: readonly OwnerReference[]): string | undefined =>
      machineOf({ namespace: 'pay', name: 'api-0', ownerReferences });
    expect(of(vm)).toBe('VirtualMachineInstance/pay/vm-1');
    expect([of(), of(api), of({ ...vm, controller: false })]).toEqual([undefined, undefined, undefined]);
  });
});

describe('the text of an identity', () => {
  const name = fc.stringMatching(/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/);
  const identities: fc.Arbitrary<Identity> = fc.oneof(
    fc.record({ kind: fc.constant('StatefulSet'), namespace: name, name, ordinal: fc.nat(2 ** 31 - 1) }),
    fc.record({ kind: fc.constantFrom('VirtualMachineInstance', 'IPAMClaim'), namespace: name, name }),
  );

  it('says which one it is, and no other', () => {
    fc.assert(
      fc.property(identities, identities, (one, other) => {
        expect(parseIdentity(identityText(one))).toEqual(one);
        if (identityText(one) === identityText(other)) expect(one).toEqual(other);
      }),
    );
  });

  it('leads back to the pod that has it', () => {
    fc.assert(
      fc.property(name, fc.nat(2 ** 31 - 1), (statefulSet, ordinal) => {
        const pod = podNameOf({ kind: 'StatefulSet', namespace: 'pay', name: statefulSet, ordinal }) ?? '';
        expect(textOf(pod, [owner('apps/v1', 'StatefulSet', statefulSet)])).toBe(
          `StatefulSet/pay/${statefulSet}/${ordinal}`,
        );
      }),
    );
  });

  it('is nothing else', () => {
    const strange = fc.oneof(
      fc.string(),
      fc.constantFrom('', 'StatefulSet', 'StatefulSet/pay/api', 'StatefulSet/pay/api/00', 'StatefulSet/pay/api/0/0'),
      fc.constantFrom('VirtualMachineInstance/pay', 'VirtualMachineInstance/pay/vm/1', 'Deployment/pay/api/0'),
      fc.array(fc.string(), { maxLength: 5 }).map((parts) => parts.join('/')),
    );
    fc.assert(
      fc.property(strange, (text) => {
        const identity = parseIdentity(text);
        if (identity !== undefined) expect(identityText(identity)).toBe(text);
      }),
    );
    expect(parseIdentity('StatefulSet/pay/api/00')).toBeUndefined();
    expect(parseIdentity('StatefulSet/pay/api/0/0')).toBeUndefined();
    expect(parseIdentity('VirtualMachineInstance/pay/vm/1')).toBeUndefined();
    expect(parseIdentity('IPAMClaim/pay/vm-1.net1/0')).toBeUndefined();
    expect(parseIdentity('Deployment/pay/api/0')).toBeUndefined();
  });
});
