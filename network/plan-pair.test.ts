import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { attachmentDifferences } from './attachment-differences.ts';
import { vethOnNode } from './coordination/pod-layout.ts';
import { asIpCommands, type ReversibleOperation } from './link-operation.ts';
import type { ObservedParent } from './observed-namespace.ts';
import { aliasOf, linkGroup } from './ownership-mark.ts';
import { type DesiredAttachment, type ObservedSurroundings, planAttachment } from './plan-attachment.ts';
import { isNodeEnd, nodeEndMac, nodeEndOf } from './plan-pair.ts';
import { NamespaceModel } from './testing/namespace-model.ts';
import { observedLink } from './testing/observed-link.ts';
import { plannedOperations } from './testing/planned-operations.ts';

const mark = { containerID: '5b1e', ifName: 'eth0' };
const end = nodeEndOf(mark);
const bridge = observedLink(7, 'br0', { kind: 'bridge' });
const desired = { ...mark, kind: 'veth', master: 'br0', addresses: [] } as const satisfies DesiredAttachment;
const newPod = (): NamespaceModel => new NamespaceModel(bridge);

const operationsFor = (observed: ObservedSurroundings, wanted: DesiredAttachment = desired) =>
  plannedOperations(observed, wanted);
const commandsFor = (observed: ObservedSurroundings, wanted?: DesiredAttachment): string[] =>
  asIpCommands(operationsFor(observed, wanted), '/run/netns/cni-1');

function made(): NamespaceModel {
  const pod = newPod();
  pod.apply(operationsFor(pod.observe()));
  return pod;
}

describe('the plan for a pair', () => {
  it('makes both ends at once, one of them a port of the bridge, and brings up the node’s end first', () => {
    expect(commandsFor(newPod().observe())).toEqual([
      `ip link add name ${end} group 28530 address ${nodeEndMac(mark)} mtu 1500 master br0 type veth peer name eth0 group 28530 mtu 1500 netns cni-1`,
      `ip link set dev ${end} alias orbweaver:5b1e/eth0`,
      `ip link set dev ${end} up`,
      'ip -n cni-1 link set dev eth0 alias orbweaver:5b1e/eth0',
      'ip -n cni-1 link set dev eth0 up',
    ]);
  });

  it('gives a smaller MTU to the pod’s end only: the bridge would take the smallest of its ports', () => {
    expect(operationsFor(newPod().observe(), { ...desired, mtuBytes: 1400 })[0]).toMatchObject({
      mtuBytes: 1400,
      nodeEnd: { mtuBytes: 1500 },
    });
  });

  it.each<[string, ReversibleOperation, readonly string[]]>([
    ['is no port', { op: 'remove-port', at: 'node', ifName: end, controller: 'br0' }, [`dev ${end} master br0`]],
    ['is down', { op: 'set-down', at: 'node', ifName: end }, [`dev ${end} up`]],
    [
      'is not marked',
      { op: 'set-alias', at: 'node', ifName: end, alias: '', was: aliasOf(mark) },
      [`dev ${end} alias orbweaver:5b1e/eth0`],
    ],
    [
      'carries less than the pod’s',
      { op: 'set-mtu', at: 'node', ifName: end, mtuBytes: 1300, was: 1500 },
      [`dev ${end} mtu 1500`],
    ],
    ['is up while the pod’s is down', { op: 'set-down', ifName: 'eth0' }, ['-n cni-1 link set dev eth0 up']],
  ])('completes one whose node’s end %s', (_, damage, expected) => {
    const pod = made();
    pod.apply([damage]);
    const commands = commandsFor(pod.observe());
    expect(commands).toEqual(expected.map((text) => expect.stringContaining(text)));
    pod.apply(operationsFor(pod.observe()));
    expect(pod.observe()).toEqual(made().observe());
  });

  it('leaves alone an end that carries more', () => {
    const pod = made();
    pod.apply([{ op: 'set-mtu', at: 'node', ifName: end, mtuBytes: 9000, was: 1500 }]);
    expect(operationsFor(pod.observe())).toEqual([]);
  });

  it('takes the node’s end out of another bridge', () => {
    const { pod, nodeEnd, parent } = made().observe();
    if (nodeEnd === undefined || parent === undefined) throw new Error('no pair was made');
    const elsewhere = { link: { ...nodeEnd.link, controllerIndex: 9 }, controller: { ifName: 'br9', kind: 'bridge' } };
    expect(commandsFor({ pod, parent, nodeEnd: elsewhere })).toEqual([
      `ip link set dev ${end} nomaster`,
      `ip link set dev ${end} master br0`,
    ]);
    expect(attachmentDifferences({ pod, parent, nodeEnd: elsewhere }, desired)).toEqual([
      `The node’s end "${end}" is a port of "br9"`,
      `The node’s end "${end}" is no port of "br0"`,
    ]);
  });
});

