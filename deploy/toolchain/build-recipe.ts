import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { appendFile, chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type PublishedModule, wrapperModule } from './go-module.ts';
import { writeImageArchive } from './oci-image.ts';
import type { CRecipe, GoRecipe, ImageRecipe, Recipe } from './recipe.ts';

/** Where a build works. All paths are absolute. */
export interface Workshop {
  /** Root of the repository: sources are relative to it. */
  readonly root: string;
  /** Empty but for `out`; thrown away afterwards. */
  readonly work: string;
  readonly out: string;
  /** Collects what the compilers say. */
  readonly log: string;
}

/** A build command failed; the message ends with the last lines it said. */
export class PartFailed extends Error {
  override readonly name = 'PartFailed';
}

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

/** Runs a build command in the workshop and gives what it printed to stdout; stderr goes to the log. It dies with us, also when we are killed. */
async function runLogged(
  command: string,
  args: readonly string[],
  shop: Workshop,
  settings: NodeJS.ProcessEnv = {},
): Promise<string> {
  await appendFile(shop.log, `$ ${[command, ...args].join(' ')}\n`);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    cwd: shop.work,
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  child.stderr.on('data', (chunk: Buffer) => appendFileSync(shop.log, chunk));
  const said = await text(child.stdout);
  const [code, signal] = await closed;
  if (code === 0) return said;
  const lines = (await readFile(shop.log, 'utf8')).trimEnd().split('\n');
  throw new PartFailed(
    [`${command} ended with ${signal ?? code}. All it said: ${shop.log}. The end:`, said, ...lines.slice(-40)].join(
      '\n',
    ),
  );
}
