import { describe, expect, it } from '@jest/globals';
import { asCleanCommand } from './clean-operation.ts';
import type { PolicyTableRoute } from './coordination/coordination-operation.ts';
import { aliasOf, linkGroup, sharedAliasOf } from './ownership-mark.ts';
import {
  type CleanEvidence,
  type CleanItem,
  type FoundRecord,
  type FoundSandbox,
  type MarkedPlace,
  planClean,
} from './plan-clean.ts';
import { observedLink as link } from './testing/observed-link.ts';

const ours = (containerID: string, ifName: string, kind: string) => ({
  kind,
  group: linkGroup,
  alias: aliasOf({ containerID, ifName }),
});
const place = (some: Partial<MarkedPlace> = {}): MarkedPlace => ({
  links: [],
  addresses: [],
  routes: [],
  rules: [],
  neighbours: [],
  hasReplyMarks: false,
  ...some,
});
const route = (dst: string, ifName: string, some: Partial<PolicyTableRoute> = {}): PolicyTableRoute => ({
  dst,
  ifName,
  table: 500,
  protocol: 79,
  metric: 0,
  ...some,
});
const rule = { family: 4, priority: 1000, table: 500, protocol: 79 } as const;

const sandbox = (containerID: string, address: string, some: Partial<FoundSandbox> = {}): FoundSandbox => ({
  ...place({
    links: [link(1, 'lo'), link(2, 'eth0', ours(containerID, 'eth0', 'macvlan'))],
    addresses: [{ ifIndex: 2, family: 4, address: `${address}/22`, isLinkLocal: false }],
    routes: [
      route('0.0.0.0/0', 'eth0', { table: 254, gateway: '10.70.8.1' }),
      route('10.70.8.0/22', 'eth0', { protocol: 2, table: 254 }),
    ],
    rules: [
      { ...rule, table: 100, mark: 1 },
      { ...rule, protocol: 3 },
    ],
    hasReplyMarks: true,
  }),
  netns: `/run/netns/${containerID}`,
  netnsCookie: `cookie of ${containerID}`,
  isInhabited: false,
  parents: [3],
  ...some,
});
const record = (containerID: string, some: Partial<FoundRecord> = {}): FoundRecord => ({
  containerID,
  ifName: 'eth0',
  pod: `pay/${containerID}`,
  netnsCookie: `cookie of ${containerID}`,
  uses: [],
  coordination: [],
  ...some,
});

const plan = (some: Partial<CleanEvidence<FoundRecord>>): readonly CleanItem<FoundRecord>[] =>
  planClean({ node: place(), sandboxes: [], records: [], isForced: false, ...some });
/** What is done, as commands, and what is kept, with its reason. */
const told = (items: readonly CleanItem<FoundRecord>[]): string[] =>
  items.flatMap(({ what, why, netns, action }) => {
    if (action === undefined) return [`kept: ${what}: ${why}`];
    if (action.kind !== 'operations') return [`${action.kind}: ${what}: ${why}`];
    return action.operations.map((operation) => asCleanCommand(operation, netns));
  });

describe('a sandbox in which no process is', () => {
  it('loses what carries our marks, and nothing else', () => {
    expect(told(plan({ sandboxes: [sandbox('c1', '10.70.8.20')] }))).toEqual([
      'ip -n c1 rule del fwmark 0x1 lookup 100 pref 1000 proto 79',
      'nsenter --net=/run/netns/c1 nft delete table inet orbweaver',
      'ip -n c1 link del dev eth0',
    ]);
  });

  it('is given back what another plugin had made, before its marks are looked at', () => {
    const before = { op: 'set-sysctl', key: 'net.ipv4.conf.all.rp_filter', value: '0', was: '2' } as const;
    const items = plan({
      sandboxes: [sandbox('c1', '10.70.8.20', { links: [link(2, 'eth0')] })],
      records: [record('c1', { coordination: [before] })],
    });
    expect(told(items).slice(0, 2)).toEqual([
      'undo: what ties eth0 to the node: of pay/c1, in which no process is',
      'ip -n c1 route del default via 10.70.8.1 dev eth0 proto 79',
    ]);
    expect(told(items).at(-1)).toBe('record: record of pay/c1, eth0: no process is in it');
  });
});

