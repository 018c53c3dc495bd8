/** What the shell sees. 2 is the shell's own word for wrong usage. */
export const exitCodes = { ok: 0, error: 1, usage: 2, notFound: 3 } as const;

/** A command that could not do what was asked: said in two lines, what and what to do, never as a stack trace. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly remedy: string | undefined;
  readonly exitCode: number;

  constructor(message: string, options: { remedy?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.remedy = options.remedy;
    this.exitCode = options.exitCode ?? exitCodes.error;
  }
}

export const usageError = (message: string, remedy: string): CliError =>
  new CliError(message, { remedy, exitCode: exitCodes.usage });

export const notFound = (message: string, remedy: string): CliError =>
  new CliError(message, { remedy, exitCode: exitCodes.notFound });
