import { chmod, copyFile, cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { GuestModule, GuestRecipe } from '../recipe.ts';
import { PartFailed, runLogged, type Workshop } from '../workshop.ts';
import { DebianArchive, debianMirror, unpack } from './debian-archive.ts';
import type { GuestFacts } from './guest-facts.ts';
import { closure, loadOrder, parseModulesDep } from './module-list.ts';

interface Site {
  readonly recipe: GuestRecipe;
  readonly shop: Workshop;
  /** The part: `qemu/`, `programs/`, `vmlinuz`, `initrd`, `guest.json`. */
  readonly guest: string;
  /** depmod of the guest's programs. */
  readonly depmod: string;
}

interface Kernel {
  /** As `uname -r` prints it in the guest. */
  readonly release: string;
  readonly archive: DebianArchive;
  readonly suite: string;
}

/** Modules that tests or the guest itself may ask for, by their paths in Debian's packages. */
const wantedModules = new RegExp(
  `^kernel/(${[
    'net/',
    'drivers/net/[^/]*[.]ko',
    'drivers/net/(bonding|ipvlan|macvlan|team|vxlan|wireguard)/',
    'drivers/net/ethernet/intel/(igb|igbvf)/',
    'drivers/infiniband/(core|sw)/',
    'drivers/(vfio|virtio|iommu|char/hw_random)/',
    'fs/(9p|overlayfs)/',
    'lib/',
    'crypto/',
    'arch/x86/crypto/',
  ].join('|')})`,
);

/** Older kernels open RoCE's UDP port in the initial network namespace only, so that rxe moves nothing in another one. */
const firstKernelWithRxeInNamespaces = 7;

/** Builds the guest into `shop.out`. Nothing is installed on the machine. */
export async function buildGuest(recipe: GuestRecipe, shop: Workshop): Promise<void> {
  if (process.arch !== 'x64') throw new PartFailed(`The guest needs an x86-64 machine, this one is ${process.arch}`);
  const mirror = await debianMirror(recipe.release, shop);
  const site: Site = { recipe, shop, guest: join(shop.out, recipe.output), depmod: join(shop.work, 'depmod') };
  await layOutPrograms(mirror, site);
  await symlink(join(site.guest, 'programs/usr/bin/kmod'), site.depmod);
  const kernel = await layOutKernel(mirror, site);
  const lacks = await buildModules(kernel, site);
  await writeInitrd(kernel, site);
  const facts: GuestFacts = { kernel: kernel.release, lacks };
  await writeFile(join(site.guest, 'guest.json'), `${JSON.stringify(facts, undefined, 2)}\n`);
}

/** The emulator with those of its libraries that the machine lacks, and the programs. */
async function layOutPrograms(mirror: string, { recipe, shop, guest }: Site): Promise<void> {
  const { release } = recipe;
  const backports = `${release}-backports`;
  const suites = [release, `${release}-updates`, backports];
  const archive = await DebianArchive.open(mirror, { name: 'machine', suites, status: '/var/lib/dpkg/status' }, shop);
  const emulator = await archive.downloadWithNeeds(['qemu-system-x86'], backports);
  // apt counts qemu-user-static as something to be replaced
  await unpack(
    emulator.filter((file) => !basename(file).startsWith('qemu-user')),
    join(guest, 'qemu'),
    shop,
  );
  const programs = join(guest, 'programs');
  await mergedUsr(programs);
  await unpack(await archive.download(recipe.programs), programs, shop);
  for (const folder of ['bin', 'sbin', 'lib']) await rm(join(programs, folder)); // the machine's own links are seen
}

async function mergedUsr(tree: string): Promise<void> {
  for (const folder of ['bin', 'sbin', 'lib']) {
    await mkdir(join(tree, 'usr', folder), { recursive: true });
    await symlink(`usr/${folder}`, join(tree, folder));
  }
}

const modulesOf = (tree: string, release: string): string => join(tree, 'usr/lib/modules', release);

async function layOutKernel(mirror: string, site: Site): Promise<Kernel> {
  const { recipe, shop, guest, depmod } = site;
  const archive = await DebianArchive.open(mirror, { name: 'guest', suites: recipe.kernelSuites }, shop);
  const { release, suite, packages } = await downloadKernel(archive, recipe.kernelSuites);
  const tree = join(shop.work, 'kernel');
  await mergedUsr(tree);
  await unpack(packages, tree, shop);
  const modules = modulesOf(tree, release);
  await copyFirst([join(modules, 'vmlinuz'), join(tree, 'boot', `vmlinuz-${release}`)], join(guest, 'vmlinuz'));
  await runLogged(depmod, ['-b', tree, release], shop);
  const kept = closure(parseModulesDep(await readFile(join(modules, 'modules.dep'), 'utf8')), wantedModules);
  const target = modulesOf(join(guest, 'programs'), release);
  for (const file of [...kept, 'modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    await mkdir(dirname(join(target, file)), { recursive: true });
    await cp(join(modules, file), join(target, file));
  }
  // slow in the guest, quick here
  const unpackAll = 'find "$1" -name "*.ko.xz" -print0 | xargs -0 -r -P "$2" -n 32 xz -d';
  await runLogged('bash', ['-c', unpackAll, 'unpack', target, String(availableParallelism())], shop);
  await rm(tree, { recursive: true });
  return { release, archive, suite };
}

/** Takes the newest kernel that can be had: a suite may name one that is replaced at this moment, and serve neither. */
async function downloadKernel(
  archive: DebianArchive,
  suites: readonly string[],
): Promise<{ readonly release: string; readonly suite: string; readonly packages: readonly string[] }> {
  const failures: PartFailed[] = [];
  for (const suite of suites.flatMap((suite) => [suite, suite])) {
    try {
      if (failures.length > 0) await archive.update();
      const image = (await archive.needsOf('linux-image-amd64', suite)).find((name) => /^linux-image-\d/.test(name));
      if (image === undefined) throw new PartFailed(`Suite ${suite} has no linux-image-amd64`);
      const release = image.slice('linux-image-'.length);
      const split = ['linux-binary', 'linux-modules', 'linux-base'].map((name) => `${name}-${release}`);
      const packages = await archive.download((await archive.has(`linux-binary-${release}`)) ? split : [image]);
      return { release, suite, packages };
    } catch (failure) {
      if (!(failure instanceof PartFailed)) throw failure;
      failures.push(failure);
    }
  }
  throw new AggregateError(failures, failures.map(({ message }) => message).join('\n'));
}

async function copyFirst(candidates: readonly string[], target: string): Promise<void> {
  for (const candidate of candidates) {
    try {
      return await copyFile(candidate, target);
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== 'ENOENT') throw failure;
    }
  }
  throw new PartFailed(`None of ${candidates.join(', ')} is there`);
}

/** Builds what can be built, and says of the rest what tests lack without it. */
async function buildModules(kernel: Kernel, site: Site): Promise<GuestFacts['lacks']> {
  const lacks: Record<string, string> = {};
  try {
    const toolchain = await layOutToolchain(kernel, site);
    for (const module of site.recipe.modules) {
      const problem = await problemOf(() => buildModule(module, toolchain, kernel, site));
      if (problem !== undefined) lacks[module.name] = `${module.without}: ${problem}`;
    }
  } catch (failure) {
    if (!(failure instanceof PartFailed)) throw failure;
    const problem = `no modules can be built for kernel ${kernel.release}, see ${site.shop.log}`;
    for (const { name, without } of site.recipe.modules) lacks[name] = `${without}: ${problem}`;
  }
  await depmodGuest(kernel, site);
  return lacks;
}

async function problemOf(build: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await build();
  } catch (failure) {
    if (!(failure instanceof PartFailed)) throw failure;
    return failure.message.split('\n')[0];
  }
}

