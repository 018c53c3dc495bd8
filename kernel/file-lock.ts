import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const LOCK_EX = 2; // include/uapi/asm-generic/fcntl.h
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/**
 * Takes a lock that ends with this process, however it ends: flock(2) on a file that stays. Answers undefined when another
 * process has it. Does not block.
 */
export function acquireFileLock(path: string): { release(): void } | undefined {
  const flock = koffi.load(null).func('int flock(int fd, int operation)');
  const fd = openSync(path, 'a', 0o600); // Node opens with O_CLOEXEC: no child inherits the lock
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return { release: () => closeSync(fd) };
  const errno = koffi.errno();
  closeSync(fd);
  if (errno === EWOULDBLOCK) return undefined;
  throw new Error(`Cannot lock ${path}: errno ${errno}`);
}
