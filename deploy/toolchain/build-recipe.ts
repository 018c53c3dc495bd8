import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type PublishedModule, wrapperModule } from './go-module.ts';
import { buildGuest } from './guest/build-guest.ts';
import { writeImageArchive } from './oci-image.ts';
import type { CRecipe, GoRecipe, ImageRecipe, Recipe } from './recipe.ts';
import { runLogged, type Workshop } from './workshop.ts';

/** Carries out a recipe; its outputs are in `shop.out` afterwards. */
export async function buildRecipe(recipe: Recipe, shop: Workshop): Promise<void> {
  await writeFile(shop.log, '');
  switch (recipe.kind) {
    case 'go':
      return buildGo(recipe, shop);
    case 'c':
      return compileC(recipe, shop, join(shop.out, recipe.output));
    case 'image':
      return buildImage(recipe, shop);
    case 'guest':
      return buildGuest(recipe, shop);
  }
}

async function buildGo(recipe: GoRecipe, shop: Workshop): Promise<void> {
  const go = (...args: string[]) => runLogged('go', args, shop, goSettings(recipe));
  const download = await go('mod', 'download', '-json', `${recipe.module}@${recipe.version}`);
  const { GoMod } = JSON.parse(download) as { GoMod: string };
  const published = JSON.parse(await go('mod', 'edit', '-json', GoMod)) as PublishedModule;
  await writeFile(join(shop.work, 'go.mod'), wrapperModule(recipe, published));
  for (const [binary, path] of Object.entries(recipe.packages)) {
    const tags = (recipe.tags ?? []).join(',');
    const flags = ['-mod=mod', '-trimpath', '-buildvcs=false', `-tags=${tags}`, `-ldflags=${recipe.ldflags}`];
    await go('build', ...flags, '-o', join(shop.out, binary), path);
  }
}

/** Nothing of the user's Go settings may change the result but where modules come from. */
const goSettings = (recipe: GoRecipe): NodeJS.ProcessEnv => ({
  CGO_ENABLED: recipe.cgo ? '1' : '0',
  GOFLAGS: '',
  GOTOOLCHAIN: 'local',
  GOWORK: 'off',
});

async function compileC(recipe: CRecipe, shop: Workshop, output: string): Promise<void> {
  await runLogged(recipe.compiler, [...recipe.flags, '-o', output, resolve(shop.root, recipe.source)], shop);
}

async function buildImage(recipe: ImageRecipe, shop: Workshop): Promise<void> {
  const rootfs = join(shop.work, 'rootfs');
  await mkdir(rootfs);
  if (recipe.rootfs.kind === 'c') await compileC(recipe.rootfs, shop, join(rootfs, recipe.rootfs.output));
  else await layOutBusybox(recipe.rootfs.source, rootfs, shop);
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  await writeImageArchive({ ...recipe, architecture }, rootfs, join(shop.out, recipe.output));
}

async function layOutBusybox(busybox: string, rootfs: string, shop: Workshop): Promise<void> {
  const bin = join(rootfs, 'bin');
  await mkdir(bin);
  await mkdir(join(rootfs, 'tmp'));
  await chmod(join(rootfs, 'tmp'), 0o1777);
  await copyFile(busybox, join(bin, 'busybox'));
  const applets = (await runLogged(busybox, ['--list'], shop)).split('\n');
  for (const applet of applets) {
    if (applet !== '' && applet !== 'busybox') await symlink('busybox', join(bin, applet));
  }
}
