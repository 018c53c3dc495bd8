import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type BondConf, bondModes, type SharedLinkConf, type SharedVlanConf } from '../contracts/shared-link.ts';
import { asIpCommands, type ReversibleOperation } from './link-operation.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { isOurShared, linkGroup, markOf, portsUpOf, sharedAliasOf } from './ownership-mark.ts';
import { type ObservedNode, planSharedLinks } from './plan-shared-links.ts';
import { planSharedRemoval } from './plan-shared-removal.ts';
import { sharedLinkDifferences } from './shared-link-differences.ts';
import { NodeLinksModel } from './testing/node-links-model.ts';
import { observedLink } from './testing/observed-link.ts';

const nic = (ifIndex: number, changes: Partial<ObservedLink> = {}): ObservedLink =>
  observedLink(ifIndex, `eno${ifIndex}`, changes);

const bond: BondConf = {
  kind: 'bond',
  name: 'bond0',
  ports: ['eno1', 'eno2'],
  mode: '802.3ad',
  options: { lacp_rate: 'fast' },
};
const vlan: SharedVlanConf = { kind: 'vlan', name: 'bond0.120', parent: 'bond0', vlanID: 120 };
const onNic: SharedVlanConf = { kind: 'vlan', name: 'eno1.120', parent: 'eno1', vlanID: 120 };
const freshNode = (): NodeLinksModel => new NodeLinksModel([nic(1), nic(2), nic(3, { isUp: false })]);

function operationsFor(node: ObservedNode, wanted: readonly SharedLinkConf[]): readonly ReversibleOperation[] {
  const plan = planSharedLinks(node, wanted);
  if (plan.outcome === 'refused') throw new Error(plan.failure.message);
  return plan.operations;
}
const commandsFor = (node: ObservedNode, wanted: readonly SharedLinkConf[]): string[] =>
  asIpCommands(operationsFor(node, wanted), undefined);

/** A node on which these links were made, and then changed by hand. */
function nodeWith(wanted: readonly SharedLinkConf[], damage: readonly ReversibleOperation[] = []): NodeLinksModel {
  const node = freshNode();
  node.apply(operationsFor(node.observe(), wanted));
  node.apply(damage);
  return node;
}
/** The same as if somebody else had made them. */
function foreign(node: ObservedNode, changes: Record<string, Partial<ObservedLink>> = {}): ObservedNode {
  const links = node.links.map((link) => {
    const isMade = isOurShared(link);
    return { ...link, ...(isMade ? { alias: '', group: 0 } : {}), ...changes[link.ifName] };
  });
  return { ...node, links };
}
const removal = (node: ObservedNode, name: string): readonly string[] | string => {
  const plan = planSharedRemoval(node, name);
  return plan.outcome === 'remove' ? asIpCommands(plan.operations, undefined) : plan.outcome;
};

