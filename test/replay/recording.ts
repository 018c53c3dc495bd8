import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { bundleToday, installQuietRuntime } from '../testing/sandbox-stage.ts';

/** What a program needs that records histories of one release on a real Temporal server. Its owner stops the stack. */
export interface Recording {
  /** Where the histories of this release go. */
  readonly directory: string;
  readonly bundle: Awaited<ReturnType<typeof bundleToday>>;
  readonly stack: Stack;
}

/** Begins to record for the release that the command line names; ends the program with its usage when it names none. */
export async function beginRecording(version: string | undefined, usage: string): Promise<Recording> {
  if (version === undefined) {
    console.error(usage);
    process.exit(2);
  }
  installQuietRuntime();
  const directory = join(import.meta.dirname, 'histories', version);
  await mkdir(directory, { recursive: true });
  const bundle = await bundleToday();
  const stack = await startStack({ id: randomBytes(3).toString('hex'), nodes: [], kubernetes: false });
  return { directory, bundle, stack };
}
