import type { BondMode, BondOptions } from '../../contracts/shared-link.ts';
import { parseAddress, parsePrefix } from '../../network/ip-prefix.ts';
import { asIpCommand } from '../../network/link-operation.ts';
import { addAddress, deleteAddress } from '../address-message.ts';
import {
  createBond,
  createLink,
  createVeth,
  deleteLink,
  parseMac,
  setActivePort,
  setLinkAlias,
  setLinkController,
  setLinkMtu,
  setLinkUp,
} from '../link-message.ts';
import { NLMSG_ERROR, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from '../netlink-constants.ts';
import { addRoute, deleteRoute } from '../route-message.ts';
import { type CapturedCommands, onCaptureStage, type Question } from './netlink-capture.ts';

/** What the bytes depend on beyond the command. */
export interface CaptureFacts {
  /** Index of eth1, the parent, in the node's namespace. */
  readonly parentIndex: number;
  /** Index of br0, in the node's. */
  readonly bridgeIndex: number;
  /** Index of eth0, the macvlan, in the pod's. */
  readonly linkIndex: number;
  /** Descriptor under which ip held the pod's namespace. */
  readonly netnsFd: number;
}

export interface Capture {
  readonly facts: CaptureFacts;
  /** Messages that ip(8) sent, as hex with sequence number 0, by command. */
  readonly requests: Readonly<Record<string, string>>;
  /** The kernel's datagrams that held the answer, as hex. */
  readonly answers: Readonly<Record<keyof typeof questions, readonly string[]>>;
}

/** Every option of a bond, by the modes that know it. */
const lacpOptions: BondOptions = {
  ad_actor_sys_prio: '100',
  ad_actor_system: '02:00:00:00:00:01',
  ad_select: 'bandwidth',
  ad_user_port_key: '7',
  all_slaves_active: '1',
  downdelay: '200',
  lacp_rate: 'fast',
  miimon: '100',
  min_links: '1',
  tlb_dynamic_lb: '0',
  updelay: '300',
  use_carrier: '0',
  xmit_hash_policy: 'layer3+4',
};
const backupOptions: BondOptions = {
  arp_all_targets: 'all',
  arp_interval: '150',
  arp_ip_target: '10.70.8.1,10.70.8.2',
  arp_validate: 'active',
  fail_over_mac: 'follow',
  num_peer_notif: '3',
  peer_notif_delay: '1000',
  primary: 'eth1',
  primary_reselect: 'better',
  resend_igmp: '2',
};
const roundRobinOptions: BondOptions = { lp_interval: '2', miimon: '0', packets_per_slave: '0' };

const bondCommand = (ifName: string, mode: BondMode, options: BondOptions): string =>
  asIpCommand({ op: 'create-bond', ifName, group: 28530, mode, options }, undefined).replace('ip ', 'ip -n NODE ');

const pair = {
  op: 'create-pair',
  ifName: 'eth5',
  mtuBytes: 1400,
  nodeEnd: { ifName: 'veth-5b1e001122', mac: 'fe:00:00:00:00:05', mtuBytes: 1500 },
  master: 'br0',
  group: 28530,
} as const;
const pairCommand = asIpCommand(pair, '/run/netns/POD').replace('ip ', 'ip -n NODE ');

/** What the kernel lacks it refuses, after ip has sent the message. */
export const commands: CapturedCommands<CaptureFacts> = {
  'ip -n NODE link add link eth1 name eth0 netns POD group 28530 type macvlan mode bridge': (facts) =>
    createLink({ ...facts, ifName: 'eth0', shape: { kind: 'macvlan', mode: 'bridge' }, group: 28530 }),
  'ip -n NODE link add link eth1 name private9 netns POD group 28530 type macvlan mode private': (facts) =>
    createLink({ ...facts, ifName: 'private9', shape: { kind: 'macvlan', mode: 'private' }, group: 28530 }),
  'ip -n NODE link add link eth1 name eth2 netns POD group 28530 type ipvlan mode l2': (facts) =>
    createLink({ ...facts, ifName: 'eth2', shape: { kind: 'ipvlan', mode: 'l2' }, group: 28530 }),
  'ip -n NODE link add link eth1 name eth3 netns POD group 28530 type ipvlan mode l3s': (facts) =>
    createLink({ ...facts, ifName: 'eth3', shape: { kind: 'ipvlan', mode: 'l3s' }, group: 28530 }),
  'ip -n NODE link add link eth1 name eth4 netns POD group 28530 type vlan id 4094': (facts) =>
    createLink({ ...facts, ifName: 'eth4', shape: { kind: 'vlan', vlanID: 4094 }, group: 28530 }),
  'ip -n NODE link add link eth1 name eth1.120 group 28530 type vlan id 120': ({ parentIndex }) =>
    createLink({ parentIndex, ifName: 'eth1.120', shape: { kind: 'vlan', vlanID: 120 }, group: 28530 }),
  'ip -n NODE link add name bond7 group 28530 type bond mode balance-rr': () =>
    createBond({ ifName: 'bond7', group: 28530, mode: 'balance-rr', options: {} }),
  [bondCommand('bond8', '802.3ad', lacpOptions)]: () =>
    createBond({ ifName: 'bond8', group: 28530, mode: '802.3ad', options: lacpOptions }),
  [bondCommand('bond9', 'active-backup', backupOptions)]: ({ parentIndex }) =>
    createBond({
      ifName: 'bond9',
      group: 28530,
      mode: 'active-backup',
      options: backupOptions,
      portIndexes: new Map([['eth1', parentIndex]]),
    }),
  [bondCommand('bond10', 'balance-rr', roundRobinOptions)]: () =>
    createBond({ ifName: 'bond10', group: 28530, mode: 'balance-rr', options: roundRobinOptions }),
  'ip -n NODE link set dev eth1 nomaster': ({ parentIndex }) => setLinkController(parentIndex, 0),
  'ip -n NODE link add veth9 group 28530 type veth peer name peer9 netns POD': ({ netnsFd }) =>
    createVeth({ ifName: 'veth9', group: 28530, peer: { ifName: 'peer9', netnsFd } }),
  [pairCommand]: ({ netnsFd, bridgeIndex }) =>
    createVeth({
      ...pair.nodeEnd,
      mac: parseMac(pair.nodeEnd.mac),
      group: pair.group,
      controllerIndex: bridgeIndex,
      peer: { ifName: pair.ifName, group: pair.group, mtuBytes: pair.mtuBytes, netnsFd },
    }),
  'ip -n NODE link set dev eth1 master br0': ({ parentIndex, bridgeIndex }) =>
    setLinkController(parentIndex, bridgeIndex),
  'ip -n POD link set dev eth0 alias orbweaver:5b1e/eth0': ({ linkIndex }) =>
    setLinkAlias(linkIndex, 'orbweaver:5b1e/eth0'),
  'ip -n POD link set dev eth0 mtu 1400': ({ linkIndex }) => setLinkMtu(linkIndex, 1400),
  'ip -n POD link set dev eth0 up': ({ linkIndex }) => setLinkUp(linkIndex, true),
  'ip -n POD addr add 10.70.8.20/22 dev eth0': ({ linkIndex }) => addAddress(linkIndex, parsePrefix('10.70.8.20/22')),
  'ip -n POD addr add fd00:70::14/64 dev eth0 nodad': ({ linkIndex }) =>
    addAddress(linkIndex, parsePrefix('fd00:70::14/64')),
  'ip -n POD route add default via 10.70.8.1 dev eth0 proto 79': (facts) =>
    addRoute(route(facts, '0.0.0.0/0', '10.70.8.1')),
  'ip -n POD route add 10.99.0.0/16 via 10.70.8.2 dev eth0 proto 79': (facts) =>
    addRoute(route(facts, '10.99.0.0/16', '10.70.8.2')),
  'ip -n POD route add 10.98.0.0/16 via 10.71.0.1 dev eth0 proto 79 onlink': (facts) =>
    addRoute({ ...route(facts, '10.98.0.0/16', '10.71.0.1'), isOnlink: true }),
  'ip -n POD -6 route add default via fd00:70::1 dev eth0 proto 79': (facts) =>
    addRoute(route(facts, '::/0', 'fd00:70::1')),
  'ip -n POD -6 route add fd00:99::/32 via fd00:70::2 dev eth0 proto 79': (facts) =>
    addRoute(route(facts, 'fd00:99::/32', 'fd00:70::2')),
  'ip -n POD -6 route del fd00:99::/32 via fd00:70::2 dev eth0 proto 79': (facts) =>
    deleteRoute(route(facts, 'fd00:99::/32', 'fd00:70::2')),
  'ip -n POD route del 10.98.0.0/16 via 10.71.0.1 dev eth0 proto 79': (facts) =>
    deleteRoute(route(facts, '10.98.0.0/16', '10.71.0.1')),
};

/** The same, after the questions were asked. */
export const closingCommands: typeof commands = {
  'ip -n POD addr del 10.70.8.20/22 dev eth0': ({ linkIndex }) =>
    deleteAddress(linkIndex, parsePrefix('10.70.8.20/22')),
  'ip -n POD addr del fd00:70::14/64 dev eth0': ({ linkIndex }) =>
    deleteAddress(linkIndex, parsePrefix('fd00:70::14/64')),
  'ip -n NODE link set dev eth1 type bond active_slave eth1': ({ parentIndex }) =>
    setActivePort(parentIndex, parentIndex),
  'ip -n POD link set dev eth0 down': ({ linkIndex }) => setLinkUp(linkIndex, false),
  'ip -n POD link del dev eth0': ({ linkIndex }) => deleteLink(linkIndex),
};

/** The last is refused. */
const questions = {
  link: ['ip -n POD -d link show dev eth0', RTM_NEWLINK],
  addresses: ['ip -n POD addr show dev eth0', RTM_NEWADDR],
  routes4: ['ip -n POD -4 route show table main', RTM_NEWROUTE],
  routes6: ['ip -n POD -6 route show table main', RTM_NEWROUTE],
  refusal: ['ip -n POD addr add 10.70.8.20/22 dev eth0', NLMSG_ERROR],
} as const satisfies Record<string, Question>;

const route = ({ linkIndex }: CaptureFacts, dst: string, gateway: string) => ({
  ifIndex: linkIndex,
  dst: parsePrefix(dst),
  gateway: parseAddress(gateway),
  protocol: 79,
});

const noFacts: CaptureFacts = { parentIndex: 0, bridgeIndex: 0, linkIndex: 0, netnsFd: 0 };

/** Keeps what went over the netlink socket of ip(8). Needs root. */
export const captureIproute2 = (): Capture =>
  onCaptureStage(({ ip, indexOf, requestsOf, answersTo }) => {
    ip('ip -n NODE link add eth1 type veth peer name wire');
    ip('ip -n NODE link set dev eth1 up');
    ip('ip -n NODE link set dev wire up');
    ip('ip -n NODE link add br0 up type bridge');
    const requests = requestsOf(commands, noFacts);
    ip('ip -n POD link set dev eth0 address 02:00:00:00:00:05');
    const facts = {
      parentIndex: indexOf('NODE eth1'),
      bridgeIndex: indexOf('NODE br0'),
      linkIndex: indexOf('POD eth0'),
      netnsFd: descriptorIn(
        requests['ip -n NODE link add link eth1 name eth0 netns POD group 28530 type macvlan mode bridge'],
      ),
    };
    const answers = {
      link: answersTo(questions.link),
      addresses: answersTo(questions.addresses),
      routes4: answersTo(questions.routes4),
      routes6: answersTo(questions.routes6),
      refusal: answersTo(questions.refusal),
    };
    return { facts, requests: { ...requests, ...requestsOf(closingCommands, noFacts) }, answers };
  });

/** IFLA_NET_NS_FD is the first attribute after nlmsghdr and ifinfomsg. */
const descriptorIn = (hex = ''): number => Buffer.from(hex, 'hex').readUInt32LE(16 + 16 + 4);
