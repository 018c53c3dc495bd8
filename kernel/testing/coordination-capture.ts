import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replyMarkRules } from '../../network/coordination/reply-marks.ts';
import { parseAddress, parsePrefix } from '../../network/ip-prefix.ts';
import { createVeth, parseMac, setLinkMac, setTxQueueLen } from '../link-message.ts';
import { deleteNeighbour, replaceNeighbour } from '../neighbour-message.ts';
import { NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_NEWRULE } from '../netlink-constants.ts';
import { encodeMessage, type NetlinkRequest } from '../nlmsg.ts';
import { addRoute, deleteRoute, type LinkRoute } from '../route-message.ts';
import { addRule, deleteRule } from '../rule-message.ts';
import { type CapturedCommands, onCaptureStage, type Question, traced } from './netlink-capture.ts';

/** What the bytes depend on beyond the command. */
export interface CoordinationFacts {
  /** Index of veth0 in the pod's namespace. */
  readonly podIndex: number;
  /** Index of its other end in the node's. */
  readonly nodeIndex: number;
  /** Descriptor under which ip held the pod's namespace. */
  readonly netnsFd: number;
}

export interface CoordinationCapture {
  readonly facts: CoordinationFacts;
  /** Messages that ip(8) sent, as hex with sequence number 0, by command. */
  readonly requests: Readonly<Record<string, string>>;
  /** The kernel's datagrams that held the answer, as hex. */
  readonly answers: Readonly<Record<keyof typeof questions, readonly string[]>>;
}

const podMac = '0a:1b:0a:46:08:14';
const nodeMac = '0a:1b:0a:46:08:02';

const makeVeth = `ip -n NODE link add name veth5b1e group 28530 address ${nodeMac} mtu 1400 type veth peer name veth0 group 28530 address ${podMac} mtu 1400 netns POD`;

const route = ({ podIndex }: CoordinationFacts, dst: string, rest: Partial<LinkRoute> = {}): LinkRoute => ({
  ifIndex: podIndex,
  dst: parsePrefix(dst),
  protocol: 79,
  ...rest,
});
const source = parseAddress('10.70.8.20');
const via = (gateway: string): { gateway: Uint8Array } => ({ gateway: parseAddress(gateway) });

const neighbour = (ifIndex: number, address: string, mac: string) =>
  ({ ifIndex, address: parseAddress(address), mac: parseMac(mac), state: 'permanent', protocol: 79 }) as const;

const makingVeth: CapturedCommands<CoordinationFacts> = {
  [makeVeth]: ({ netnsFd }) => {
    const end = { group: 28530, mtuBytes: 1400 };
    const peer = { ...end, ifName: 'veth0', mac: parseMac(podMac), netnsFd };
    return createVeth({ ...end, ifName: 'veth5b1e', mac: parseMac(nodeMac), peer });
  },
};
const tying: CapturedCommands<CoordinationFacts> = {
  'ip -n POD link set dev veth0 address 0a:1b:0a:46:08:15': ({ podIndex }) =>
    setLinkMac(podIndex, parseMac('0a:1b:0a:46:08:15')),
  'ip -n POD link set dev veth0 txqueuelen 2000': ({ podIndex }) => setTxQueueLen(podIndex, 2000),
  [`ip -n POD neigh replace 10.70.8.2 lladdr ${nodeMac} dev veth0 nud permanent proto 79`]: ({ podIndex }) =>
    replaceNeighbour(neighbour(podIndex, '10.70.8.2', nodeMac)),
  [`ip -n NODE neigh replace fd00:70::14 lladdr ${podMac} dev veth5b1e nud permanent proto 79`]: ({ nodeIndex }) =>
    replaceNeighbour(neighbour(nodeIndex, 'fd00:70::14', podMac)),
  'ip -n POD route add 10.70.8.2/32 dev veth0 src 10.70.8.20 proto 79': (facts) =>
    addRoute(route(facts, '10.70.8.2/32', { source })),
  'ip -n POD route add 10.70.8.2/32 dev veth0 table 101 src 10.70.8.20 proto 79': (facts) =>
    addRoute(route(facts, '10.70.8.2/32', { table: 101, source })),
  'ip -n POD route add 10.96.0.0/12 via 10.70.8.2 dev veth0 table 10003 src 10.70.8.20 metric 7 proto 79 mtu 1300': (
    facts,
  ) =>
    addRoute(route(facts, '10.96.0.0/12', { ...via('10.70.8.2'), table: 10_003, source, metric: 7, mtuBytes: 1300 })),
  'ip -n POD -6 route add fd00:70::2/128 dev veth0 table 101 metric 1024 proto 79': (facts) =>
    addRoute(route(facts, 'fd00:70::2/128', { table: 101, metric: 1024 })),
  'ip -n POD route prepend 10.97.0.0/16 via 10.70.8.2 dev veth0 proto 79': (facts) =>
    addRoute(route(facts, '10.97.0.0/16', via('10.70.8.2')), 'first'),
  'ip -n POD route append 10.97.0.0/16 via 10.70.8.2 dev veth0 src 10.70.8.20 proto 79': (facts) =>
    addRoute(route(facts, '10.97.0.0/16', { ...via('10.70.8.2'), source }), 'last'),
  'ip -n POD route del 10.97.0.0/16 via 10.70.8.2 dev veth0 src 10.70.8.20 proto 79': (facts) =>
    deleteRoute(route(facts, '10.97.0.0/16', { ...via('10.70.8.2'), source })),
  'ip -n POD rule add fwmark 0x1 lookup 100 pref 1000 proto 79': () =>
    addRule({ family: 4, priority: 1000, table: 100, protocol: 79, mark: 1 }),
  'ip -n POD rule add from 10.70.8.20/32 lookup 10003 pref 32765 proto 79': () =>
    addRule({ family: 4, priority: 32_765, table: 10_003, protocol: 79, from: '10.70.8.20/32' }),
  'ip -n POD -6 rule add from fd00:70::14/128 lookup 101 pref 32765 proto 79': () =>
    addRule({ family: 6, priority: 32_765, table: 101, protocol: 79, from: 'fd00:70::14/128' }),
};

