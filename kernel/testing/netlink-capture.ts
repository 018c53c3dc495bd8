import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { NLM_F_ACK, NLM_F_REQUEST } from '../netlink-constants.ts';
import { encodeMessage, type NetlinkRequest } from '../nlmsg.ts';

/** Commands, each with our message for it, in the order in which they are carried out; NODE and POD stand for the namespaces. */
export type CapturedCommands<Facts> = Readonly<Record<string, (facts: Facts) => NetlinkRequest>>;

/** A command whose answer we read, with the type of message that holds the answer. */
export type Question = readonly [command: string, type: number];

/** Two fresh namespaces, and what ip(8) and the kernel say to each other there. */
export interface CaptureStage {
  /** Carries a command out and gives what it prints. */
  readonly ip: (command: string) => string;
  /** The index of a link; `where` is as in a command: "NODE eth1". */
  readonly indexOf: (where: string) => number;
  /** Carries commands out and gives the messages that ip sent for them, as hex with sequence number 0. */
  readonly requestsOf: <Facts>(commands: CapturedCommands<Facts>, someFacts: Facts) => Readonly<Record<string, string>>;
  /** The kernel's datagrams that hold the answer, as hex. */
  readonly answersTo: (question: Question) => readonly string[];
}

/** Runs a capture over two namespaces that are gone afterwards. Needs root, ip(8) and strace(1). */
export function onCaptureStage<Capture>(capture: (stage: CaptureStage) => Capture): Capture {
  const id = randomUUID().slice(0, 8);
  const names = { NODE: `ow-cap-${id}-n`, POD: `ow-cap-${id}-p` };
  const real = (command: string): string[] =>
    command.replace('NODE', names.NODE).replace('POD', names.POD).split(' ').slice(1);
  const ip = (command: string): string => execFileSync('ip', real(command), { encoding: 'utf8' });
  try {
    for (const name of Object.values(names)) ip(`ip netns add ${name}`);
    return capture({
      ip,
      indexOf(where) {
        const [namespace, link] = where.split(' ');
        const links = JSON.parse(ip(`ip -n ${namespace} -j link show dev ${link}`)) as { ifindex: number }[];
        return links[0]?.ifindex ?? 0;
      },
      requestsOf: (commands, someFacts) =>
        Object.fromEntries(
          Object.entries(commands).map(([command, encode]) => [
            command,
            lastRequest(traced(real(command)).sent, encode(someFacts).type).toString('hex'),
          ]),
        ),
      answersTo: ([command, type]) =>
        traced(real(command))
          .received.filter((datagram) => datagram.readUInt16LE(4) === type)
          .map((datagram) => datagram.toString('hex')),
    });
  } finally {
    for (const name of Object.values(names)) spawnSync('ip', ['netns', 'del', name]);
  }
}

/** Our bytes for a request, as the socket would send them, with sequence number 0. */
export const asSent = (request: NetlinkRequest): string =>
  encodeMessage({ ...request, flags: request.flags | NLM_F_REQUEST | NLM_F_ACK }, 0).toString('hex');

/** ip first probes what the kernel can; the command itself comes last. */
export function lastRequest(sent: readonly Buffer[], type: number): Buffer {
  const request = sent.findLast((bytes) => bytes.readUInt16LE(4) === type);
  if (request === undefined) throw new Error(`ip sent no message of type ${type}`);
  request.writeUInt32LE(0, 8);
  return request;
}

/** strace prints each buffer as lines of " | 00010  08 00 …  ascii |". */
export function traced(args: readonly string[], program = 'ip'): { sent: Buffer[]; received: Buffer[] } {
  const options = ['-e', 'trace=sendmsg,sendto,recvmsg', '-e', 'write=all', '-e', 'read=all', '-s', '1'];
  const { stderr, error } = spawnSync('strace', [...options, program, ...args], { encoding: 'utf8' });
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
