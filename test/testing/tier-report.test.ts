import { describe, expect, it } from '@jest/globals';
import { countsOf, formatTiers, isGreen, summaryLine, type TierResult } from './tier-report.ts';

const green: TierResult = { tier: 'unit', passed: 40, failed: 0, skipped: [], seconds: 3.21, budgetSeconds: 90 };

describe('the counts of a Jest report', () => {
  const file = (...statuses: string[]) => ({
    assertionResults: statuses.map((status, index) => ({ fullName: `${status} ${index}`, status })),
  });

  it('name the skipped tests, and count a todo as skipped', () => {
    const report = {
      numPassedTests: 1,
      numFailedTests: 1,
      numRuntimeErrorTestSuites: 0,
      testResults: [file('passed', 'pending'), file('failed', 'todo')],
    };
    expect(countsOf(report)).toEqual({ passed: 1, failed: 1, skipped: ['pending 1', 'todo 1'] });
  });

  it('have a failure for a file that could not even be loaded', () => {
    const report = { numPassedTests: 3, numFailedTests: 0, numRuntimeErrorTestSuites: 1, testResults: [file()] };
    expect(countsOf(report).failed).toBe(1);
  });
});

describe('a tier is green', () => {
  it('when something passed and nothing failed', () => {
    expect(isGreen(green)).toBe(true);
  });

  it.each<[string, Partial<TierResult>]>([
    ['a test failed', { failed: 1 }],
    ['it had a problem of its own', { problem: 'hangs' }],
    ['it executed no test', { passed: 0, skipped: ['links need root'] }],
  ])('never when %s', (_, change) => {
    expect(isGreen({ ...green, ...change })).toBe(false);
  });
});

describe('the report of a run', () => {
  const live: TierResult = {
    tier: 'live',
    passed: 0,
    failed: 0,
    skipped: ['a VF needs an SR-IOV PF: set TEST_PF=ens1f0'],
    seconds: 130,
    budgetSeconds: 120,
  };
  const e2e: TierResult = { ...green, tier: 'e2e', passed: 2, failed: 1, problem: 'jest ended with SIGKILL' };

  it('ends with one line that sums over the tiers, a problem being a failure', () => {
    expect(summaryLine([green, live, e2e])).toBe('42 passed, 2 failed, 1 skipped');
    expect(summaryLine([])).toBe('0 passed, 0 failed, 0 skipped');
  });

  it('shows each tier with its time and budget, what was skipped, and what went wrong', () => {
    expect(formatTiers([green, live, e2e]).split('\n')).toEqual([
      'tier           passed   failed  skipped     time   budget',
      'unit               40        0        0    3.2 s     90 s',
      'live                0        0        1  130.0 s    120 s  over budget',
      'e2e                 2        2        0    3.2 s     90 s',
      'skipped in live: a VF needs an SR-IOV PF: set TEST_PF=ens1f0',
      'tier live: executed no test, so it proves nothing',
      'tier e2e: jest ended with SIGKILL',
    ]);
  });
});
