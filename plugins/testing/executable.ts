import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const source = join(import.meta.dirname, '../shim/shim.c');

/** One compiled CNI executable with its `orbweaver.conf`, run directory and queue, all in one temporary directory. */
export interface Installation extends Disposable {
  readonly directory: string;
  readonly executable: string;
  readonly runDirectory: string;
  readonly queueDirectory: string;
}

/** Compiles the CNI executable as a release does. `macros` change its times, for example `{ ANSWER_MS: '500' }`. */
export function install(macros: Readonly<Record<string, string>> = {}): Installation {
  const directory = mkdtempSync(join(tmpdir(), 'orbweaver-cni-'));
  const executable = join(directory, 'orbweaver');
  const runDirectory = join(directory, 'run');
  const queueDirectory = join(directory, 'queue');
  const defines = Object.entries(macros).map(([name, value]) => `-D${name}=${value}`);
  const compiler = process.env['PATH']?.split(':').some((path) => isFile(join(path, 'musl-gcc'))) ? 'musl-gcc' : 'cc';
  execFileSync(compiler, ['-Os', '-static', '-Wall', '-Wextra', '-Werror', ...defines, source, '-o', executable]);
  for (const path of [runDirectory, queueDirectory]) mkdirSync(path);
  writeFileSync(join(directory, 'orbweaver.conf'), `run = ${runDirectory}\nqueue = ${queueDirectory}\n`);
  return {
    directory,
    executable,
    runDirectory,
    queueDirectory,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
}

/** A running CNI call. */
export interface Call {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** Ends the reading of stdout, as a container runtime does that gave up. */
  readonly hangUp: () => void;
}

/** Starts the executable as a container runtime does: these variables and nothing else, the configuration on stdin. */
export function start(
  executable: string,
  environment: Readonly<Record<string, string>>,
  stdin: string | Uint8Array = '{"cniVersion":"1.1.0","name":"net"}',
): Call {
  const child = spawn(executable, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // it need not read all that we have
  child.stdin.end(stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const exit = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout: Buffer.concat(chunks).toString(),
  }));
  if (child.pid === undefined) throw new Error(`Cannot start ${executable}`);
  return { pid: child.pid, exit, hangUp: () => child.stdout.destroy() };
}

/** Whether the process has stopped reading and is sleeping between two attempts (or waiting for an answer). */
export function isWaiting(pid: number): boolean {
  const [systemCall] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ');
  return systemCall === POLL[process.arch];
}

/** Number of poll(2), asm/unistd_64.h; arm64 has ppoll(2) only, asm-generic/unistd.h. */
const POLL: Partial<Record<NodeJS.Architecture, string>> = { x64: '7', arm64: '73' };

function isFile(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}
