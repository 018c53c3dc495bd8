import { readFileSync, writeFileSync } from 'node:fs';
import type { NetworkNamespace } from './network-namespace.ts';
import { SystemCallError } from './system-calls.ts';

/**
 * Settings of one network namespace under /proc/sys/net. The kernel shows there the namespace of whoever opens the file, so
 * the thread goes into it for that long. Keys are sysctl(8)'s; an interface's name may hold dots itself.
 */
export const readSysctls = (namespace: NetworkNamespace, keys: readonly string[]): Record<string, string> =>
  namespace.inside(() => Object.fromEntries(keys.flatMap((key) => readSysctl(key))));

/** One entry; none for a setting that the kernel has not. */
function readSysctl(key: string): [string, string][] {
  try {
    return [[key, readFileSync(pathOf(key), 'utf8').trim()]];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw asSystemCall(key, error);
  }
}

export const writeSysctl = (namespace: NetworkNamespace, key: string, value: string): void =>
  namespace.inside(() => {
    try {
      writeFileSync(pathOf(key), value);
    } catch (error) {
      throw asSystemCall(key, error);
    }
  });

/** "net.ipv4.conf.eth0.100.rp_filter" is the file rp_filter of the interface eth0.100. */
function pathOf(key: string): string {
  const [, family, kind, ifName, setting] = /^net\.(ipv[46])\.(conf|neigh)\.(.+)\.([a-z0-9_]+)$/.exec(key) ?? [];
  if (ifName === undefined || /\/|^\.\.?$/.test(ifName)) {
    throw new RangeError(`"${key}" is no setting of an interface`);
  }
  return `/proc/sys/net/${family}/${kind}/${ifName}/${setting}`;
}

function asSystemCall(key: string, error: unknown): unknown {
  const { errno, syscall } = error as NodeJS.ErrnoException;
  return errno === undefined ? error : new SystemCallError(syscall ?? 'open', Math.abs(errno), key);
}
