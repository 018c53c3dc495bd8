/**
 * Reads modules.dep as depmod(8) writes it: `path: path…`, the modules that one needs, in the reverse order of their loading.
 * Paths are relative to the folder of the modules.
 */
export function parseModulesDep(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = text.split('\n').filter((line) => line.includes(':'));
  return new Map(
    lines.map((line) => {
      const [path = '', needed = ''] = line.split(':');
      return [path, needed.split(' ').filter((other) => other !== '')];
    }),
  );
}

/** Modules whose path matches, with all that they need. */
export function closure(modules: ReadonlyMap<string, readonly string[]>, wanted: RegExp): readonly string[] {
  const kept = [...modules].filter(([path]) => wanted.test(path)).flatMap(([path, needed]) => [path, ...needed]);
  return [...new Set(kept)].toSorted();
}

/** Files to insert, in order, for the named modules; what is built into the kernel is not among them. */
export function loadOrder(
  modules: ReadonlyMap<string, readonly string[]>,
  names: readonly string[],
): readonly string[] {
  const order = names.flatMap((name) => {
    const found = [...modules].find(([path]) => moduleName(path) === name);
    return found === undefined ? [] : [...found[1].toReversed(), found[0]];
  });
  return [...new Set(order)];
}

/** `kernel/net/9p/9pnet.ko.xz` is module `9pnet`; a dash in a file's name is an underscore in the module's. */
const moduleName = (path: string): string => (path.split('/').at(-1) ?? '').replace(/\.ko.*$/, '').replaceAll('-', '_');
