import { describe, expect, it } from '@jest/globals';
import { parseAddress } from '../network/ip-prefix.ts';
import type { ObservedLink } from '../network/observed-namespace.ts';
import { arpAnnouncement, arpRequest, unspecifiedIPv4 } from './arp-frame.ts';
import { neighbourAdvertisement, neighbourSolicitation, unspecifiedIPv6 } from './ndp-frame.ts';
import { Probe, whyMute } from './probe.ts';

const mac = Buffer.from('020000000005', 'hex');
const other = Buffer.from('0200000000aa', 'hex');
const otherMac = '02:00:00:00:00:aa';
const timing = { tries: 3, intervalMs: 100, waitMs: 250 };
const [v4, v6] = [parseAddress('10.70.8.20'), parseAddress('fd00:70::14')];
const [gateway4, gateway6] = [parseAddress('10.70.8.1'), parseAddress('fd00:70::1')];

const search = (target: Uint8Array): Probe => new Probe({ target, timing }, mac, 0);
const asked = (target: Uint8Array, from: Uint8Array): Probe => new Probe({ target, from, timing }, mac, 0);

/** An ARP reply (opcode 2) to us. */
function arpReply(from: Uint8Array, sender: Uint8Array): Buffer {
  const frame = arpRequest(from, sender, unspecifiedIPv4);
  frame.writeUInt16BE(2, 20);
  frame.set(mac, 0);
  return frame;
}

describe('the frame of a search for duplicates', () => {
  it('of IPv4 is a request to all in which nobody is the sender (RFC 5227 §2.1.1)', () => {
    expect(search(v4).frame.toString('hex')).toBe(
      [
        'ffffffffffff',
        '020000000005',
        '0806',
        '0001',
        '0800',
        '06',
        '04',
        '0001',
        '020000000005',
        '00000000',
        '000000000000',
        '0a460814',
      ].join(''),
    );
  });

  it('of IPv6 is a solicitation from :: to the address’s group, without the MAC (RFC 4862 §5.4.2)', () => {
    expect(search(v6).frame.toString('hex')).toBe(
      [
        '3333ff000014',
        '020000000005',
        '86dd',
        '60000000',
        '0018',
        '3a',
        'ff',
        '00000000000000000000000000000000',
        'ff0200000000000000000001ff000014',
        '8700',
        '7d0f',
        '00000000',
        'fd000070000000000000000000000014',
      ].join(''),
    );
  });
});

describe('the frame of a question for a gateway', () => {
  it('of IPv4 has our address as its sender', () => {
    expect(asked(gateway4, v4).frame.subarray(22).toString('hex')).toBe('0200000000050a4608140000000000000a460801');
  });

  it('of IPv6 carries our MAC, so that the gateway need not ask for it (RFC 4861 §4.3)', () => {
    const { frame } = asked(gateway6, v6);
    expect(frame.subarray(0, 6).toString('hex')).toBe('3333ff000001');
    expect(frame.subarray(22, 38).toString('hex')).toBe('fd000070000000000000000000000014');
    expect(frame.subarray(62).toString('hex')).toBe('fd0000700000000000000000000000010101020000000005');
  });
});

describe('a search for duplicates hears', () => {
  it.each([
    ['a reply from the address', v4, arpReply(other, v4), otherMac],
    ['a request of the address’s owner for somebody else', v4, arpRequest(other, v4, gateway4), otherMac],
    ['an announcement of the address', v4, arpAnnouncement(other, v4), otherMac],
    ['somebody else who looks for the same address', v4, arpRequest(other, unspecifiedIPv4, v4), otherMac],
    ['an advertisement of the address', v6, neighbourAdvertisement(other, v6), otherMac],
    ['somebody else who looks for the same address', v6, neighbourSolicitation(other, unspecifiedIPv6, v6), otherMac],
    ['nothing in its own probe, come back', v4, arpRequest(mac, unspecifiedIPv4, v4), undefined],
    ['nothing in its own solicitation, come back', v6, neighbourSolicitation(mac, unspecifiedIPv6, v6), undefined],
    ['nothing in a packet about another address', v4, arpReply(other, gateway4), undefined],
    [
      'nothing in a request for the address by somebody who has another',
      v4,
      arpRequest(other, gateway4, v4),
      undefined,
    ],
    [
      'nothing in a solicitation by somebody who has another',
      v6,
      neighbourSolicitation(other, gateway6, v6),
      undefined,
    ],
    ['nothing in an advertisement of another address', v6, neighbourAdvertisement(other, gateway6), undefined],
    ['nothing in a frame that is cut', v4, arpReply(other, v4).subarray(0, 41), undefined],
    ['nothing in a solicitation that is cut', v6, neighbourAdvertisement(other, v6).subarray(0, 77), undefined],
    ['nothing in an empty frame', v4, Buffer.alloc(0), undefined],
  ] as const)('%s', (_, target, frame, said) => {
    expect(search(target).heard(frame)).toBe(said);
  });

  it('nothing in an advertisement that a router forwarded, or whose checksum is wrong (RFC 4861 §7.1.2)', () => {
    for (const [at, value] of [
      [21, 254],
      [57, 0xff],
    ] as const) {
      const frame = neighbourAdvertisement(other, v6);
      frame.writeUInt8(value, at);
      expect(search(v6).heard(frame)).toBeUndefined();
    }
  });

  it('nothing in frames of noise, and never fails on them', () => {
    const [four, six] = [search(v4), search(v6)];
    const sound = neighbourAdvertisement(other, v6);
    const heard = Array.from({ length: 2000 }, (_, seed) => {
      const frame = Buffer.from(sound.subarray(0, seed % 78));
      if (frame.length > 0) frame.writeUInt8((seed * 31) & 0xff, (seed * 7) % frame.length);
      return four.heard(frame) ?? six.heard(frame);
    });
    expect(heard.filter((mac) => mac !== undefined)).toEqual([]);
  });
});

