/** What one tier came to. Times are seconds. */
export interface TierResult {
  readonly tier: string;
  readonly passed: number;
  readonly failed: number;
  /** Full names of skipped tests; a name says what is missing. */
  readonly skipped: readonly string[];
  readonly seconds: number;
  readonly budgetSeconds: number;
  /** Why the tier itself could not do its work, for example that its parts did not build. Counts as one failure. */
  readonly problem?: string;
}

/** What we read of the file that `jest --json --outputFile` writes. */
export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Files that ended before their first test, for example by a failing import: none of their tests is counted. */
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** The counts of one Jest run. A file that could not run counts as one failure, a `todo` as skipped. */
export function countsOf(report: JestReport): Pick<TierResult, 'passed' | 'failed' | 'skipped'> {
  const notRun = new Set(['pending', 'todo', 'skipped', 'disabled']);
  const assertions = report.testResults.flatMap((file) => file.assertionResults);
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skipped: assertions.filter(({ status }) => notRun.has(status)).map(({ fullName }) => fullName),
  };
}

/** A tier is green when it executed something and nothing failed. */
export const isGreen = (result: TierResult): boolean => failuresOf(result) === 0 && result.passed > 0;

/** One row per tier with its time beside its budget; then what was skipped and what went wrong. */
export function formatTiers(results: readonly TierResult[]): string {
  const row = ([tier = '', ...cells]: readonly string[]) =>
    [tier.padEnd(12), ...cells.map((cell) => cell.padStart(8))].join(' ');
  const rows = results.map((result) => {
    const counts = [result.passed, failuresOf(result), result.skipped.length].map(String);
    const isOver = result.seconds > result.budgetSeconds;
    return (
      row([result.tier, ...counts, `${result.seconds.toFixed(1)} s`, `${result.budgetSeconds} s`]) +
      (isOver ? '  over budget' : '')
    );
  });
  return [
    row(['tier', 'passed', 'failed', 'skipped', 'time', 'budget']),
    ...rows,
    ...results.flatMap(({ tier, skipped }) => skipped.map((name) => `skipped in ${tier}: ${name}`)),
    ...results.flatMap((result) => complaintsOf(result).map((complaint) => `tier ${result.tier}: ${complaint}`)),
  ].join('\n');
}

/** The last line of a run: `N passed, N failed, N skipped`. */
export function summaryLine(results: readonly TierResult[]): string {
  const sum = (count: (result: TierResult) => number) => results.reduce((total, result) => total + count(result), 0);
  return `${sum(({ passed }) => passed)} passed, ${sum(failuresOf)} failed, ${sum(({ skipped }) => skipped.length)} skipped`;
}

const failuresOf = ({ failed, problem }: TierResult): number => failed + (problem === undefined ? 0 : 1);

function complaintsOf(result: TierResult): readonly string[] {
  if (result.problem !== undefined) return [result.problem];
  return result.passed + result.failed === 0 ? ['executed no test, so it proves nothing'] : [];
}
