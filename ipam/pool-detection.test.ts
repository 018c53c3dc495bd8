import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { detectionAnnotation, readPoolDetection } from './pool-detection.ts';

const read = (text: string) => readPoolDetection({ [detectionAnnotation]: text });
const problems = (text: string): readonly string[] =>
  read(text).problems.map(({ what, allowed }) => `${what}; allowed: ${allowed}`);

describe('what a pool says of probes', () => {
  it('is nothing without the annotation', () => {
    expect(readPoolDetection({})).toEqual({ problems: [] });
  });

  it('is read with the keys of a network configuration, and only what is there', () => {
    expect(read('{"detectIPConflict": true, "detectOptions": {"retries": 5, "timeout": "200ms"}}')).toEqual({
      probes: { conflicts: true, timing: { tries: 5, waitMs: 200 } },
      problems: [],
    });
    expect(read('{"detectGateway": false, "detectIPConflict": null}')).toEqual({
      probes: { gateways: false },
      problems: [],
    });
  });

  it.each([
    ['yes', /^is not JSON; allowed: an object such as \{"detectIPConflict": true/],
    ['true', /^is not an object; allowed: an object/],
    ['[]', /^is not an object/],
    ['null', /^is not an object/],
    ['{"detectIpConflict": true}', /^has the key "detectIpConflict"; allowed: detectIPConflict, detectGateway, /],
    ['{"detectGateway": "true"}', /^has detectGateway "true"; allowed: true, false$/],
    ['{"detectOptions": {"retries": 11}}', /^has detectOptions\.retries 11; allowed: 1 to 10 tries$/],
    ['{"detectOptions": {"interval": "2s"}}', /^has detectOptions\.interval "2s"; allowed: "1ms" to "1s"$/],
  ])('is not %s', (text, problem) => {
    expect(problems(text)).toEqual([expect.stringMatching(problem)]);
  });

  it('is told with everything that is wrong', () => {
    expect(problems('{"on": 1, "detectGateway": 1, "detectOptions": {"retries": 0.5, "timeout": "x"}}')).toHaveLength(
      4,
    );
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => expect(read(text)).toHaveProperty('problems')));
  });
});
