import { describe, expect, it } from '@jest/globals';
import type { Suspect, SweepReport } from '../contracts/sweep.ts';
import { plain } from './paint.ts';
import { dryRunOf, renderDryRun, renderReport } from './sweep-page.ts';
import { golden } from './testing/golden.ts';

const seen = { claims: 214, openRuns: 198, pods: 240 };
const sandbox = `5b1d${'0'.repeat(60)}`;
const ghost = { namespace: 'pay', name: 'ghost', uid: 'uid-9' };
const claim: Suspect = {
  kind: 'claim',
  subject: '10.70.8.20',
  uid: 'uid-of-the-claim',
  version: '17',
  node: 'r7-n1',
  pod: ghost,
  containerID: sandbox,
  pool: 'rack7-v4',
  reason: 'Bound, and its pod does not exist',
};
const run: Suspect = {
  kind: 'run',
  subject: `pod/pay/ghost/${sandbox}`,
  uid: 'run-1',
  version: '',
  node: 'r7-n1',
  pod: ghost,
  containerID: sandbox,
  reason: "open, and its pod's name belongs to another pod",
};
const lost = { ...claim, subject: '10.70.8.21', node: 'r7-n9', why: "its node does not exist: the node guardian's" };

describe('a dry run', () => {
  it('prints every suspect, what its node would be asked, and what is left alone', async () => {
    const text = renderDryRun(dryRunOf({ seen, suspects: [claim, run], left: [lost], postponed: 0 }), plain, 200);
    expect(text).toBe(await golden('reclaim-dry-run.txt', text));
  });

  it('says when there is nothing', () => {
    const found = dryRunOf({ seen, suspects: [], left: [], postponed: 0 });
    expect(renderDryRun(found, plain)).toBe('214 claims, 198 open runs, 240 pods: nothing is abandoned');
  });

  it('has the question in its JSON', () => {
    expect(
      dryRunOf({ seen, suspects: [claim, run], left: [], postponed: 0 }).suspects.map(({ question }) => question),
    ).toEqual([
      { workflowID: 'check/r7-n1', ask: 'is sandbox 5b1d000000000 gone? Then release the address' },
      { workflowID: 'check/r7-n1', ask: 'is sandbox 5b1d000000000 gone? Then end the run' },
    ]);
  });

  it('has no question about what is held for something that has ended', () => {
    const held = { ...claim, identity: 'StatefulSet/pay/api/0', reason: 'Held for StatefulSet/pay/api/0, and …' };
    const [found] = dryRunOf({ seen, suspects: [held], left: [], postponed: 0 }).suspects;
    expect(found?.question).toEqual({ ask: 'nothing: no sandbox has it, and the sweep releases it' });
  });
});

describe('a sweep', () => {
  const report: SweepReport = {
    seen,
    verdicts: [
      {
        subject: '10.70.8.20',
        node: 'r7-n1',
        pod: 'pay/ghost',
        outcome: 'released',
        reason: 'no process is in its namespace',
      },
      {
        subject: '10.70.8.22',
        node: 'r7-n1',
        pod: 'pay/api-3',
        outcome: 'kept',
        reason: 'its network namespace is there',
      },
      { subject: '10.70.8.23', node: 'r7-n1', pod: 'pay/api-4', outcome: 'cleared', reason: 'its pod is there' },
      {
        subject: '10.70.8.24',
        node: 'r7-n2',
        pod: 'pay/api-5',
        outcome: 'unanswered',
        reason: 'its worker did not answer within 20 s',
      },
    ],
    left: [
      { node: 'r7-n9', why: "its node does not exist: the node guardian's", count: 300, subjects: ['10.70.8.21'] },
    ],
    postponed: 12,
  };

  it('prints what each node said', async () => {
    const text = renderReport(report, plain, 200);
    expect(text).toBe(await golden('reclaim.txt', text));
  });

  it('names what is free because its time was over', () => {
    const text = renderReport({ ...report, expired: ['10.70.8.30', '10.70.8.31'] }, plain, 200);
    expect(text).toContain('Their time was over: 10.70.8.30 10.70.8.31');
  });

  it('says when there is nothing', () => {
    const text = renderReport({ seen, verdicts: [], left: [], postponed: 0 }, plain);
    expect(text).toBe('214 claims, 198 open runs, 240 pods: nothing is abandoned');
  });
});
