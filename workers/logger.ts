import { type Logger, pino } from 'pino';

export type { Logger };

/** One JSON line per fact on stdout. Credentials never reach it: they are redacted by path, whoever logs the object. */
export const createLogger = (level: string, base: Record<string, string>): Logger =>
  pino({
    level,
    base,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: ['*.token', '*.headers.authorization', 'kubeconfig', '*.kubeconfig'],
  });
