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

export type Recipe = GoRecipe | CRecipe | ImageRecipe;

/** Files that a recipe reads besides its own data; a change in one is a change of the recipe. */
export function sourcesOf(recipe: Recipe): readonly string[] {
  if (recipe.kind === 'go') return [];
  return recipe.kind === 'c' ? [recipe.source] : [recipe.rootfs.source];
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
