/**
 * The value of a flag on a command line, as `--flag=value` or `--flag value`; of several the last, which is the one that counts.
 * A word may be a whole command, as in `sh -c "exec kube-controller-manager --flag=value"`.
 *
 * @param words Command and arguments.
 * @param flag Its name, without dashes.
 */
export function commandLineFlag(words: readonly string[], flag: string): string | undefined {
  const parts = words.flatMap((word) => word.trim().split(/\s+/));
  const values = parts.flatMap((part, at) => {
    if (part === `--${flag}`) return [parts[at + 1] ?? ''];
    return part.startsWith(`--${flag}=`) ? [part.slice(flag.length + 3)] : [];
  });
  return values.at(-1)?.replace(/^(["'])(.*)\1$/, '$2');
}
