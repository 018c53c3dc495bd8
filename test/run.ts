/**
 * Runs tiers of tests: `run.ts [tier…]`, all of them when none is named. Quick tiers run while the parts that later tiers need are
 * still being built. The last line is `N passed, N failed, N skipped`; the exit code is 0 when every tier that has tests is green.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { glob, mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endAll, run } from './process-group.ts';
import {
  countsOf,
  formatTiers,
  isGreen,
  type JestReport,
  summaryLine,
  type TierResult,
} from './testing/tier-report.ts';
import { type Checks, type GuestSuite, type JestSelection, type Tier, tiers } from './tiers.ts';

type Outcome = Pick<TierResult, 'passed' | 'failed' | 'skipped' | 'problem'>;

/** A tier that takes this many times its budget hangs: it is ended and counts as failed. */
const hangFactor = 4;
const jest = [
  '--experimental-vm-modules', // Jest runs ES modules through them
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
const reports = mkdtempSync(join(tmpdir(), 'orbweaver-reports-'));
process.once('exit', () => rmSync(reports, { recursive: true }));

for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  process.once(signal, () => void endAll().finally(() => process.exit(code)));
}
try {
  process.exitCode = (await runTiers(process.argv.slice(2))) ? 0 : 1;
} catch (failure) {
  console.error(failure);
  await endAll();
  process.exit(1);
}

async function runTiers(names: readonly string[]): Promise<boolean> {
  const unknown = names.filter((name) => !tiers.some((tier) => tier.name === name));
  if (unknown.length > 0) {
    console.error(`No such tier: ${unknown.join(', ')}. Tiers: ${tiers.map(({ name }) => name).join(', ')}`);
    return false;
  }
  const begun = performance.now();
  const asked = tiers.filter((tier) => names.length === 0 || names.includes(tier.name));
  const hasTests = await Promise.all(asked.map(isPresent));
  const present = asked.filter((_, index) => hasTests[index]);
  const ready = buildParts(present);
  const results: TierResult[] = [];
  for (const tier of present) results.push(await runTier(tier, await ready.get(tier)));

  console.log(`\n${formatTiers(results)}`);
  for (const { name } of asked.filter((tier) => !present.includes(tier))) console.log(`tier ${name}: no tests yet`);
  console.log(`all of it took ${secondsSince(begun).toFixed(1)} s`);
  console.log(summaryLine(results));
  return results.length > 0 && results.every(isGreen);
}

async function isPresent({ tests }: Tier): Promise<boolean> {
  if (tests.kind === 'checks') return true;
  if (tests.kind === 'guest') return (await Array.fromAsync(glob(tests.files))).length > 0;
  const list = await run('node', [...jest, '--listTests', '--json', ...selection(tests)], { output: 'captured' });
  if (list.code !== 0) throw new Error(`jest cannot list the tests of project ${tests.project}:\n${list.said}`);
  return list.said.includes('.test.ts');
}

/** Builds in the background, one tier's parts after the other's, and gives for each tier a promise of what went wrong, if anything. */
function buildParts(present: readonly Tier[]): ReadonlyMap<Tier, Promise<string | undefined>> {
  const ready = new Map<Tier, Promise<string | undefined>>();
  let before: Promise<unknown> = Promise.resolve();
  for (const tier of present) {
    if (tier.parts === undefined) continue;
    const command = ['-n', '10', 'node', 'deploy/toolchain/build-parts.ts', ...tier.parts];
    const built = before
      .then(() => run('nice', command))
      .then(({ code }) => (code === 0 ? undefined : 'its parts could not be built, see above'));
    ready.set(tier, built);
    before = built;
  }
  return ready;
}

async function runTier(tier: Tier, problem: string | undefined): Promise<TierResult> {
  console.log(`\n== ${tier.name}`);
  const begun = performance.now();
  const outcome = problem === undefined ? await runTests(tier) : failed(problem);
  return { tier: tier.name, ...outcome, seconds: secondsSince(begun), budgetSeconds: tier.budgetSeconds };
}

async function runTests({ name, tests, budgetSeconds }: Tier): Promise<Outcome> {
  const limitSeconds = budgetSeconds * hangFactor;
  switch (tests.kind) {
    case 'checks':
      return runChecks(tests);
    case 'jest':
      return runJest(name, tests, limitSeconds);
    case 'guest':
      return runInGuest(tests, limitSeconds);
  }
}

async function runChecks({ commands }: Checks): Promise<Outcome> {
  const check = async ([name, [program, ...args]]: [string, Checks['commands'][string]]): Promise<boolean> => {
    const begun = performance.now();
    const { code, said } = await run(program, args, { output: 'captured' });
    console.log(`${code === 0 ? 'PASS' : 'FAIL'} ${name} (${secondsSince(begun).toFixed(1)} s)`);
    if (code !== 0) console.log(said.trimEnd());
    return code === 0;
  };
  const verdicts = await Promise.all(Object.entries(commands).map(check));
  const passed = verdicts.filter(Boolean).length;
  return { passed, failed: verdicts.length - passed, skipped: [] };
}

async function runJest(tier: string, tests: JestSelection, limitSeconds: number): Promise<Outcome> {
  const report = join(reports, `${tier}.json`);
  const flags = ['--json', `--outputFile=${report}`, '--verbose=false', ...limitOf(tests)];
  const ended = await run('node', [...jest, ...flags, ...selection(tests)], { output: 'errors', limitSeconds });
  if (ended.isLate) return failed(`hangs: ended after ${limitSeconds} s`);
  if (!existsSync(report)) return failed(`jest ended with ${ended.code} and left no report`);
  const counts = countsOf(JSON.parse(await readFile(report, 'utf8')) as JestReport);
  return ended.code === 0 || counts.failed > 0 ? counts : { ...counts, problem: `jest ended with ${ended.code}` };
}

async function runInGuest({ files }: GuestSuite, limitSeconds: number): Promise<Outcome> {
  const share = join(reports, 'guest');
  await mkdir(share);
  const guest = ['test/datapath/run-in-guest.ts', '--timeout', String(limitSeconds), '--share', share, '--'];
  const counting = [
    '--test-reporter=./test/datapath/count-reporter.ts',
    '--test-reporter-destination=/run/share/counts.json',
  ];
  const suite = ['test/datapath/run-tests.sh', ...counting, files];
  const ended = await run('node', [...guest, ...suite]);
  const counts = join(share, 'counts.json');
  if (!existsSync(counts)) return failed(`the guest ended with ${ended.code} and left no counts`);
  const outcome = JSON.parse(await readFile(counts, 'utf8')) as Outcome;
  return ended.code === 0 || outcome.failed > 0
    ? outcome
    : { ...outcome, problem: `the guest ended with ${ended.code}` };
}

function limitOf({ atOnce }: JestSelection): readonly string[] {
  if (atOnce === undefined) return [];
  return [atOnce === 1 ? '--runInBand' : `--maxWorkers=${atOnce}`];
}

function selection({ project, only }: JestSelection): readonly string[] {
  return ['--selectProjects', project, ...(only === undefined ? [] : ['--', only])];
}

function failed(problem: string): Outcome {
  return { passed: 0, failed: 0, skipped: [], problem };
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