describe('a plan for a pair is refused', () => {
  const observed = newPod().observe();
  const parent = (some: object): ObservedSurroundings => ({ ...observed, parent: { link: { ...bridge, ...some } } });
  const whole = made().observe();
  const nodeEnd = (some: object): { readonly nodeEnd?: ObservedParent } =>
    whole.nodeEnd === undefined ? {} : { nodeEnd: { link: { ...whole.nodeEnd.link, ...some } } };
  const { nodeEnd: _, ...withoutNodeEnd } = whole;

  it.each<[string, ObservedSurroundings, string, string, string]>([
    [
      'without its bridge',
      { pod: observed.pod },
      'ParentLinkMissing',
      'Cannot make an interface on "br0": the node has no such link',
      'Correct `master` in the network configuration, or make that bridge on the node: ip link add br0 up type bridge',
    ],
    [
      'on what is no bridge',
      parent({ kind: 'bond' }),
      'InvalidConfig',
      'Cannot make a veth on "br0": it is no Linux bridge (bond, MAC 02:00:00:00:00:07)',
      'Name a bridge of the node as `master`: ip link show type bridge. With kind macvlan an interface hangs on "br0" itself',
    ],
    [
      'on a bridge that is down',
      parent({ isUp: false }),
      'ParentLinkMissing',
      'Cannot make an interface on "br0": that link is down, so the pod would have no network',
      'Bring it up on the node: ip link set dev br0 up',
    ],
    [
      'with more MTU than the bridge has',
      parent({ mtuBytes: 1300 }),
      'InvalidConfig',
      'Cannot make a veth on "br0": "br0" carries 1300 bytes and an MTU of 1400 is asked',
      'Set `mtu` to at most 1300, or raise it on the node: ip link set dev br0 mtu 1400',
    ],
    [
      'over a stranger on the node',
      { ...observed, ...nodeEnd({ alias: 'of somebody', parentIndex: 3 }) },
      'InterfaceExists',
      `Cannot make interface "eth0": the node already has a link "${end}" (veth, MAC ${nodeEndMac(mark)}, on link 3, alias "of somebody"), which is not ours. Nothing was changed`,
      `Remove it on the node, if nobody needs it: ip link del ${end}`,
    ],
    [
      'over a link of another kind in the pod that is ours',
      { ...whole, pod: { ...whole.pod, links: whole.pod.links.map((link) => ({ ...link, kind: 'dummy' })) } },
      'InterfaceExists',
      'Cannot complete interface "eth0": an earlier attempt made it as dummy, MAC 02:00:00:00:00:01, on link 8, alias "orbweaver:5b1e/eth0", now veth on "br0" is asked. Nothing was changed',
      'Recreate the pod: its new sandbox gets the interface as the network configuration now says',
    ],
    [
      'when the pod’s end is elsewhere',
      { ...observed, ...nodeEnd({}) },
      'InterfaceExists',
      `Cannot complete interface "eth0": "${end}" on the node is the other end of another link than the pod’s "eth0". Nothing was changed`,
      'Recreate the pod: its new sandbox gets a new pair',
    ],
    [
      'when the two are not each other’s ends',
      { ...whole, ...nodeEnd({ parentIndex: 77 }) },
      'InterfaceExists',
      `Cannot complete interface "eth0": "${end}" on the node is the other end of another link than the pod’s "eth0". Nothing was changed`,
      'Recreate the pod: its new sandbox gets a new pair',
    ],
    [
      'when the node’s end was renamed',
      withoutNodeEnd,
      'InterfaceExists',
      `Cannot complete interface "eth0": its end on the node is not called "${end}" any more. Nothing was changed`,
      'Recreate the pod: its new sandbox gets a new pair',
    ],
  ])('%s', (_, surroundings, type, message, remedy) => {
    const wanted = { ...desired, mtuBytes: 1400 };
    expect(planAttachment(surroundings, wanted)).toEqual({ outcome: 'refused', failure: { type, message, remedy } });
    expect(attachmentDifferences(surroundings, wanted)).toEqual([message]);
  });

  it('not on a bridge that is a port of a VRF', () => {
    const controller = { ifName: 'red', kind: 'vrf' };
    expect(planAttachment({ ...observed, parent: { link: bridge, controller } }, desired).outcome).toBe('plan');
  });
});

