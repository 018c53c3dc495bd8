import { describe, expect, it } from '@jest/globals';
import { type CRecipe, type GoRecipe, outputsOf, recipeHash, sourcesOf } from './recipe.ts';

const shim: CRecipe = { kind: 'c', compiler: 'musl-gcc', flags: ['-Os', '-static'], source: 'shim.c', output: 'shim' };
const tool: GoRecipe = {
  kind: 'go',
  module: 'example.test/tool',
  version: 'v1.2.3',
  packages: { tool: 'example.test/tool/cmd/tool', toolctl: 'example.test/tool/cmd/toolctl' },
  ldflags: '-s',
};
const source = Buffer.from('int main(void) { return 0; }');

describe('the hash of a recipe', () => {
  it('is the same for the same recipe, however its fields are ordered', () => {
    const { output, ...rest } = shim;
    expect(recipeHash({ output, ...rest }, [source], 'x64')).toBe(recipeHash(shim, [source], 'x64'));
  });

  it.each([
    ['a flag', recipeHash({ ...shim, flags: ['-O2', '-static'] }, [source], 'x64')],
    ['the order of flags', recipeHash({ ...shim, flags: ['-static', '-Os'] }, [source], 'x64')],
    ['one byte of the source', recipeHash(shim, [Buffer.from('int main(void) { return 1; }')], 'x64')],
    ['the CPU', recipeHash(shim, [source], 'arm64')],
  ])('changes with %s', (_, other) => {
    expect(other).not.toBe(recipeHash(shim, [source], 'x64'));
  });

  it('is short and fits into a file name', () => {
    expect(recipeHash(tool, [], 'x64')).toMatch(/^[0-9a-f]{12}$/);
  });
});

it('a recipe names the files it reads and the files it leaves', () => {
  expect([sourcesOf(shim), outputsOf(shim)]).toEqual([['shim.c'], ['shim']]);
  expect([sourcesOf(tool), outputsOf(tool)]).toEqual([[], ['tool', 'toolctl']]);
  const image = {
    kind: 'image',
    reference: 'kube.local/shim:1',
    command: ['/shim'],
    rootfs: shim,
    output: 'shim.tar',
  } as const;
  expect([sourcesOf(image), outputsOf(image)]).toEqual([['shim.c'], ['shim.tar']]);
  const guest = {
    kind: 'guest',
    release: 'bookworm',
    kernelSuites: ['trixie'],
    programs: [],
    modules: [
      { name: 'siw', folder: 'siw', option: 'CONFIG_SIW', patches: [{ file: 'siw.patch' }], without: 'no siw' },
    ],
    sources: ['init.sh'],
    output: 'guest',
  } as const;
  expect([sourcesOf(guest), outputsOf(guest)]).toEqual([['init.sh', 'siw.patch'], ['guest']]);
});