describe('the plan for links that pods share', () => {
  it('makes a bond, marks it, joins its ports, and then the VLAN on it', () => {
    expect(commandsFor(freshNode().observe(), [bond, vlan])).toEqual([
      'ip link add name bond0 group 28530 type bond mode 802.3ad lacp_rate fast miimon 100',
      'ip link set dev bond0 alias orbweaver:shared/bond0/eno1,eno2',
      'ip link set dev eno1 down',
      'ip link set dev eno1 master bond0',
      'ip link set dev eno2 down',
      'ip link set dev eno2 master bond0',
      'ip link set dev bond0 up',
      'ip link add link bond0 name bond0.120 group 28530 type vlan id 120',
      'ip link set dev bond0.120 alias orbweaver:shared/bond0.120/',
      'ip link set dev bond0.120 up',
    ]);
  });

  it('brings up a parent that is down (N00005), and remembers of a port that it was', () => {
    expect(commandsFor(freshNode().observe(), [{ ...onNic, name: 'eno3.120', parent: 'eno3' }])[0]).toBe(
      'ip link set dev eno3 up',
    );
    const commands = commandsFor(freshNode().observe(), [{ ...bond, ports: ['eno1', 'eno3'] }]);
    expect(commands).toContain('ip link set dev bond0 alias orbweaver:shared/bond0/eno1');
    expect(commands).not.toContain('ip link set dev eno3 down');
  });

  it('gives a new bond the least MTU of its ports, or what is asked', () => {
    const jumbo = new NodeLinksModel([nic(1, { mtuBytes: 9000 }), nic(2, { mtuBytes: 4000 })]).observe();
    expect(commandsFor(jumbo, [bond])).toContain('ip link set dev bond0 mtu 4000');
    expect(commandsFor(jumbo, [{ ...bond, mtuBytes: 9000 }])).toContain('ip link set dev bond0 mtu 9000');
    expect(commandsFor(jumbo, [bond, { ...vlan, mtuBytes: 3000 }])).toContain('ip link set dev bond0.120 mtu 3000');
  });

  it.each([
    [{}, ' miimon 100'],
    [{ miimon: '0' }, ' miimon 0'],
    [{ arp_interval: '100', arp_ip_target: '10.0.0.1' }, ' arp_interval 100 arp_ip_target 10.0.0.1'],
  ])('lets a bond notice failed ports: with %j it has%s', (options, text) => {
    const [creation] = commandsFor(freshNode().observe(), [{ ...bond, mode: 'active-backup', options }]);
    expect(creation).toBe(`ip link add name bond0 group 28530 type bond mode active-backup${text}`);
  });

  it('chooses the active port when there are ports', () => {
    const commands = commandsFor(freshNode().observe(), [
      { ...bond, mode: 'active-backup', options: { active_slave: 'eno2', primary: 'eno1' } },
    ]);
    expect(commands[0]).not.toContain('active_slave');
    expect(commands[0]).toContain('primary eno1');
    expect(commands.at(-1)).toBe('ip link set dev bond0 type bond active_slave eno2');
  });

  it('has a VLAN of one id on each of two parents', () => {
    const node = nodeWith([onNic]);
    expect(commandsFor(node.observe(), [{ ...onNic, name: 'eno2.120', parent: 'eno2' }])).toHaveLength(3);
  });

  it('uses what somebody else made as it was asked for, and brings it up (N00003)', () => {
    const made = nodeWith([bond, vlan]).observe();
    expect(commandsFor(foreign(made), [bond, vlan])).toEqual([]);
    expect(commandsFor(foreign(made, { 'bond0.120': { isUp: false } }), [bond, vlan])).toEqual([
      'ip link set dev bond0.120 up',
    ]);
  });

  it('takes a port back that left a bond of ours', () => {
    const node = nodeWith([bond], [{ op: 'remove-port', ifName: 'eno2', controller: 'bond0' }]);
    expect(commandsFor(node.observe(), [bond])).toEqual(['ip link set dev eno2 master bond0']);
    expect(sharedLinkDifferences(node.observe(), [bond])).toEqual(['"eno2" is no longer a port of "bond0"']);
  });

  it.each([
    ['250', '100', '200'],
    ['200', '100', '200'],
    ['50', '0', '50'],
  ])('knows a delay of %s ms again that a monitor of %s ms keeps as %s', (updelay, miimon, kept) => {
    const asked = { ...bond, options: { updelay, miimon } };
    const node = nodeWith([asked]).observe();
    const links = node.links.map((link) =>
      link.bond === undefined
        ? link
        : { ...link, bond: { ...link.bond, options: { ...link.bond.options, updelay: kept } } },
    );
    expect(planSharedLinks({ ...node, links }, [asked])).toEqual({ outcome: 'plan', operations: [] });
  });
});

const confs: fc.Arbitrary<readonly SharedLinkConf[]> = fc
  .record({
    ports: fc.uniqueArray(fc.constantFrom('eno1', 'eno2', 'eno3'), { minLength: 2 }),
    mode: fc.constantFrom(...bondModes),
    options: fc.record(
      { miimon: fc.constantFrom('0', '100'), use_carrier: fc.constantFrom('0', '1') },
      { requiredKeys: [] },
    ),
    vlanID: fc.integer({ min: 0, max: 4094 }),
    mtu: fc.constantFrom({}, { mtuBytes: 1400 }),
    hasBond: fc.boolean(),
  })
  .map(({ ports, mode, options, vlanID, mtu, hasBond }) => {
    const [only = ''] = ports;
    const parent = hasBond ? 'bond0' : only;
    return [
      ...(hasBond ? [{ kind: 'bond' as const, name: 'bond0', ports, mode, options, ...mtu }] : []),
      ...(vlanID === 0 ? [] : [{ kind: 'vlan' as const, name: `${parent}.${vlanID}`, parent, vlanID, ...mtu }]),
    ];
  });