describe('a check of a pair', () => {
  it.each<[ReversibleOperation, string]>([
    [{ op: 'remove-port', at: 'node', ifName: end, controller: 'br0' }, `The node’s end "${end}" is no port of "br0"`],
    [{ op: 'set-down', at: 'node', ifName: end }, `The node’s end "${end}" is down`],
    [
      { op: 'set-mtu', at: 'node', ifName: end, mtuBytes: 1300, was: 1500 },
      `The node’s end "${end}" has an MTU of 1300 instead of 1500`,
    ],
    [{ op: 'set-down', ifName: 'eth0' }, 'Interface "eth0" is down'],
  ])('names %j', (damage, sentence) => {
    const pod = made();
    pod.apply([damage]);
    expect(attachmentDifferences(pod.observe(), desired)).toEqual([sentence]);
  });

  it('names a MAC that is not the one which was answered', () => {
    expect(attachmentDifferences(made().observe(), desired, '02:00:00:00:00:01')).toEqual([]);
    expect(attachmentDifferences(made().observe(), desired, '02:00:00:00:00:99')).toEqual([
      'Interface "eth0" has MAC 02:00:00:00:00:01 instead of 02:00:00:00:00:99',
    ]);
  });

  it('says once that the pair is gone', () => {
    expect(attachmentDifferences(newPod().observe(), desired)).toEqual(['Interface "eth0" is gone']);
  });
});

describe('the node’s end', () => {
  const marks = fc.record({
    containerID: fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{0,70}$/),
    ifName: fc.stringMatching(/^[a-z]{3}[0-9]{1,3}$/),
  });

  it('has a name that a link may have, beginning as every other veth of a pod, and never that of a tied one', () => {
    fc.assert(
      fc.property(marks, marks, (one, other) => {
        expect(nodeEndOf(one)).toMatch(/^veth-[0-9a-f]{10}$/);
        expect(vethOnNode(other.containerID)).not.toBe(nodeEndOf(one));
      }),
    );
  });

  it('has a name and a MAC of its own for each interface of each sandbox', () => {
    const all = ['5b1e', '5b1f', '77aa'].flatMap((containerID) =>
      ['eth0', 'eth1', 'net1'].map((ifName) => ({ containerID, ifName })),
    );
    expect(new Set(all.map(nodeEndOf)).size).toBe(all.length);
    expect(new Set(all.map(nodeEndMac)).size).toBe(all.length);
  });

  it('has a MAC above every vendor’s, of one station', () => {
    fc.assert(fc.property(marks, (one) => expect(nodeEndMac(one)).toMatch(/^fe(:[0-9a-f]{2}){5}$/)));
  });

  it('is known by its alias, or by its name while it is being made', () => {
    const link = observedLink(8, end, { kind: 'veth', group: linkGroup });
    expect(isNodeEnd(link, mark)).toBe(true);
    expect(isNodeEnd({ ...link, alias: aliasOf(mark) }, mark)).toBe(true);
    expect(isNodeEnd({ ...link, alias: aliasOf({ ...mark, ifName: 'eth1' }) }, mark)).toBe(false);
    expect(isNodeEnd({ ...link, group: 0 }, mark)).toBe(false);
  });
});
