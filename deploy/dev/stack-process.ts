import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, GivenUp, type Sighting } from './eventually.ts';
import type { StackLayout } from './layout.ts';

/** Variable that every process of a stack inherits; with it, children that nobody recorded are found as well. */
export const stackVariable = 'ORBWEAVER_STACK';

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Opens an IPC channel to the process. */
  readonly ipc?: boolean;
}

/** A long-running process of a stack. It outlives the program that started it. */
export class StackProcess {
  readonly name: string;
  /** Standard output and error of all its lives. */
  readonly logFile: string;
  readonly #layout: StackLayout;
  readonly #command: readonly string[];
  readonly #options: StartOptions;
  #child: ChildProcess;
  #ended: Promise<string>;

  /** Starts `command`; `name` is used for its log and its record and may have a path (`node-a/kubelet`). */
  constructor(layout: StackLayout, name: string, command: readonly string[], options: StartOptions = {}) {
    this.name = name;
    this.logFile = join(layout.logs, `${fileName(name)}.log`);
    this.#layout = layout;
    this.#command = command;
    this.#options = options;
    [this.#child, this.#ended] = this.#launch();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get child(): ChildProcess {
    return this.#child;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when the present life of the process ends, with how it ended: `exit code 1`, `signal SIGKILL`. */
  get ended(): Promise<string> {
    return this.#ended;
  }

  /** Last lines of its log. */
  tail(lines = 15): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '';
    }
  }

  /** Sends a signal, SIGSTOP and SIGCONT included. */
  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** Ends the process with `signal`, after 5 s with SIGKILL, and waits for its end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return;
    this.#child.ref(); // who waits for it must not end before it
    this.signal(signal);
    const force = setTimeout(() => this.signal('SIGKILL'), 5000);
    await this.#ended;
    clearTimeout(force);
  }

  /** Starts the same command again after its end. */
  start(): void {
    if (this.isRunning) throw new Error(`${this.name} is still running`);
    [this.#child, this.#ended] = this.#launch();
  }

  #launch(): [ChildProcess, Promise<string>] {
    const log = openSync(this.logFile, 'a');
    try {
      const child = spawn('/bin/sh', ['-c', recordThenBecome, recordFile(this.#layout, this.name), ...this.#command], {
        cwd: this.#layout.directory,
        detached: true, // a session of its own: Ctrl-C on the terminal is not for it
        env: environment(this.#layout, this.#options.env),
        stdio: this.#options.ipc === true ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
      });
      child.unref();
      const ended = new Promise<string>((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
      });
      return [child, ended];
    } finally {
      closeSync(log);
    }
  }
}

/** The record is written by the process itself before it becomes the part: there is no moment at which it runs unrecorded. */
const recordThenBecome = 'cat /proc/$$/stat >"$0" && exec "$@"';

/** What a process of a stack sees of our environment: little, so that no proxy or Node option of the caller changes a part. */
export function environment(layout: StackLayout, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.fromEntries(
    ['PATH', 'HOME', 'LANG', 'TMPDIR'].flatMap((key) => {
      const value = process.env[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  return { ...kept, [stackVariable]: layout.id, ...more };
}

const fileName = (name: string): string => name.replaceAll('/', '.');
const recordFile = (layout: StackLayout, name: string): string => join(layout.processes, fileName(name));

/** Waits for a part to be ready; says at once, with the end of its log, if it ended instead. */
export function untilReady<T>(part: StackProcess, seconds: number, probe: () => Promise<Sighting<T>>): Promise<T> {
  return eventually(`${part.name} ready`, seconds, () => {
    if (part.isRunning) return probe();
    throw new GivenUp(`${part.name} ended before it was ready; ${part.logFile} ends with:\n${part.tail()}`);
  });
}
