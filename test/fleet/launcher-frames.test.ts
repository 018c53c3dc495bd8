import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { AnswerReader, encodeRequest, type LaunchAnswer } from './launcher-frames.ts';

const u32 = (...values: number[]): Buffer => Buffer.from(new Uint32Array(values).buffer);
const u64 = (...values: number[]): Buffer => Buffer.from(new BigUint64Array(values.map(BigInt)).buffer);
const endings = ['exited', 'killed', 'not started'] as const;

/** What launcher.c writes for an answer. */
const frameOf = ({
  id,
  ending,
  code,
  text,
  durationMs,
  spawnMs,
  startedAtMs,
  peakRssKiB = 0,
}: LaunchAnswer): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([
    u32(id, endings.indexOf(ending), code, peakRssKiB, bytes.length),
    u64(...[durationMs, spawnMs, startedAtMs].map((ms) => ms * 1e6)),
    bytes,
  ]);
};

const u32s = fc.nat(0xffff_ffff);
const wholeMs = fc.nat(2_000_000_000);
const answers: fc.Arbitrary<LaunchAnswer> = fc
  .record({
    id: u32s,
    ending: fc.constantFrom(...endings),
    code: u32s,
    text: fc.string({ unit: 'grapheme' }),
    durationMs: wholeMs,
    spawnMs: wholeMs,
    startedAtMs: wholeMs,
    peakRssKiB: fc.nat(1_000_000),
  })
  .map(({ peakRssKiB, ...answer }) => (peakRssKiB === 0 ? answer : { ...answer, peakRssKiB }));

describe('a request to the launcher', () => {
  it('is a header with all lengths, then path, environment and stdin', () => {
    const request = {
      id: 7,
      path: '/bin/é',
      env: { A: '1', B: '' },
      stdin: '{}',
      killAfterMs: 50,
      watchesMemory: true,
    };
    const body = Buffer.from('/bin/é\0A=1\0B=\0{}');
    expect(encodeRequest(request)).toEqual(Buffer.concat([u32(7, 50, 1, 8, 7, 2), body]));
  });

  it('never kills and never watches unless asked', () => {
    const bytes = encodeRequest({ id: 1, path: '/x', env: {}, stdin: '' });
    expect(bytes).toEqual(Buffer.concat([u32(1, 0xffff_ffff, 0, 3, 0, 0), Buffer.from('/x\0')]));
  });

  it('is refused when a NUL would cut its path or environment', () => {
    const request = { id: 1, path: '/x', env: {}, stdin: 'a\0b' };
    expect(encodeRequest(request).toString()).toMatch(/a\0b$/);
    expect(() => encodeRequest({ ...request, path: '/x\0y' })).toThrow(RangeError);
    expect(() => encodeRequest({ ...request, env: { A: 'x\0B=y' } })).toThrow(RangeError);
  });
});

describe('answers of the launcher', () => {
  it('come whole and in order, wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(answers, { maxLength: 5 }), fc.array(fc.nat(400)), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(frameOf));
        const ends = [...cuts.filter((cut) => cut < stream.length).toSorted((a, b) => a - b), stream.length];
        const reader = new AnswerReader();
        const got = ends.flatMap((end, index) => reader.read(stream.subarray(ends[index - 1] ?? 0, end)));
        expect(got).toEqual(sent);
      }),
    );
  });

  it('are given with their last byte and not before', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const reader = new AnswerReader();
        const bytes = [...frameOf(answer)];
        const got = bytes.map((byte) => reader.read(Uint8Array.of(byte)));
        expect(got.slice(0, -1).flat()).toEqual([]);
        expect(got.at(-1)).toEqual([answer]);
      }),
    );
  });

  it('keep parts of a millisecond', () => {
    const frame = Buffer.concat([u32(1, 0, 0, 0, 0), u64(1_250_000, 375_000, 0)]);
    expect(new AnswerReader().read(frame)).toMatchObject([{ durationMs: 1.25, spawnMs: 0.375 }]);
  });
});