/** A root of its own with the kernel's compiler, its headers and the drivers' sources; all of it is gone with the workshop. */
async function layOutToolchain({ release, archive, suite }: Kernel, { recipe, shop }: Site): Promise<string> {
  const root = join(shop.work, 'toolchain');
  const tools = ['gcc-14', 'binutils', 'make', 'gawk', 'perl-base', 'bash', 'coreutils', 'sed', 'grep', 'findutils'];
  const headers = `linux-headers-${release}`;
  await unpack(await archive.downloadWithNeeds([headers, ...tools, 'dash'], suite), root, shop);
  for (const [name, target] of [['awk', 'gawk'] as const, ['gcc', 'gcc-14'] as const, ['sh', 'dash'] as const]) {
    await rm(join(root, 'usr/bin', name), { force: true });
    await symlink(target, join(root, 'usr/bin', name));
  }
  await mkdir(join(root, 'dev'), { recursive: true });
  await rm(join(root, 'dev/null'), { force: true });
  await runLogged('mknod', ['-m', '666', join(root, 'dev/null'), 'c', '1', '3'], shop);
  const series = release.split('.').slice(0, 2).join('.');
  const source = `linux-source-${series}=${await archive.versionOf(headers)}`;
  const [sourcePackage = ''] = await archive.download([source]);
  const drivers = join(root, 'src');
  await mkdir(drivers);
  const folders = recipe.modules.map(({ folder }) => `'*/${folder}/*'`).join(' ');
  const extract = `dpkg --fsys-tarfile "$1" | tar -xO --wildcards './usr/src/*.tar.xz' | tar -xJ -C "$2" --strip-components=1 --wildcards ${folders}`;
  await runLogged('bash', ['-o', 'pipefail', '-c', extract, 'extract', sourcePackage, drivers], shop);
  return root;
}

