import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PartFailed, runLogged, type Workshop } from '../workshop.ts';

/** What the lists of a view are made from. */
export interface ArchiveView {
  /** Names the view's folder. */
  readonly name: string;
  readonly suites: readonly string[];
  /** Path of a dpkg status file: what counts as installed. Absent: nothing, so downloads bring everything down to the C library. */
  readonly status?: string;
}

/**
 * Where this machine's apt gets its own release from; the other suites are there too. No host is written in this repository.
 * Throws `PartFailed` when apt has no source for the release.
 */
export async function debianMirror(release: string, shop: Workshop): Promise<string> {
  const format = ['indextargets', '--format', '$(RELEASE) $(COMPONENT) $(REPO_URI)', 'Created-By: Packages'];
  const sources = (await runLogged('apt-get', format, shop)).split('\n').map((line) => line.split(' '));
  const mirror = sources.find(([suite, component]) => suite === release && component === 'main')?.[2];
  if (mirror === undefined)
    throw new PartFailed(`apt has no source for Debian ${release}, which this machine must run`);
  return mirror;
}

/** A view of Debian's archive apart from the machine's own: nothing is installed, and apt's own lists stay as they are. */
export class DebianArchive {
  readonly #folder: string;
  readonly #shop: Workshop;

  private constructor(folder: string, shop: Workshop) {
    this.#folder = folder;
    this.#shop = shop;
  }

  static async open(mirror: string, { name, suites, status }: ArchiveView, shop: Workshop): Promise<DebianArchive> {
    const folder = join(shop.work, 'apt', name);
    for (const part of ['lists/partial', 'cache/archives/partial'])
      await mkdir(join(folder, part), { recursive: true });
    await writeFile(join(folder, 'nothing-installed'), '');
    const signed = 'signed-by=/usr/share/keyrings/debian-archive-keyring.gpg';
    await writeFile(
      join(folder, 'sources.list'),
      suites.map((suite) => `deb [${signed}] ${mirror} ${suite} main\n`).join(''),
    );
    const settings: Readonly<Record<string, string>> = {
      'Dir::State': folder,
      'Dir::State::lists': join(folder, 'lists'),
      'Dir::State::status': status ?? join(folder, 'nothing-installed'),
      'Dir::Cache': join(folder, 'cache'),
      'Dir::Etc::sourcelist': join(folder, 'sources.list'),
      'Dir::Etc::sourceparts': '/nonexistent',
      'APT::Architectures': 'amd64',
      'APT::Install-Recommends': 'false',
      'APT::Sandbox::User': 'root',
      'Acquire::Retries': '3',
      'Debug::NoLocking': 'true',
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
    await writeFile(join(folder, 'apt.conf'), lines.join(''));
    const archive = new DebianArchive(folder, shop);
    await archive.update();
    return archive;
  }

  /** Reads the lists again: what they name may have been replaced since. */
  async update(): Promise<void> {
    await this.#apt('apt-get', '-q', 'update');
  }

  /** Downloads exactly these packages, `name` or `name=version`, and gives the files. */
  async download(packages: readonly string[]): Promise<readonly string[]> {
    const folder = join(this.#folder, 'download', packages[0] ?? '');
    await mkdir(folder, { recursive: true });
    await this.#aptIn(folder, 'apt-get', '-q', 'download', ...packages);
    return debsIn(folder);
  }

  /** Downloads packages with all that they need and that does not count as installed, and gives the files. */
  async downloadWithNeeds(packages: readonly string[], suite: string): Promise<readonly string[]> {
    await this.#apt('apt-get', '-q', '-y', '-d', '-t', suite, 'install', ...packages);
    return debsIn(join(this.#folder, 'cache/archives'));
  }

  /** The newest version of a package in a suite, or in all of them. Throws `PartFailed` when there is none. */
  async versionOf(name: string, suite?: string): Promise<string> {
    const target = suite === undefined ? [] : ['-t', suite];
    const shown = await this.#apt('apt-cache', ...target, 'show', name);
    const version = /^Version: (.*)$/m.exec(shown)?.[1];
    if (version === undefined) throw new PartFailed(`Debian has no package ${name}`);
    return version;
  }

  /** Packages that one names as its needs, in its order. */
  async needsOf(name: string, suite: string): Promise<readonly string[]> {
    const shown = await this.#apt('apt-cache', '-t', suite, 'depends', name);
    return [...shown.matchAll(/^\s*Depends: (\S+)$/gm)].map(([, needed = '']) => needed);
  }

  async has(name: string): Promise<boolean> {
    return (await this.#apt('apt-cache', 'pkgnames', name)).split('\n').includes(name);
  }

  #apt(command: string, ...args: readonly string[]): Promise<string> {
    return this.#aptIn(this.#shop.work, command, ...args);
  }

  #aptIn(folder: string, command: string, ...args: readonly string[]): Promise<string> {
    const settings = { APT_CONFIG: join(this.#folder, 'apt.conf'), LC_ALL: 'C' };
    return runLogged(command, args, { ...this.#shop, work: folder }, settings);
  }
}

/**
 * Lays packages out below a folder, without documentation. Folders that are links there stay links, so that a package which still
 * says `/lib` fills `/usr/lib`.
 */
export async function unpack(packages: readonly string[], folder: string, shop: Workshop): Promise<void> {
  await mkdir(folder, { recursive: true });
  const without = ['doc', 'man', 'locale'].map((name) => `--exclude=./usr/share/${name}`).join(' ');
  const one = `dpkg --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink ${without}`;
  for (const file of packages) await runLogged('bash', ['-o', 'pipefail', '-c', one, 'unpack', file, folder], shop);
}

async function debsIn(folder: string): Promise<readonly string[]> {
  const files = await readdir(folder);
  return files.filter((file) => file.endsWith('.deb')).map((file) => join(folder, file));
}
