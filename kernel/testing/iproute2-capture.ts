import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { parseAddress, parsePrefix } from '../../network/ip-prefix.ts';
import { addAddress, deleteAddress } from '../address-message.ts';
import { createMacvlan, createVeth, deleteLink, setLinkAlias, setLinkMtu, setLinkUp } from '../link-message.ts';
import { NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from '../netlink-constants.ts';
import { encodeMessage, type NetlinkRequest } from '../nlmsg.ts';
import { addRoute, deleteRoute } from '../route-message.ts';

/** What the bytes depend on beyond the command. */
export interface CaptureFacts {
  /** Index of eth1, the parent, in the node's namespace. */
  readonly parentIndex: number;
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

/** Each command with our message for it. Carried out in this order; NODE and POD stand for the namespaces. */
export const commands: Readonly<Record<string, (facts: CaptureFacts) => NetlinkRequest>> = {
  'ip -n NODE link add link eth1 name eth0 netns POD group 28530 type macvlan mode bridge': (facts) =>
    createMacvlan({ ...facts, ifName: 'eth0', mode: 'bridge', group: 28530 }),
  'ip -n NODE link add link eth1 name private9 netns POD group 28530 type macvlan mode private': (facts) =>
    createMacvlan({ ...facts, ifName: 'private9', mode: 'private', group: 28530 }),
  'ip -n NODE link add veth9 group 28530 type veth peer name peer9 netns POD': ({ netnsFd }) =>
    createVeth({ ifName: 'veth9', group: 28530, peer: { ifName: 'peer9', netnsFd } }),
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
  'ip -n POD link set dev eth0 down': ({ linkIndex }) => setLinkUp(linkIndex, false),
  'ip -n POD link del dev eth0': ({ linkIndex }) => deleteLink(linkIndex),
};

/** Commands whose answers we read, with the type of message that holds the answer. The last is refused. */
type Question = readonly [command: string, type: number];
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

/** Our bytes for a request, as the socket would send them, with sequence number 0. */
export const asSent = (request: NetlinkRequest): string =>
  encodeMessage({ ...request, flags: request.flags | NLM_F_REQUEST | NLM_F_ACK }, 0).toString('hex');

/** Runs ip(8) under strace in two fresh namespaces and keeps what went over its netlink socket. Needs root. */
export function captureIproute2(): Capture {
  const id = randomUUID().slice(0, 8);
  const names = { NODE: `ow-cap-${id}-n`, POD: `ow-cap-${id}-p` };
  const real = (command: string): string[] =>
    command.replace('NODE', names.NODE).replace('POD', names.POD).split(' ').slice(1);
  const ip = (command: string): string => execFileSync('ip', real(command), { encoding: 'utf8' });
  try {
    for (const name of Object.values(names)) ip(`ip netns add ${name}`);
    ip('ip -n NODE link add eth1 type veth peer name wire');
    ip('ip -n NODE link set dev eth1 up');
    ip('ip -n NODE link set dev wire up');
    const requests: Record<string, string> = {};
    const record = (command: string, encode: (facts: CaptureFacts) => NetlinkRequest): void => {
      const type = encode({ parentIndex: 0, linkIndex: 0, netnsFd: 0 }).type;
      requests[command] = lastRequest(traced(real(command)).sent, type).toString('hex');
    };
    for (const [command, encode] of Object.entries(commands)) record(command, encode);
    ip('ip -n POD link set dev eth0 address 02:00:00:00:00:05');
    const facts = {
      parentIndex: indexOf(ip('ip -n NODE -j link show dev eth1')),
      linkIndex: indexOf(ip('ip -n POD -j link show dev eth0')),
      netnsFd: descriptorIn(
        requests['ip -n NODE link add link eth1 name eth0 netns POD group 28530 type macvlan mode bridge'],
      ),
    };
    const ask = ([command, type]: Question): string[] => answersOf(traced(real(command)).received, type);
    const answers = {
      link: ask(questions.link),
      addresses: ask(questions.addresses),
      routes4: ask(questions.routes4),
      routes6: ask(questions.routes6),
      refusal: ask(questions.refusal),
    };
    for (const [command, encode] of Object.entries(closingCommands)) record(command, encode);
    return { facts, requests, answers };
  } finally {
    for (const name of Object.values(names)) spawnSync('ip', ['netns', 'del', name]);
  }
}

const indexOf = (json: string): number => (JSON.parse(json) as { ifindex: number }[])[0]?.ifindex ?? 0;

/** IFLA_NET_NS_FD is the first attribute after nlmsghdr and ifinfomsg. */
const descriptorIn = (hex = ''): number => Buffer.from(hex, 'hex').readUInt32LE(16 + 16 + 4);

/** ip first probes what the kernel can; the command itself comes last. */
function lastRequest(sent: readonly Buffer[], type: number): Buffer {
  const request = sent.findLast((bytes) => bytes.readUInt16LE(4) === type);
  if (request === undefined) throw new Error(`ip sent no message of type ${type}`);
  request.writeUInt32LE(0, 8);
  return request;
}

const answersOf = (received: readonly Buffer[], type: number): string[] =>
  received.filter((datagram) => datagram.readUInt16LE(4) === type).map((datagram) => datagram.toString('hex'));

/** strace prints each buffer as lines of " | 00010  08 00 …  ascii |". */
function traced(args: readonly string[]): { sent: Buffer[]; received: Buffer[] } {
  const options = ['-e', 'trace=sendmsg,sendto,recvmsg', '-e', 'write=all', '-e', 'read=all', '-s', '1'];
  const { stderr, error } = spawnSync('strace', [...options, 'ip', ...args], { encoding: 'utf8' });
  if (error !== undefined) throw error;
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  let target = sent;
  for (const line of stderr.split('\n')) {
    const call = /^(sendmsg|sendto|recvmsg)\(/.exec(line)?.[1];
    if (call !== undefined) target = call === 'recvmsg' ? received : sent;
    const [, at, hex] = /^ \| ([0-9a-f]{5,})  ((?:[0-9a-f]{2} +)+)/.exec(line) ?? [];
    if (at === undefined || hex === undefined) continue;
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const begun = Number.parseInt(at, 16) === 0 ? undefined : target.pop();
    target.push(begun === undefined ? bytes : Buffer.concat([begun, bytes]));
  }
  return { sent, received };
}
