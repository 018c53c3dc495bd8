import { describe, expect, it } from '@jest/globals';
import { parseAddress } from '../network/ip-prefix.ts';
import { arpAnnouncement } from './arp-frame.ts';
import { neighbourAdvertisement } from './ndp-frame.ts';

const mac = Buffer.from('020000000005', 'hex');

describe('an announcement', () => {
  it('of an IPv4 address is an ARP request for itself to all', () => {
    expect(arpAnnouncement(mac, parseAddress('10.70.8.20')).toString('hex')).toBe(
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
        '0a460814',
        '000000000000',
        '0a460814',
      ].join(''),
    );
  });

  it('of an IPv6 address is an advertisement that overrides, to all nodes, with the checksum that receivers compute', () => {
    const frame = neighbourAdvertisement(mac, parseAddress('fd00:70::14'));
    const address = 'fd000070000000000000000000000014';
    const allNodes = 'ff020000000000000000000000000001';
    expect(frame.subarray(0, 54).toString('hex')).toBe(
      ['333300000001', '020000000005', '86dd', '60000000', '0020', '3a', 'ff', address, allNodes].join(''),
    );
    expect(frame.subarray(58).toString('hex')).toBe(['20000000', address, '0201', '020000000005'].join(''));
    expect(frame.subarray(54, 56).toString('hex')).toBe('8800');
    // RFC 1071 §1: over a message that carries its checksum the sum is all ones.
    const summed = Buffer.concat([Buffer.from(`${address}${allNodes}000000200000003a`, 'hex'), frame.subarray(54)]);
    let sum = 0;
    for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
    expect((sum & 0xffff) + (sum >>> 16)).toBe(0xffff);
  });
});
