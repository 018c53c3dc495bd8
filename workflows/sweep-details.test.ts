import { describe, expect, it } from '@jest/globals';
import type { SweepVerdict } from '../contracts/sweep.ts';
import { expectGolden } from '../test/testing/golden-file.ts';
import { toMarkdown } from './sweep-details.ts';

const found = { seen: { claims: 214, openRuns: 198, pods: 240 }, suspects: [], left: [], postponed: 0 };
const suspect = {
  kind: 'claim',
  subject: '10.70.8.20',
  uid: 'uid',
  version: '17',
  node: 'r7-n1',
  pod: { namespace: 'pay', name: 'ghost', uid: 'uid-9' },
  containerID: '5b1d',
  pool: 'rack7-v4',
  reason: 'Bound, and its pod does not exist',
} as const;
const verdict: SweepVerdict = {
  subject: '10.70.8.20',
  node: 'r7-n1',
  pod: 'pay/ghost',
  outcome: 'released',
  reason: 'its namespace | its process: gone',
};

describe('the current details of a sweep', () => {
  it('say what was seen, asked and answered', () => {
    const left = [
      { node: 'r7-n9', why: "its node does not exist: the node guardian's", count: 300, subjects: ['10.70.8.21'] },
    ];
    const text = toMarkdown({ ...found, suspects: [suspect], left, postponed: 12 }, [verdict], 'done');
    expectGolden(new URL('testdata/sweep-details.md', import.meta.url), `${text}\n`);
  });

  it('name what is free because its time was over', () => {
    expect(toMarkdown({ ...found, expired: ['10.70.8.30'] }, [], 'done')).toContain(
      '- Their time was over: `10.70.8.30`',
    );
  });

  it('are one line each where nothing was found', () => {
    expect(toMarkdown(found, [], 'done')).toBe('- Seen: 214 claims, 198 open runs, 240 pods\n- Suspects: 0');
  });

  it('stay short when there are hundreds', () => {
    const text = toMarkdown(
      found,
      Array.from({ length: 500 }, () => verdict),
      'done',
    );
    expect(text).toContain('… and 450 more');
    expect(text.length).toBeLessThan(8000);
  });
});
