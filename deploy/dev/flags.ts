/** Writes settings as the command-line flags of a Go program: `--name=value`. */
export const flags = (settings: Readonly<Record<string, string | number | boolean>>): string[] =>
  Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
