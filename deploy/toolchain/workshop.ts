import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

/** Where a build works. All paths are absolute. */
export interface Workshop {
  /** Root of the repository: sources are relative to it. */
  readonly root: string;
  /** Empty but for `out`; thrown away afterwards. */
  readonly work: string;
  readonly out: string;
  /** Collects what the build's commands say. */
  readonly log: string;
}

/** A build command failed; the message ends with the last lines it said. */
export class PartFailed extends Error {
  override readonly name = 'PartFailed';
}

/** Runs a build command in the workshop and gives what it printed to stdout; stderr goes to the log. It dies with us, also when we are killed. */
export async function runLogged(
  command: string,
  args: readonly string[],
  shop: Workshop,
  settings: NodeJS.ProcessEnv = {},
): Promise<string> {
  await appendFile(shop.log, `$ ${[command, ...args].join(' ')}\n`);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    cwd: shop.work,
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  child.stderr.on('data', (chunk: Buffer) => appendFileSync(shop.log, chunk));
  const said = await text(child.stdout);
  const [code, signal] = await closed;
  if (code === 0) return said;
  const lines = (await readFile(shop.log, 'utf8')).trimEnd().split('\n');
  throw new PartFailed(
    [`${command} ended with ${signal ?? code}. All it said: ${shop.log}. The end:`, said, ...lines.slice(-40)].join(
      '\n',
    ),
  );
}
