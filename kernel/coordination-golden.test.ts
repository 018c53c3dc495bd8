import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { readNeighbour } from './neighbour-message.ts';
import { addReplyMarks, deleteReplyMarks } from './nftables-message.ts';
import { decodeMessages, type NetlinkMessage } from './nlmsg.ts';
import { readHops } from './route-message.ts';
import { readRule } from './rule-message.ts';
import {
  asBatch,
  type CoordinationCapture,
  coordinationClosing,
  coordinationCommands,
} from './testing/coordination-capture.ts';
import { asSent } from './testing/netlink-capture.ts';

/** Written by coordination-golden.live.test.ts with GOLDEN=1. */
const read = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`./testdata/${file}`, import.meta.url), 'utf8')) as unknown;
const golden = read('coordination-iproute2.json') as CoordinationCapture;

/** Less the end of each dump. */
const answers = (question: keyof CoordinationCapture['answers']): NetlinkMessage[] =>
  golden.answers[question].flatMap((hex) => decodeMessages(Buffer.from(hex, 'hex'))).filter(({ type }) => type > 3);

describe('our bytes are those of', () => {
  it.each(Object.entries({ ...coordinationCommands, ...coordinationClosing }))('%s', (command, encode) => {
    expect(asSent(encode(golden.facts))).toBe(golden.requests[command]);
  });

  it('nft(8) for the reply marks, made and removed', () => {
    expect({ add: asBatch(addReplyMarks('veth0')), remove: asBatch(deleteReplyMarks()) }).toEqual(
      read('coordination-nft.json'),
    );
  });
});

describe('the kernel’s bytes read as', () => {
  const ifIndex = golden.facts.podIndex;
  const local = 255;

  it('rules, less those that look at more than source and mark', () => {
    expect([...answers('rules4'), ...answers('rules6')].map(readRule)).toEqual([
      { family: 4, priority: 0, table: 255, protocol: 2 },
      undefined, // from all iif lo
      { family: 4, priority: 1000, table: 100, protocol: 79, mark: 1 },
      { family: 4, priority: 32_765, table: 10_003, protocol: 79, from: '10.70.8.20/32' },
      { family: 4, priority: 32_766, table: 254, protocol: 2 },
      { family: 4, priority: 32_767, table: 253, protocol: 2 },
      { family: 6, priority: 0, table: 255, protocol: 2 },
      { family: 6, priority: 32_765, table: 101, protocol: 79, from: 'fd00:70::14/128' },
      { family: 6, priority: 32_766, table: 254, protocol: 2 },
    ]);
  });

  it('routes of every table, several ways as one each, without the unreachable', () => {
    const routes = [...answers('routes4'), ...answers('routes6')].flatMap(readHops);
    const kept = routes.filter(({ table, dst }) => table !== local && !dst.startsWith('fe80') && dst !== 'ff00::/8');
    const [source, gateway] = ['10.70.8.20', '10.70.8.2'];
    const v4 = { family: 4, table: 254, protocol: 79, metric: 0, ifIndex } as const;
    const v6 = { family: 6, table: 254, protocol: 3, metric: 1024, ifIndex } as const;
    expect(kept).toEqual([
      { ...v4, dst: '10.96.0.0/12', table: 10_003, metric: 7, source, mtuBytes: 1300, gateway },
      { ...v4, dst: '10.70.8.2/32', table: 101, source },
      { ...v4, dst: '10.70.8.2/32', source },
      { ...v4, dst: '10.90.0.0/16', protocol: 3, gateway, isHop: true },
      { ...v4, dst: '10.90.0.0/16', protocol: 3, gateway, isOnlink: true, isHop: true },
      { ...v4, dst: '10.97.0.0/16', gateway },
      { ...v6, dst: 'fd00:70::2/128', table: 101, protocol: 79 },
      { ...v6, dst: 'fd00:70::/64', protocol: 2, metric: 256 },
      { ...v6, dst: 'fd00:90::/32', gateway: 'fd00:70::2', isHop: true },
      { ...v6, dst: 'fd00:90::/32', gateway: 'fd00:70::3', isHop: true },
    ]);
  });

  it('a neighbour that we put there', () => {
    const found = answers('neighbours').map(readNeighbour);
    expect(found.filter((entry) => entry?.protocol === 79)).toEqual([
      { ifIndex, address: '10.70.8.2', mac: '0a:1b:0a:46:08:02', state: 'permanent', protocol: 79 },
    ]);
  });
});
