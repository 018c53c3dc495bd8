import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  FrameError,
  frameLimits,
  fromChunks,
  QUEUE_FILE_NAME,
  queueFileName,
  type ReplyFrame,
  type RequestFrame,
} from './frame.ts';

const nonce = '0123456789abcdef0123456789abcdef';
const withoutNul = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));
const names = withoutNul.filter((name) => name !== '' && !name.includes('='));
const requests: fc.Arbitrary<RequestFrame> = fc.record({
  environment: fc.array(fc.tuple(names, withoutNul)).map((entries) => new Map(entries)),
  stdin: fc.uint8Array({ maxLength: 300 }),
  nonce: fc.stringMatching(/^[0-9a-f]{32}$/),
});
const replies: fc.Arbitrary<ReplyFrame> = fc.record({
  exitCode: fc.integer({ min: 0, max: 255 }),
  stdout: fc.uint8Array({ maxLength: 300 }),
});
const u32 = (...values: number[]) => new Uint8Array(new Uint32Array(values).buffer);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const request = (environment: string | Uint8Array, stdin = '', sentNonce = nonce) => {
  const bytes = typeof environment === 'string' ? bytesOf(environment) : environment;
  return joined(u32(1, bytes.length, stdin.length, sentNonce.length), bytes, bytesOf(stdin), bytesOf(sentNonce));
};

describe('a request', () => {
  it('has the layout that the executable writes', () => {
    const frame = { environment: new Map([['CNI_COMMAND', 'ADD']]), stdin: bytesOf('{}'), nonce };
    expect(encodeRequest(frame)).toEqual(request('CNI_COMMAND=ADD\0', '{}'));
    expect([...encodeRequest(frame).subarray(0, 16)]).toEqual([1, 0, 0, 0, 16, 0, 0, 0, 2, 0, 0, 0, 32, 0, 0, 0]);
  });

  it('reads back as it was written', () => {
    fc.assert(fc.property(requests, (frame) => expect(decodeRequest(encodeRequest(frame))).toEqual(frame)));
  });

  it('is read wherever it stands in a larger buffer', () => {
    const frame = request('A=b\0', 'x');
    expect(decodeRequest(joined(u32(7, 7, 7), frame).subarray(12))).toEqual(decodeRequest(frame));
  });

  it('is whole with its last byte and not before, however it is cut', () => {
    fc.assert(
      fc.property(requests, fc.array(fc.nat(400), { maxLength: 20 }), (frame, cuts) => {
        const bytes = encodeRequest(frame);
        const take = fromChunks(decodeRequest);
        const ends = cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
        let start = 0;
        for (const end of ends) {
          expect(take(bytes.subarray(start, end))).toBe('incomplete');
          start = end;
        }
        expect(take(bytes.subarray(start))).toEqual(frame);
      }),
    );
  });

  it('keeps values that look like markup: equals signs, line ends, a byte order mark', () => {
    const frame = decodeRequest(request('CNI_ARGS=A=1;B=\n\0\u{feff}K=\u{feff}v\0'));
    expect(frame).toMatchObject({
      environment: new Map([
        ['CNI_ARGS', 'A=1;B=\n'],
        ['\u{feff}K', '\u{feff}v'],
      ]),
    });
  });

  it('reads bytes that are not UTF-8 as U+FFFD, so that validation can name the variable', () => {
    const frame = decodeRequest(request(joined(bytesOf('CNI_NETNS=/a'), Uint8Array.of(0xff, 0xc3, 0))));
    expect(frame).toMatchObject({ environment: new Map([['CNI_NETNS', '/a\u{fffd}\u{fffd}']]) });
  });

  it('takes parts up to their limits', () => {
    const value = 'v'.repeat(frameLimits.environmentBytes - 'K=\0'.length);
    const frame = { environment: new Map([['K', value]]), stdin: new Uint8Array(frameLimits.stdinBytes), nonce };
    expect(decodeRequest(encodeRequest(frame))).toEqual(frame);
    expect(() => encodeRequest({ ...frame, environment: new Map([['K', `${value}v`]]) })).toThrow(
      'The environment has 65537 bytes, 65536 are allowed',
    );
    expect(() => encodeRequest({ ...frame, stdin: new Uint8Array(frameLimits.stdinBytes + 1) })).toThrow(
      'The stdin has 524289 bytes, 524288 are allowed',
    );
  });

  it.each<[string, Uint8Array, string]>([
    ['of another version', u32(2), 'Frame version 2 is not 1'],
    ['in the other byte order', Uint8Array.of(0, 0, 0, 1), 'Frame version 16777216 is not 1'],
    ['that announces too large an environment', u32(1, 65_537, 0, 32), 'The environment has 65537 bytes'],
    ['that announces too large a stdin', u32(1, 0, 0xffffffff, 32), 'The stdin has 4294967295 bytes'],
    ['that announces another nonce length', u32(1, 0, 0, 31), 'A nonce has 32 bytes, not 31'],
    ['with bytes behind it', joined(request('A=b\0'), u32(0)), '4 bytes follow the frame'],
    ['with an unterminated variable', request('A=b'), 'does not end with a NUL'],
    ['with a variable without equals sign', request('A=b\0CD\0'), 'Environment variable "CD" has no name'],
    ['with a variable without name', request('=b\0'), 'Environment variable "=b" has no name'],
    ['with an empty variable', request('\0'), 'Environment variable "" has no name'],
    ['with a variable twice', request('A=b\0A=c\0'), 'Environment variable "A" comes twice'],
    ['with a nonce in capitals', request('', '', nonce.toUpperCase()), '32 lower-case hexadecimal digits'],
    ['with a path as nonce', request('', '', `../${nonce.slice(3)}`), '32 lower-case hexadecimal digits'],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => decodeRequest(bytes)).toThrow(FrameError);
    expect(() => decodeRequest(bytes)).toThrow(message);
  });

  it.each<[string, Partial<RequestFrame>]>([
    ['a name with an equals sign', { environment: new Map([['A=', 'b']]) }],
    ['an empty name', { environment: new Map([['', 'b']]) }],
    ['a NUL in a value', { environment: new Map([['A', 'b\0C=d']]) }],
    ['a short nonce', { nonce: 'abc' }],
  ])('is not written with %s', (_, part) => {
    expect(() => encodeRequest({ environment: new Map(), stdin: new Uint8Array(), nonce, ...part })).toThrow(
      FrameError,
    );
  });
});

