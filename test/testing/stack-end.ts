import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';

/** Ends a stack as a person does. */
export async function down(stack: string): Promise<void> {
  const ended = spawn(process.execPath, [join(repositoryRoot, 'deploy/dev/down.ts'), stack], { stdio: 'ignore' });
  expect(await once(ended, 'exit')).toEqual([0, null]);
}

/** Of "network namespace ow-…" and the like, what it is. */
export const kinds = (leftovers: readonly string[]): Set<string> =>
  new Set(leftovers.map((line) => /^(network namespace|\w+)/.exec(line)?.[0] ?? line));
