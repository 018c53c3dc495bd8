import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { attribute, nameAttribute, nestedAttribute, readAttributes, textAttribute, u32Attribute } from './attribute.ts';
import { decodeMessages, encodeMessage } from './nlmsg.ts';

describe('attributes', () => {
  it('are padded to four bytes, which their length does not count', () => {
    expect(nameAttribute(3, 'eth0').toString('hex')).toBe('090003006574683000000000');
  });

  it('are read back as they were written', () => {
    const entries = fc.uniqueArray(fc.tuple(fc.nat({ max: 0x3fff }), fc.uint8Array({ maxLength: 40 })), {
      selector: ([type]) => type,
    });
    fc.assert(
      fc.property(entries, (written) => {
        const read = readAttributes(Buffer.concat(written.map(([type, payload]) => attribute(type, payload))));
        for (const [type, payload] of written) expect(read.bytes(type)).toEqual(Buffer.from(payload));
      }),
    );
  });

  it('may hold others', () => {
    const read = readAttributes(
      nestedAttribute(18, textAttribute(1, 'macvlan'), nestedAttribute(2, u32Attribute(1, 4))),
    );
    expect(read.nested(18).text(1)).toBe('macvlan');
    expect(read.nested(18).nested(2).u32(1)).toBe(4);
    expect(read.nested(7).text(1)).toBeUndefined();
  });

  it('that make no sense are read without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const read = readAttributes(Buffer.from(bytes));
        for (let type = 0; type < 8; type += 1) expect(() => read.nested(type).text(1)).not.toThrow();
      }),
    );
  });
});

describe('messages', () => {
  const request = { type: 16, flags: 5, body: Buffer.from('0102030405', 'hex') };

  it('are read back one by one from a datagram', () => {
    const datagram = Buffer.concat([encodeMessage(request, 1), encodeMessage(request, 2)]);
    expect(decodeMessages(datagram).map(({ sequence, body }) => [sequence, body.toString('hex')])).toEqual([
      [1, '0102030405'],
      [2, '0102030405'],
    ]);
  });

  it('that claim more than there is are refused', () => {
    const datagram = encodeMessage(request, 1);
    datagram.writeUInt32LE(999, 0);
    expect(() => decodeMessages(datagram)).toThrow('claims 999 of 24 bytes');
  });
});