describe('every plan for links that pods share', () => {
  it('leaves the node as it was when it is undone, wherever it stopped', () => {
    fc.assert(
      fc.property(confs, fc.nat({ max: 15 }), (wanted, stop) => {
        const node = freshNode();
        const before = node.observe();
        const done = operationsFor(before, wanted).slice(0, stop);
        node.apply(done);
        node.undo(done);
        expect(node.observe()).toEqual(before);
      }),
    );
  });

  it('asks for nothing more once it was carried out', () => {
    fc.assert(
      fc.property(confs, (wanted) => {
        const node = nodeWith(wanted).observe();
        expect(operationsFor(node, wanted)).toEqual([]);
        expect(sharedLinkDifferences(node, wanted)).toEqual([]);
      }),
    );
  });

  it('is completed when a worker was killed after any step', () => {
    fc.assert(
      fc.property(confs, fc.nat({ max: 15 }), (wanted, stop) => {
        const node = freshNode();
        node.apply(operationsFor(node.observe(), wanted).slice(0, stop));
        node.apply(operationsFor(node.observe(), wanted));
        expect(sharedLinkDifferences(node.observe(), wanted)).toEqual([]);
      }),
    );
  });

  it('is taken away by its marks alone, wherever it stopped; a port that was up is up again', () => {
    fc.assert(
      fc.property(confs, fc.nat({ max: 15 }), (wanted, stop) => {
        const node = freshNode();
        const before = node.observe();
        node.apply(operationsFor(before, wanted).slice(0, stop));
        for (const { name } of wanted.toReversed()) {
          const plan = planSharedRemoval(node.observe(), name);
          if (plan.outcome === 'remove') node.apply(plan.operations);
        }
        // A parent that was brought up stays up: somebody else may rely on it by now.
        const [lowest] = wanted;
        const raised = stop > 0 && lowest?.kind === 'vlan' ? lowest.parent : '';
        const expected = before.links.map((link) => (link.ifName === raised ? { ...link, isUp: true } : link));
        expect(node.observe().links).toEqual(expected);
      }),
    );
  });
});

