import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const reporter = (name: string): string => `--test-reporter=${new URL(name, import.meta.url).pathname}`;

/** Node's runner decides what a reporter is told, so it is asked. */
describe('a run of node --test', () => {
  const folder = mkdtempSync(join(tmpdir(), 'orbweaver-reporters-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  let shown = '';

  beforeAll(() => {
    writeFileSync(
      join(folder, 'a.datapath.ts'),
      `import { before, describe, it } from 'node:test';
       describe('a bond', () => {
         describe('of two links', () => {
           it('carries traffic', () => {});
           it('is broken', () => { throw new Error('no carrier'); });
           it('moves', { skip: 'needs a patched rxe' }, () => {});
         });
       });
       describe('a VF', () => {
         before(() => { throw new Error('no PF'); });
         it('is there', () => {});
       });`,
    );
    writeFileSync(join(folder, 'b.datapath.ts'), "import './absent.ts';");
    const reporters = [
      [reporter('progress-reporter.ts'), '--test-reporter-destination=stdout'],
      [reporter('count-reporter.ts'), `--test-reporter-destination=${join(folder, 'counts.json')}`],
    ].flat();
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
    const files = ['a', 'b'].map((name) => join(folder, `${name}.datapath.ts`));
    shown = spawnSync('node', ['--test', '--test-isolation=none', ...reporters, ...files], {
      env,
      encoding: 'utf8',
    }).stdout;
  });

  it('shows each test by its full name as it ends, with what went wrong', () => {
    expect(shown).toMatch(/^PASS a bond of two links carries traffic \(\d+\.\d s\)$/m);
    expect(shown).toMatch(/^FAIL a bond of two links is broken \(\d+\.\d s\)\n {5}Error: no carrier$/m);
    expect(shown).toMatch(/^SKIP a bond of two links moves: needs a patched rxe$/m);
  });

  it('counts tests, hooks that failed and files that cannot be loaded, and says why a test was skipped', () => {
    expect(shown).toContain('absent.ts');
    const counts = JSON.parse(readFileSync(join(folder, 'counts.json'), 'utf8')) as { failed: number };
    expect(counts).toMatchObject({ passed: 1, skipped: ['a bond of two links moves: needs a patched rxe'] });
    expect(counts.failed).toBeGreaterThanOrEqual(3);
  });
});