describe('a search among others who may have the address, too', () => {
  const among = (target: Uint8Array): Probe => new Probe({ target, timing, ignoresSearches: true }, mac, 0);

  it('does not hear the others’ searches, but whoever has it', () => {
    expect(among(v4).heard(arpRequest(other, unspecifiedIPv4, v4))).toBeUndefined();
    expect(among(v6).heard(neighbourSolicitation(other, unspecifiedIPv6, v6))).toBeUndefined();
    expect(among(v4).heard(arpReply(other, v4))).toBe(otherMac);
    expect(among(v6).heard(neighbourAdvertisement(other, v6))).toBe(otherMac);
  });
});

describe('a question for a gateway', () => {
  it('hears its reply', () => {
    expect(asked(gateway4, v4).heard(arpReply(other, gateway4))).toBe(otherMac);
    expect(asked(gateway6, v6).heard(neighbourAdvertisement(other, gateway6))).toBe(otherMac);
  });

  it('takes nobody for it who looks for its address', () => {
    expect(asked(gateway4, v4).heard(arpRequest(other, unspecifiedIPv4, gateway4))).toBeUndefined();
    expect(asked(gateway6, v6).heard(neighbourSolicitation(other, unspecifiedIPv6, gateway6))).toBeUndefined();
  });
});

describe('the times of a probe', () => {
  it('are all tries at their interval, then the wait', () => {
    const probe = search(v4);
    const did: string[] = [];
    for (let now = 0; now <= 460; now += 10) {
      const next = probe.next(now);
      if (next === 'send') probe.sent(now);
      if (next !== 'wait') did.push(`${now} ${next}`);
    }
    expect(did).toEqual(['0 send', '100 send', '200 send', '450 end', '460 end']);
  });

  it('begin again after a link that was not ready, and no try is lost', () => {
    const probe = search(v4);
    probe.notSent(0);
    expect([probe.next(10), probe.next(20)]).toEqual(['wait', 'send']);
    for (const now of [20, 120, 220]) {
      expect(probe.next(now)).toBe('send');
      probe.sent(now);
    }
    expect(probe.next(470)).toBe('end');
  });

  it('end when the link stays dead for two seconds', () => {
    const probe = search(v4);
    for (let now = 0; now <= 2000; now += 20) {
      expect(probe.next(now)).toBe('send');
      probe.notSent(now);
    }
    expect(probe.next(2020)).toBe('dead');
  });
});

describe('a link through which nobody can be asked', () => {
  const link: ObservedLink = {
    ifIndex: 3,
    ifName: 'eth0',
    kind: 'macvlan',
    mac: '02:00:00:00:00:05',
    mtuBytes: 1500,
    isUp: true,
    isLoopback: false,
    isEthernet: true,
    group: 0,
    alias: '',
  };
  it.each([
    ['is an ipvlan', { kind: 'ipvlan' }, '"eth0" is an ipvlan, which shares its MAC with others'],
    ['is the loopback', { isLoopback: true }, '"eth0" carries no Ethernet'],
    ['carries no Ethernet', { isEthernet: false }, '"eth0" carries no Ethernet'],
  ])('%s', (_, changes, why) => {
    expect(whyMute({ ...link, ...changes })).toBe(why);
    expect(whyMute(link)).toBeUndefined();
  });
});
