import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser';

const configuration = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as Required<IConfiguration>;

/** Each rule must be able to fail: here it meets a tree that breaks it, and one that does not. */
describe('the import table', () => {
  let tree: string;
  beforeEach(async () => {
    tree = await mkdtemp(join(tmpdir(), 'import-rules-'));
  });
  afterEach(() => rm(tree, { recursive: true }));

  it.each([
    ['workflows-imports-one-way', 'workflows/a.ts', 'kernel/b.ts'],
    ['workflows-reach-no-effects', 'workflows/a.ts', 'activities/b.ts'],
    ['ipam-imports-one-way', 'ipam/a.ts', 'kube/b.ts'],
    ['network-imports-one-way', 'network/a.ts', 'ipam/b.ts'],
    ['contracts-imports-one-way', 'contracts/a.ts', 'ipam/b.ts'],
    ['activities-imports-one-way', 'activities/a.ts', 'kube/b.ts'],
    ['kernel-imports-one-way', 'kernel/a.ts', 'activities/b.ts'],
    ['kube-imports-one-way', 'kube/a.ts', 'workflows/b.ts'],
    ['nothing-imports-the-roots', 'kube/a.ts', 'workers/b.ts'],
    ['not-to-test', 'kube/a.ts', 'kube/b.test.ts'],
  ])('%s refuses that %s imports %s', async (rule, from, to) => {
    await write(to, 'export const value = 1;\n');
    await write(from, `export { value } from '../${to}';\n`);
    expect(await brokenRules()).toContain(rule);
  });

  it('pure-folders-touch-no-world refuses files and clocks of Node in decisions', async () => {
    await write('ipam/a.ts', "export { readFileSync } from 'node:fs';\n");
    expect(await brokenRules()).toEqual(['pure-folders-touch-no-world']);
  });

  it('no-circular refuses two files that import each other', async () => {
    await write('ipam/a.ts', "export { b } from './b.ts';\nexport const a = 1;\n");
    await write('ipam/b.ts', "export { a } from './a.ts';\nexport const b = 1;\n");
    expect(await brokenRules()).toContain('no-circular');
  });

  it('sees an import of types alone', async () => {
    await write('kernel/b.ts', 'export interface Value { readonly a: 1 }\n');
    await write(
      'workflows/a.ts',
      "import type { Value } from '../kernel/b.ts';\nexport const value: Value = { a: 1 };\n",
    );
    expect(await brokenRules()).toContain('workflows-imports-one-way');
  });

  it('accepts what the table allows', async () => {
    await write('contracts/c.ts', 'export const value = 1;\n');
    await write('ipam/a.ts', "export { value } from '../contracts/c.ts';\n");
    await write('activities/a.ts', "export { value } from '../ipam/a.ts';\n");
    expect(await brokenRules()).toEqual([]);
  });

  async function write(path: string, source: string): Promise<void> {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), source);
  }

  async function brokenRules(): Promise<readonly string[]> {
    const { forbidden, options } = configuration;
    const { tsConfig: _, ...rest } = options;
    const { output } = await cruise(['.'], { ...rest, baseDir: tree, validate: true, ruleSet: { forbidden } });
    const { violations } = (output as ICruiseResult).summary;
    return [...new Set(violations.map(({ rule }) => rule.name))];
  }
});
