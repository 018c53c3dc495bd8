import type { GoRecipe } from './recipe.ts';

/** What we read of a published module's go.mod, as `go mod edit -json` prints it. */
export interface PublishedModule {
  readonly Go: string;
  readonly Godebug?: readonly { readonly Key: string; readonly Value: string }[] | null;
  readonly Replace?:
    | readonly { readonly Old: { readonly Path: string }; readonly New: { readonly Path: string } }[]
    | null;
}

/**
 * The go.mod of a module that only requires the recipe's module. All other versions follow from that module's own go.mod, so
 * nothing may be upgraded here: never `go get` or `go mod tidy`. Only the main module's replaces count for Go, so those that point
 * into the published module itself are written again with the version at which their targets are published.
 */
export function wrapperModule(recipe: GoRecipe, published: PublishedModule): string {
  const local = (published.Replace ?? []).filter((replace) => replace.New.Path.startsWith('./'));
  if (local.length > 0 && recipe.localReplacesAt === undefined) {
    throw new Error(
      `${recipe.module} ${recipe.version} replaces ${local[0]?.Old.Path} by a folder: its recipe needs localReplacesAt`,
    );
  }
  return [
    'module orbweaver.local/wrapper',
    `go ${published.Go}`,
    ...(published.Godebug ?? []).map(({ Key, Value }) => `godebug ${Key}=${Value}`),
    `require ${recipe.module} ${recipe.version}`,
    ...local.map(({ Old }) => `replace ${Old.Path} => ${Old.Path} ${recipe.localReplacesAt}`),
    '',
  ].join('\n');
}