describe('links that pods share are refused', () => {
  const fresh = freshNode().observe();
  const made = nodeWith([bond, vlan]).observe();
  const withNic = (changes: Partial<ObservedLink>): ObservedNode => ({ ...fresh, links: [nic(1, changes), nic(2)] });

  it.each<[string, ObservedNode, SharedLinkConf, string, RegExp]>([
    ['without a port', fresh, { ...bond, ports: ['eno1', 'eno9'] }, 'ParentLinkMissing', /bond "bond0" over "eno9"/],
    ['without the parent', fresh, { ...onNic, parent: 'eno9' }, 'ParentLinkMissing', /VLAN 120 on "eno9"/],
    [
      'for another mode',
      foreign(made),
      { ...bond, mode: 'balance-rr' },
      'SharedLinkDiffers',
      /"bond0" of this node: it has mode 802\.3ad, not balance-rr\. Nothing was changed/,
    ],
    [
      'for another option',
      made,
      { ...bond, options: { lacp_rate: 'slow' } },
      'SharedLinkDiffers',
      /it has lacp_rate fast, not slow/,
    ],
    [
      'for an option of which an explicit 0 is asked',
      made,
      { ...bond, options: { miimon: '0' } },
      'SharedLinkDiffers',
      /it has miimon 100, not 0/,
    ],
    [
      'for another primary port',
      made,
      { ...bond, options: { primary: 'eno1' } },
      'SharedLinkDiffers',
      /it has primary unset, not eno1/,
    ],
    [
      'for a port more, of another’s bond',
      foreign(made),
      { ...bond, ports: ['eno1', 'eno2', 'eno3'] },
      'SharedLinkDiffers',
      /it lacks port "eno3"/,
    ],
    [
      'for other ports',
      foreign(made),
      { ...bond, ports: ['eno1', 'eno3'] },
      'SharedLinkDiffers',
      /it lacks port "eno3", it has port "eno2"/,
    ],
    [
      'for more MTU than a bond has',
      made,
      { ...bond, mtuBytes: 9000 },
      'SharedLinkDiffers',
      /it has an MTU of 1500, below 9000/,
    ],
    [
      'where a device has the bond’s name',
      withNic({ ifIndex: 9, ifName: 'bond0' }),
      { ...bond, ports: ['eno2', 'eno2'] },
      'SharedLinkDiffers',
      /it is a device and no bond/,
    ],
    [
      'for another VLAN id',
      {
        ...made,
        links: [
          ...made.links,
          nic(8, { ifName: 'x', kind: 'vlan', shape: { kind: 'vlan', vlanID: 7 }, parentIndex: 1 }),
        ],
      },
      { ...onNic, name: 'x' },
      'SharedLinkDiffers',
      /"x" of this node: it is vlan id 7, not vlan id 120/,
    ],
    [
      'for a VLAN of another protocol',
      { ...fresh, links: [...fresh.links, nic(8, { ifName: 'eno1.120', kind: 'vlan', parentIndex: 1 })] },
      onNic,
      'SharedLinkDiffers',
      /it is a VLAN of another protocol/,
    ],
    [
      'for a VLAN on another parent',
      {
        ...made,
        links: [
          ...made.links,
          nic(8, { ifName: 'eno1.120', kind: 'vlan', shape: { kind: 'vlan', vlanID: 120 }, parentIndex: 3 }),
        ],
      },
      onNic,
      'SharedLinkDiffers',
      /it is on "eno3", not "eno1"/,
    ],
    [
      'where another link has the VLAN id (N00004)',
      {
        ...fresh,
        links: [
          ...fresh.links,
          nic(8, { ifName: 'storage', kind: 'vlan', shape: { kind: 'vlan', vlanID: 120 }, parentIndex: 1 }),
        ],
      },
      onNic,
      'SharedLinkDiffers',
      /"storage" is VLAN 120 of "eno1" already/,
    ],
    [
      'for more MTU than the parent has',
      fresh,
      { ...onNic, mtuBytes: 9000 },
      'InvalidConfig',
      /"eno1" carries 1500 bytes/,
    ],
    ['for a VLAN on a port of a bond', made, onNic, 'InvalidConfig', /"eno1": that is a port of bond "bond0"/],
    [
      'for a VLAN on what is no Ethernet',
      withNic({ isEthernet: false }),
      onNic,
      'InvalidConfig',
      /carries no Ethernet/,
    ],
    [
      'for a port that is no Ethernet',
      withNic({ isLoopback: true }),
      bond,
      'InvalidConfig',
      /Cannot join "eno1" to bond "bond0": it carries no Ethernet/,
    ],
    [
      'for a port of another bond',
      made,
      { ...bond, name: 'bond1' },
      'InvalidConfig',
      /"eno1" to bond "bond1": it is a port of bond "bond0"/,
    ],
    [
      'for a port with an address',
      { ...fresh, addresses: [{ ifIndex: 1, family: 4, address: '10.0.0.5/24', isLinkLocal: false }] },
      bond,
      'InvalidConfig',
      /"eno1" to bond "bond0": it carries 10\.0\.0\.5\/24/,
    ],
    ['for a port with a VLAN', nodeWith([onNic]).observe(), bond, 'InvalidConfig', /vlan "eno1\.120" hangs on it/],
  ])('%s', (_, node, wanted, type, message) => {
    expect(planSharedLinks(node, [wanted])).toEqual({
      outcome: 'refused',
      failure: { type, message: expect.stringMatching(message), remedy: expect.any(String) },
    });
    expect(sharedLinkDifferences(node, [wanted])).toHaveLength(1);
  });

  it('when the mark could not hold the names of the ports', () => {
    const many = Array.from({ length: 20 }, (_, at) => nic(at + 1, { ifName: `enp${at}s0f0np0abcd` }));
    const wanted = { ...bond, ports: many.map(({ ifName }) => ifName) };
    expect(planSharedLinks({ links: many, addresses: [] }, [wanted])).toMatchObject({
      failure: { message: expect.stringContaining('255 bytes') },
    });
  });

  it('not for a port with a link-local address, nor for a veth whose other end has the same index elsewhere', () => {
    const node: ObservedNode = {
      links: [...fresh.links, nic(9, { kind: 'veth', parentIndex: 1 })],
      addresses: [{ ifIndex: 1, family: 6, address: 'fe80::1/64', isLinkLocal: true }],
    };
    expect(planSharedLinks(node, [bond]).outcome).toBe('plan');
  });
});

