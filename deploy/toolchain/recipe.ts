import { createHash } from 'node:crypto';

/** Go programs out of one published module, built in a module of our own that requires it: `go install` refuses modules with `replace`. */
export interface GoRecipe {
  readonly kind: 'go';
  readonly module: string;
  /** With its leading "v". */
  readonly version: string;
  /** Binary to package path. */
  readonly packages: Readonly<Record<string, string>>;
  readonly ldflags: string;
  readonly tags?: readonly string[];
  /** Needs gcc; the result is linked statically. */
  readonly cgo?: boolean;
  /** The module replaces parts of itself by relative folders (`x => ./staging/x`); this is the version they are published at. */
  readonly localReplacesAt?: string;
}

/** One C file to one static executable. */
export interface CRecipe {
  readonly kind: 'c';
  readonly compiler: 'gcc' | 'musl-gcc';
  readonly flags: readonly string[];
  /** Path from the root of the repository. Its content is part of the recipe's hash. */
  readonly source: string;
  readonly output: string;
}

/** An OCI archive made without registry or daemon. `busybox` holds the machine's static busybox with a link per applet. */
export interface ImageRecipe {
  readonly kind: 'image';
  readonly reference: string;
  readonly command: readonly string[];
  readonly rootfs: CRecipe | { readonly kind: 'busybox'; readonly source: string };
  readonly output: string;
}

/**
 * A system for QEMU out of Debian's packages: the emulator, a kernel with its modules, and programs that are laid over this
 * machine's own file tree. `guest/README.md` shows its parts.
 */
export interface GuestRecipe {
  readonly kind: 'guest';
  /** Release of the machine, whose libraries the emulator and the programs use. The emulator is its backports'. */
  readonly release: string;
  /** Suites to take the newest kernel of, in the order in which they are tried: a suite may serve an index whose packages are gone. */
  readonly kernelSuites: readonly string[];
  /** Packages with everything that they need and the machine may lack. */
  readonly programs: readonly string[];
  /** Modules built for the guest's kernel: Debian's has none, or one that lacks something. */
  readonly modules: readonly GuestModule[];
  /** Files that go into it as they are, besides patches. */
  readonly sources: readonly string[];
  readonly output: string;
}

export interface GuestModule {
  readonly name: string;
  /** In the kernel's source tree. */
  readonly folder: string;
  readonly option: string;
  readonly patches: readonly GuestPatch[];
  /** What fails without our build. */
  readonly without: string;
}

export interface GuestPatch {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Left out where a file of the module already has this text: later kernels do. */
  readonly unless?: { readonly file: string; readonly has: string };
}

export type Recipe = GoRecipe | CRecipe | ImageRecipe | GuestRecipe;

/** Files that a recipe reads besides its own data; a change in one is a change of the recipe. */
export function sourcesOf(recipe: Recipe): readonly string[] {
  switch (recipe.kind) {
    case 'go':
      return [];
    case 'c':
      return [recipe.source];
    case 'image':
      return [recipe.rootfs.source];
    case 'guest':
      return [...recipe.sources, ...recipe.modules.flatMap(({ patches }) => patches.map(({ file }) => file))];
  }
}

/** What a recipe leaves in its folder of the cache. */
export function outputsOf(recipe: Recipe): readonly string[] {
  return recipe.kind === 'go' ? Object.keys(recipe.packages) : [recipe.output];
}

/**
 * Twelve hexadecimal digits that change when anything that decides the built bytes changes: the recipe, its sources, the CPU.
 * The order in which a recipe's fields are written does not matter.
 */
export function recipeHash(recipe: Recipe, sources: readonly Uint8Array[], arch: string): string {
  const hash = createHash('sha256').update(JSON.stringify([arch, canonical(recipe)]));
  for (const source of sources) hash.update(createHash('sha256').update(source).digest());
  return hash.digest('hex').slice(0, 12);
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => [key, canonical(field)]);
}
