import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { readAddress } from './address-message.ts';
import { readLink } from './link-message.ts';
import { readAcknowledgement } from './netlink-error.ts';
import { decodeMessages, type NetlinkMessage } from './nlmsg.ts';
import { readMainRoute } from './route-message.ts';
import { type Capture, closingCommands, commands } from './testing/iproute2-capture.ts';
import { asSent } from './testing/netlink-capture.ts';

/** Written by iproute2-golden.live.test.ts with GOLDEN=1. */
const golden = JSON.parse(readFileSync(new URL('./testdata/iproute2.json', import.meta.url), 'utf8')) as Capture;

const answers = (question: keyof Capture['answers']): NetlinkMessage[] =>
  golden.answers[question].flatMap((hex) => decodeMessages(Buffer.from(hex, 'hex')));

describe('our bytes are those of', () => {
  it.each(Object.entries({ ...commands, ...closingCommands }))('%s', (command, encode) => {
    expect(asSent(encode(golden.facts))).toBe(golden.requests[command]);
  });
});

describe('the kernel’s bytes read as', () => {
  const { linkIndex: ifIndex, parentIndex } = golden.facts;

  it('a macvlan with our marks', () => {
    expect(answers('link').map(readLink)).toContainEqual({
      ifIndex,
      ifName: 'eth0',
      kind: 'macvlan',
      mac: '02:00:00:00:00:05',
      mtuBytes: 1400,
      maxMtuBytes: 65_535,
      isUp: true,
      isLoopback: false,
      isEthernet: true,
      group: 28530,
      alias: 'orbweaver:5b1e/eth0',
      parentIndex,
      shape: { kind: 'macvlan', mode: 'bridge' },
    });
  });

  it('its addresses', () => {
    const addresses = answers('addresses').map(readAddress);
    expect(addresses.filter(({ isLinkLocal }) => !isLinkLocal)).toEqual([
      { ifIndex, family: 4, address: '10.70.8.20/22', isLinkLocal: false },
      { ifIndex, family: 6, address: 'fd00:70::14/64', isLinkLocal: false },
    ]);
  });

  it('its routes, ours among the kernel’s', () => {
    const routes = [...answers('routes4'), ...answers('routes6')].flatMap((message) => readMainRoute(message) ?? []);
    expect(routes.filter(({ dst }) => !dst.startsWith('fe80'))).toEqual([
      { family: 4, dst: '0.0.0.0/0', gateway: '10.70.8.1', ifIndex, metric: 0, protocol: 79 },
      { family: 4, dst: '10.70.8.0/22', ifIndex, metric: 0, protocol: 2 },
      { family: 4, dst: '10.99.0.0/16', gateway: '10.70.8.2', ifIndex, metric: 0, protocol: 79 },
      { family: 6, dst: 'fd00:70::/64', ifIndex, metric: 256, protocol: 2 },
      { family: 6, dst: '::/0', gateway: 'fd00:70::1', ifIndex, metric: 1024, protocol: 79 },
    ]);
  });

  it('a refusal with the kernel’s own sentence', () => {
    expect(answers('refusal').map(readAcknowledgement)).toEqual([
      { errno: 17, extack: 'ipv4: Address already assigned' },
    ]);
  });
});
