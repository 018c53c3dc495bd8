import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Compiles the CNI executable as a release does, to `output`. `macros` change its times, for example `{ ANSWER_MS: '500' }`. */
export function compile(output: string, macros: Readonly<Record<string, string>> = {}): void {
  const source = join(import.meta.dirname, '../shim/shim.c');
  const defines = Object.entries(macros).map(([name, value]) => `-D${name}=${value}`);
  const compiler = spawnSync('musl-gcc', ['--version']).error ? 'cc' : 'musl-gcc';
  execFileSync(compiler, ['-Os', '-static', '-Wall', '-Wextra', '-Werror', ...defines, source, '-o', output]);
}

/** One CNI executable with `orbweaver.conf` beside it, its run directory and its queue, all in one temporary directory. */
export interface Installation extends Disposable {
  readonly directory: string;
  readonly executable: string;
  readonly runDirectory: string;
  readonly queueDirectory: string;
}

/** Installs a compiled executable for one test, under one of its four names. */
export function install(compiled: string, name = 'orbweaver'): Installation {
  const directory = mkdtempSync(join(tmpdir(), 'orbweaver-cni-'));
  const [executable, runDirectory, queueDirectory] = [
    join(directory, name),
    join(directory, 'run'),
    join(directory, 'queue'),
  ];
  copyFileSync(compiled, executable);
  for (const path of [runDirectory, queueDirectory]) mkdirSync(path);
  writeFileSync(join(directory, 'orbweaver.conf'), `run = ${runDirectory}\nqueue = ${queueDirectory}\n`);
  const remove = () => rmSync(directory, { recursive: true, force: true });
  return { directory, executable, runDirectory, queueDirectory, [Symbol.dispose]: remove };
}

export interface Exit {
  readonly code: number | null;
  /** The signal that ended the process: null for an executable that behaves. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
}

/** A running CNI call. */
export interface Call {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** Stops reading stdout, as a container runtime does that gave up. */
  readonly hangUp: () => void;
}

/** Starts the executable as a container runtime does: these variables and nothing else, the configuration on stdin. */
export function start(
  executable: string,
  environment: Readonly<Record<string, string>>,
  stdin: string | Uint8Array = '{"cniVersion":"1.0.0","name":"net"}',
): Call {
  const child = spawn(executable, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // an executable that refuses a stdin need not read all of it
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

/** Whether the process sleeps in poll(2) without a descriptor: it has found no worker, and will try again. */
export function isBetweenAttempts(pid: number): boolean {
  const poll = process.arch === 'arm64' ? '73' : '7'; // ppoll, asm-generic/unistd.h; poll, asm/unistd_64.h
  const [systemCall, descriptors] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ');
  return systemCall === poll && descriptors === '0x0';
}
