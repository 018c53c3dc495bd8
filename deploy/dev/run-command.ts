import { spawn } from 'node:child_process';

export interface CommandOptions {
  /** Text for standard input. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/**
 * Runs a command to its end and gives its standard output.
 * @throws {Error} with the command, how it ended and what it said, unless it ended with 0.
 */
export function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const [file = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: 'pipe' });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.stdin.on('error', () => undefined); // a command may end without reading its input
    child.stdin.end(options.input);
    child.once('error', (cause) => reject(new Error(`Cannot run ${file}: ${cause.message}`, { cause })));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${command.join(' ')}: ${signal ?? `exit code ${code}`}\n${err}${out}`.trim()));
    });
  });
}