describe('the removal of a link that pods shared', () => {
  const made = nodeWith([bond, vlan]).observe();

  it('goes from the top down and brings ports up that were', () => {
    const node = nodeWith([{ ...bond, ports: ['eno1', 'eno3'] }, vlan]);
    expect(removal(node.observe(), 'bond0.120')).toEqual(['ip link del dev bond0.120']);
    node.apply([{ op: 'delete-link', ifName: 'bond0.120' }]);
    expect(removal(node.observe(), 'bond0')).toEqual([
      'ip link set dev eno1 nomaster',
      'ip link set dev eno1 up',
      'ip link del dev bond0',
    ]);
  });

  it('is finished by the next one wherever a worker was killed in it: no port stays down', () => {
    for (let stop = 0; stop <= 5; stop += 1) {
      const node = nodeWith([bond]);
      const plan = planSharedRemoval(node.observe(), 'bond0');
      if (plan.outcome !== 'remove') throw new Error(plan.outcome);
      expect(plan.operations).toHaveLength(5);
      node.apply(plan.operations.slice(0, stop));
      const rest = planSharedRemoval(node.observe(), 'bond0');
      if (rest.outcome === 'remove') node.apply(rest.operations);
      expect(node.observe()).toEqual(freshNode().observe());
    }
  });

  it('finds one that was just being made', () => {
    const node = freshNode();
    node.apply(operationsFor(node.observe(), [onNic]).slice(0, 1));
    expect(removal(node.observe(), 'eno1.120')).toEqual(['ip link del dev eno1.120']);
  });

  it.each<[string, ObservedNode, string, unknown]>([
    ['what somebody else made', foreign(made), 'bond0.120', { outcome: 'nothing' }],
    ['what is gone', made, 'bond7', { outcome: 'nothing' }],
    ['an interface of the node', made, 'eno1', { outcome: 'nothing' }],
    ['what a link hangs on', made, 'bond0', { outcome: 'kept', why: 'vlan "bond0.120" hangs on it' }],
    [
      'what got an address',
      { ...made, addresses: [{ ifIndex: 5, family: 4, address: '10.0.0.5/24', isLinkLocal: false }] },
      'bond0.120',
      { outcome: 'kept', why: 'it carries 10.0.0.5/24' },
    ],
    [
      'what became a port',
      {
        ...made,
        links: [
          ...made.links.map((link) => (link.ifName === 'bond0.120' ? { ...link, controllerIndex: 9 } : link)),
          nic(9, { ifName: 'br0', kind: 'bridge' }),
        ],
      },
      'bond0.120',
      { outcome: 'kept', why: 'it is a port of bridge "br0"' },
    ],
  ])('leaves %s', (_, node, name, outcome) => {
    expect(planSharedRemoval(node, name)).toEqual(outcome);
  });
});

describe('the mark of a shared link', () => {
  it('remembers ports and is no mark of an attachment', () => {
    const alias = sharedAliasOf('bond0', ['eno1', 'eno2']);
    expect(portsUpOf(alias)).toEqual(['eno1', 'eno2']);
    expect(portsUpOf(sharedAliasOf('eno1.120', []))).toEqual([]);
    expect(markOf(alias)).toBeUndefined();
    expect(markOf(sharedAliasOf('eno1.120', []))).toBeUndefined();
  });

  it.each([
    [{ alias: '', group: linkGroup, kind: 'bond' }, true],
    [{ alias: '', group: linkGroup, kind: 'macvlan' }, false],
    [{ alias: 'uplink', group: linkGroup, kind: 'bond' }, false],
    [{ alias: '', group: 0, kind: 'vlan' }, false],
  ])('of %j: %s', (link, isOurs) => {
    expect(isOurShared(link)).toBe(isOurs);
  });
});

describe('a check of shared links', () => {
  it.each<[ReversibleOperation, string]>([
    [{ op: 'set-down', ifName: 'bond0.120' }, 'Link "bond0.120" of the node is down'],
    [{ op: 'set-down', ifName: 'bond0' }, 'Link "bond0" of the node is down'],
  ])('names %j', (damage, sentence) => {
    const found = sharedLinkDifferences(nodeWith([bond, vlan], [damage]).observe(), [bond, vlan]);
    expect(found).toContain(sentence);
  });

  it('says once what is gone', () => {
    expect(sharedLinkDifferences(freshNode().observe(), [bond, vlan])).toEqual([
      'Link "bond0" of the node is gone',
      'Link "bond0.120" of the node is gone',
    ]);
  });
});