export const coordinationCommands: CapturedCommands<CoordinationFacts> = { ...makingVeth, ...tying };

/** The same, after the questions were asked. */
export const coordinationClosing: typeof coordinationCommands = {
  'ip -n POD rule del from 10.70.8.20/32 lookup 10003 pref 32765 proto 79': () =>
    deleteRule({ family: 4, priority: 32_765, table: 10_003, protocol: 79, from: '10.70.8.20/32' }),
  'ip -n POD neigh del 10.70.8.2 dev veth0': ({ podIndex }) =>
    deleteNeighbour({ ifIndex: podIndex, address: parseAddress('10.70.8.2') }),
};

const questions = {
  rules4: ['ip -n POD -4 rule show', RTM_NEWRULE],
  rules6: ['ip -n POD -6 rule show', RTM_NEWRULE],
  routes4: ['ip -n POD -4 route show table all', RTM_NEWROUTE],
  routes6: ['ip -n POD -6 route show table all', RTM_NEWROUTE],
  neighbours: ['ip -n POD neigh show', RTM_NEWNEIGH],
} as const satisfies Record<string, Question>;

const noFacts: CoordinationFacts = { podIndex: 0, nodeIndex: 0, netnsFd: 0 };

/** Keeps what went over the netlink socket of ip(8). Needs root. */
export const captureCoordination = (): CoordinationCapture =>
  onCaptureStage(({ ip, indexOf, requestsOf, answersTo }) => {
    const made = requestsOf(makingVeth, noFacts);
    ip('ip -n POD link set dev veth0 up');
    ip('ip -n NODE link set dev veth5b1e up');
    ip('ip -n POD addr add 10.70.8.20/32 dev veth0');
    ip('ip -n POD addr add fd00:70::14/64 dev veth0 nodad');
    const tied = requestsOf(tying, noFacts);
    // Two ways of one route, and what is no route of ours to read.
    ip('ip -n POD route add 10.90.0.0/16 nexthop via 10.70.8.2 dev veth0 nexthop via 10.70.8.2 dev veth0 onlink');
    ip('ip -n POD -6 route append fd00:90::/32 via fd00:70::2 dev veth0');
    ip('ip -n POD -6 route append fd00:90::/32 via fd00:70::3 dev veth0');
    ip('ip -n POD route add unreachable 10.91.0.0/16');
    ip('ip -n POD rule add iif lo lookup 100 pref 900');
    const facts = {
      podIndex: indexOf('POD veth0'),
      nodeIndex: indexOf('NODE veth5b1e'),
      netnsFd: descriptorIn(made[makeVeth]),
    };
    const answers = {
      rules4: answersTo(questions.rules4),
      rules6: answersTo(questions.rules6),
      routes4: answersTo(questions.routes4),
      routes6: answersTo(questions.routes6),
      neighbours: answersTo(questions.neighbours),
    };
    return { facts, requests: { ...made, ...tied, ...requestsOf(coordinationClosing, noFacts) }, answers };
  });

/** The batches that nft(8) sends for the reply marks, as hex, numbered from 0 as nft does. Needs root. */
export function captureReplyMarks(): { readonly add: string; readonly remove: string } {
  const name = `ow-cap-${randomUUID().slice(0, 8)}`;
  const directory = mkdtempSync(join(tmpdir(), 'ow-nft-'));
  const batchOf = (...args: string[]): string => {
    const { sent } = traced(['netns', 'exec', name, 'nft', ...args]);
    const batch = sent.find((bytes) => bytes.readUInt16LE(4) === NFNL_MSG_BATCH_BEGIN);
    if (batch === undefined) throw new Error(`nft ${args.join(' ')} sent no batch`);
    return batch.toString('hex');
  };
  try {
    execFileSync('ip', ['netns', 'add', name]);
    const file = join(directory, 'marks.nft');
    writeFileSync(file, `${replyMarkRules('veth0').join('\n')}\n`);
    return { add: batchOf('-f', file), remove: batchOf('delete', 'table', 'inet', 'orbweaver') };
  } finally {
    spawnSync('ip', ['netns', 'del', name]);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Our bytes for a batch, numbered and flagged as nft(8) does: it asks for no acknowledgement. */
export const asBatch = (requests: readonly NetlinkRequest[]): string =>
  Buffer.concat(
    requests.map((request, index) => encodeMessage({ ...request, flags: request.flags | NLM_F_REQUEST }, index)),
  ).toString('hex');

/** IFLA_NET_NS_FD of the peer: the only attribute of that length and type in the message. */
function descriptorIn(hex = ''): number {
  const message = Buffer.from(hex, 'hex');
  return message.readUInt32LE(message.indexOf(Buffer.from([8, 0, 28, 0])) + 4);
}
