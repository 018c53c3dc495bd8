import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const everyMs = 5000;

/**
 * Touches `alive` in the run directory, whose age is all that STATUS looks at: older than 30 s, or absent in this boot, and the
 * runtime stops sending pods here. Rewritten by a timer of the event loop, so a stuck process shows.
 */
export async function keepAlive(runDirectory: string): Promise<{ stop(): void }> {
  const path = join(runDirectory, 'alive');
  await writeFile(path, `${process.pid}\n`, { mode: 0o644 });
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => writeFile(path, `${process.pid}\n`).catch(() => undefined)); // removed by hand, or disk full
  }, everyMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