/** Gives what is in the way, when it is known before the compiler runs. */
async function buildModule(
  { name, folder, option, patches }: GuestModule,
  toolchain: string,
  { release }: Kernel,
  { shop, guest }: Site,
): Promise<string | undefined> {
  const source = join(toolchain, 'src', folder);
  if (name === 'rdma_rxe' && Number.parseInt(release, 10) < firstKernelWithRxeInNamespaces) {
    return `kernel ${release} has RoCE in the initial namespace only`;
  }
  for (const { file, unless } of patches) {
    if (unless && (await readFile(join(source, unless.file), 'utf8')).includes(unless.has)) continue;
    const patched = ['-s', '-N', '-d', source, '-p1', '-i', resolve(shop.root, file)];
    const refused = await problemOf(() => runLogged('patch', patched, shop).then(() => undefined));
    if (refused !== undefined) return `${basename(file)} does not apply to kernel ${release}`;
  }
  const inside = 'mount -t proc p "$0/proc" && exec chroot "$0" "$@"';
  const environment = ['/usr/bin/env', '-i', 'PATH=/usr/bin:/usr/sbin', 'HOME=/'];
  const make = ['make', '-s', '-C', `/usr/src/linux-headers-${release}`, `M=/src/${folder}`, `${option}=m`];
  const jobs = [`-j${availableParallelism()}`, 'modules'];
  await mkdir(join(toolchain, 'proc'), { recursive: true });
  const apart = ['-m', '--propagation', 'private', 'sh', '-c', inside, toolchain];
  await runLogged('unshare', [...apart, ...environment, ...make, ...jobs], shop);
  const updates = join(modulesOf(join(guest, 'programs'), release), 'updates');
  await mkdir(updates, { recursive: true });
  for (const file of (await readdir(source)).filter((file) => file.endsWith('.ko'))) {
    await runLogged('chroot', [toolchain, 'strip', '-g', `/src/${folder}/${file}`], shop);
    await rename(join(source, file), join(updates, file));
  }
  return undefined;
}

async function depmodGuest({ release }: Kernel, { shop, guest, depmod }: Site): Promise<void> {
  const view = join(shop.work, 'view'); // depmod looks into lib/, the programs' tree has usr/lib
  await mkdir(view);
  await symlink(join(guest, 'programs/usr/lib'), join(view, 'lib'));
  await runLogged(depmod, ['-b', view, release], shop);
}

/** busybox and what is needed to mount the machine's file tree. */
async function writeInitrd({ release }: Kernel, { shop, guest }: Site): Promise<void> {
  const tree = join(shop.work, 'initrd');
  const modules = modulesOf(join(guest, 'programs'), release);
  for (const folder of ['bin', 'modules', 'proc', 'sys', 'dev', 'new', 'machine', 'programs', 'written']) {
    await mkdir(join(tree, folder), { recursive: true });
  }
  const order = loadOrder(parseModulesDep(await readFile(join(modules, 'modules.dep'), 'utf8')), [
    '9pnet_virtio',
    '9p',
    'overlay',
  ]);
  for (const file of order) await copyFile(join(modules, file), join(tree, 'modules', basename(file)));
  await writeFile(join(tree, 'modules/order'), order.map((file) => `${basename(file)}\n`).join(''));
  await copyFile(join(guest, 'programs/usr/bin/busybox'), join(tree, 'bin/busybox'));
  await copyFile(join(shop.root, 'deploy/toolchain/guest/init.sh'), join(tree, 'init'));
  await chmod(join(tree, 'init'), 0o755);
  const pack = 'cd "$1" && find . | LC_ALL=C sort | bin/busybox cpio -o -H newc >"$2"';
  await runLogged('bash', ['-o', 'pipefail', '-c', pack, 'pack', tree, join(guest, 'initrd')], shop);
}