describe('a sandbox with a process in it', () => {
  const alive = { sandboxes: [sandbox('c1', '10.70.8.20', { isInhabited: true })], records: [record('c1')] };

  it('keeps everything, also what the node has for it', () => {
    const node = place({
      links: [link(3, 'eno1'), link(9, 'vethc1', ours('c1', 'veth0', 'veth'))],
      routes: [route('10.70.8.20/32', 'vethc1'), route('10.70.8.20/32', 'cali1')],
      neighbours: [
        { ifName: 'cali1', address: '10.70.8.20', mac: '02:00:00:00:00:01', state: 'permanent', protocol: 79 },
      ],
      rules: [rule, { ...rule, family: 6 }],
    });
    expect(told(plan({ ...alive, node }))).toEqual([
      'kept: link eth0, 1 route, 1 rule, reply marks of pay/c1: processes are in this sandbox',
      'kept: record of pay/c1, eth0: processes are in this sandbox',
      'kept: link vethc1 (veth): its sandbox is alive',
      'kept: route to 10.70.8.20/32 on vethc1, table 500: vethc1 stays',
      'kept: route to 10.70.8.20/32 on cali1, table 500: a living pod has this address',
      'kept: neighbour 10.70.8.20 on cali1: a living pod has this address',
      'kept: IPv4 rule to table 500: it leads to 2 pods that stay',
      'ip -6 rule del lookup 500 pref 1000 proto 79',
    ]);
  });

  it('loses everything when it is forced', () => {
    const node = place({ links: [link(9, 'vethc1', ours('c1', 'veth0', 'veth'))], rules: [rule] });
    const items = plan({ ...alive, node, isForced: true });
    expect(items.filter(({ action }) => action === undefined)).toEqual([]);
    expect(told(items)).toContain('ip link del dev vethc1');
    expect(items[0]?.why).toBe('of pay/c1, which is alive: forced');
  });
});

describe('what the node has left of pods that are gone', () => {
  it('goes: records, routes, neighbours, rules', () => {
    const neighbour = { address: '10.70.8.20', mac: '', state: 'permanent', protocol: 79 } as const;
    const node = place({
      routes: [route('10.70.8.20/32', 'cali1'), route('10.70.8.21/32', 'cali1', { protocol: 4 })],
      neighbours: [
        { ...neighbour, ifName: 'cali1' },
        { ...neighbour, ifName: 'eno1', protocol: 0 },
      ],
      rules: [rule, { ...rule, protocol: 0 }],
    });
    expect(told(plan({ node, records: [record('c1')] }))).toEqual([
      'record: record of pay/c1, eth0: its namespace is gone',
      'ip route del 10.70.8.20/32 dev cali1 table 500 proto 79',
      'ip neigh del 10.70.8.20 dev cali1',
      'ip rule del lookup 500 pref 1000 proto 79',
    ]);
  });

  it('stays while its other end is somewhere that cannot be seen', () => {
    const node = place({ links: [link(9, 'vethc1', ours('c1', 'veth0', 'veth'))] });
    expect(told(plan({ node }))).toEqual([
      'kept: link vethc1 (veth): its other end is in a namespace that is not in sight',
    ]);
    expect(told(plan({ node, isForced: true }))).toEqual(['ip link del dev vethc1']);
  });

  it('stays when it is hardware', () => {
    const node = place({ links: [link(9, 'eno5v1', { group: linkGroup, alias: 'orbweaver:c1/net1' })] });
    expect(told(plan({ node, isForced: true }))).toEqual([
      'kept: link eno5v1 (hardware): it is hardware, which nobody can remove',
    ]);
  });
});

describe('links of the node that pods share', () => {
  const bond = link(5, 'bond0', { kind: 'bond', group: linkGroup, alias: sharedAliasOf('bond0', ['eno1']) });
  const vlan = link(6, 'bond0.120', {
    kind: 'vlan',
    group: linkGroup,
    alias: sharedAliasOf('bond0.120', []),
    parentIndex: 5,
  });
  const ports = [link(3, 'eno1', { controllerIndex: 5 }), link(4, 'eno2', { controllerIndex: 5 })];

  it('go from the top down, and ports that were up come up again', () => {
    expect(told(plan({ node: place({ links: [...ports, bond, vlan] }) }))).toEqual([
      'ip link del dev bond0.120',
      'ip link set dev eno1 nomaster',
      'ip link set dev eno1 up',
      'ip link del dev bond0',
    ]);
  });

  it('stay when we did not make them', () => {
    const links = [...ports, { ...bond, alias: 'rack uplink', group: 0 }, { ...vlan, alias: '', group: 0 }];
    expect(told(plan({ node: place({ links }) }))).toEqual([]);
  });

  it('stay when somebody has built on them', () => {
    const bridge = link(8, 'br0', { kind: 'bridge' });
    const node = place({ links: [...ports, bond, { ...vlan, controllerIndex: 8 }, bridge] });
    expect(told(plan({ node }))).toEqual([
      'kept: vlan bond0.120, which pods share: it is a port of bridge "br0"',
      'kept: bond bond0, which pods share: vlan "bond0.120" hangs on it',
    ]);
  });

  it.each([
    ['a record says so', { parents: [] }, [record('c1', { uses: ['bond0.120'] })], 'pay/c1, eth0'],
    ['its interface hangs on it, whoever made that', { parents: [6] }, [], 'sandbox c1'],
  ])('stay while a living pod uses them: %s', (_, hangs, records, user) => {
    const sandboxes = [sandbox('c1', '10.70.8.20', { isInhabited: true, ...hangs })];
    expect(told(plan({ sandboxes, records, node: place({ links: [...ports, bond, vlan] }) })).slice(-2)).toEqual([
      `kept: vlan bond0.120, which pods share: used by ${user}`,
      'kept: bond bond0, which pods share: vlan "bond0.120" hangs on it',
    ]);
  });
});
