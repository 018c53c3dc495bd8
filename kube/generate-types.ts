import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { type CustomResourceDefinition, crdTypes } from './crd-types.ts';

// node kube/generate-types.ts           writes contracts/crds/<kind>.ts from deploy/crds/<kind>.yaml
// node kube/generate-types.ts --check   exits with 1 and names what differs, and writes nothing

const root = join(import.meta.dirname, '..');
const isCheck = process.argv.includes('--check');
const handWritten = new Set(['object-meta.ts', 'README.md']);

const target = join(root, 'contracts/crds');
const sources = (await readdir(join(root, 'deploy/crds'))).filter((file) => file.endsWith('.yaml')).toSorted();
const wanted = new Map(
  await Promise.all(sources.map(async (file) => [file.replace(/\.yaml$/, '.ts'), await generate(file)] as const)),
);

await mkdir(target, { recursive: true });
const present = (await readdir(target)).filter((file) => !handWritten.has(file));
const stale = present.filter((file) => !wanted.has(file));
const drifted = stale.map((file) => `contracts/crds/${file}: no CRD in deploy/crds/ stands behind it, remove it`);
for (const [file, text] of wanted) {
  const found = present.includes(file) ? await readFile(join(target, file), 'utf8') : '';
  if (found === text) continue;
  drifted.push(`contracts/crds/${file}: ${firstDifference(found, text)}`);
  if (!isCheck) await writeFile(join(target, file), text);
}

if (isCheck && drifted.length > 0) {
  console.error(
    `The types differ from the CRDs; run: node kube/generate-types.ts\n${drifted.map((line) => `  ${line}`).join('\n')}`,
  );
  process.exitCode = 1;
} else if (stale.length > 0) {
  console.error(stale.map((file) => `Left alone: contracts/crds/${file}, which no CRD stands behind`).join('\n'));
}

async function generate(file: string): Promise<string> {
  const source = `deploy/crds/${file}`;
  return crdTypes(load(await readFile(join(root, source), 'utf8')) as CustomResourceDefinition, source);
}

function firstDifference(found: string, wanted: string): string {
  if (found === '') return 'is missing';
  const [is, should] = [found.split('\n'), wanted.split('\n')];
  const at = should.findIndex((line, index) => line !== is[index]);
  const line = at === -1 ? should.length : at;
  return `line ${line + 1} is "${is[line] ?? ''}", should be "${should[line] ?? ''}"`;
}