describe('a reply', () => {
  it('has the layout that the executable reads', () => {
    expect(encodeReply({ exitCode: 1, stdout: bytesOf('{}') })).toEqual(joined(u32(1, 1, 2), bytesOf('{}')));
  });

  it('reads back as it was written, and only when it is whole', () => {
    fc.assert(
      fc.property(replies, fc.nat(), (frame, cut) => {
        const bytes = encodeReply(frame);
        expect(decodeReply(bytes)).toEqual(frame);
        expect(decodeReply(bytes.subarray(0, cut % bytes.length))).toBe('incomplete');
      }),
    );
  });

  it.each<[string, Uint8Array, string]>([
    ['of another version', u32(3), 'Frame version 3 is not 1'],
    ['whose exit code a process cannot have', u32(1, 256, 0), 'Exit code 256 is not between 0 and 255'],
    ['that announces too large a stdout', u32(1, 0, (1 << 20) + 1), 'The stdout has 1048577 bytes'],
    ['with bytes behind it', u32(1, 0, 0, 0), '4 bytes follow the frame'],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => decodeReply(bytes)).toThrow(FrameError);
    expect(() => decodeReply(bytes)).toThrow(message);
  });

  it('is not written when it could not be read back', () => {
    const stdout = new Uint8Array(frameLimits.stdoutBytes + 1);
    expect(() => encodeReply({ exitCode: 0, stdout })).toThrow('The stdout has 1048577 bytes, 1048576 are allowed');
    expect(() => encodeReply({ exitCode: -1, stdout: new Uint8Array() })).toThrow('Exit code -1');
    expect(() => encodeReply({ exitCode: 0.5, stdout: new Uint8Array() })).toThrow('Exit code 0.5');
  });
});

it('garbage is refused or waited for, never another error', () => {
  const header = fc.array(fc.oneof(fc.nat(40), fc.nat(0xffffffff)), { minLength: 2, maxLength: 3 });
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(header, fc.uint8Array({ maxLength: 90 })).map(([lengths, rest]) => joined(u32(1, ...lengths), rest)),
  );
  const failure = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array) => {
    try {
      decode(bytes);
      return undefined;
    } catch (error) {
      return error instanceof FrameError ? undefined : error;
    }
  };
  fc.assert(
    fc.property(fc.constantFrom(decodeRequest, decodeReply), garbage, (decode, bytes) => {
      expect(failure(decode, bytes)).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

describe('the file of a queued DEL', () => {
  it('is named so that the older one sorts first', () => {
    const nanoseconds = fc.bigInt({ min: 0n, max: 10n ** 20n - 1n });
    fc.assert(
      fc.property(nanoseconds, nanoseconds, (one, other) => {
        const isFirst = queueFileName(one, nonce) < queueFileName(other, nonce);
        expect(isFirst).toBe(one < other);
      }),
    );
    expect(queueFileName(1_700_000_000_123_456_789n, nonce)).toBe(`01700000000123456789-${nonce}.frame`);
  });

  it('is told from every other file of the directory', () => {
    expect(QUEUE_FILE_NAME.exec(queueFileName(5n, nonce))?.groups).toEqual({
      unixNanoseconds: '00000000000000000005',
      nonce,
    });
    expect(QUEUE_FILE_NAME.test(`.tmp-${nonce}`)).toBe(false);
    expect(QUEUE_FILE_NAME.test(`5-${nonce}.frame`)).toBe(false);
  });
});
