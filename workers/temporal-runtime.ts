import { DefaultLogger, type LogLevel, Runtime } from '@temporalio/worker';
import type { Log } from '../activities/node-ports.ts';

const levels = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
} as const satisfies Record<LogLevel, 'debug' | 'warn' | 'error'>;

/**
 * Installs the SDK's runtime once per process: its lines join ours, instead of coloured text beside our JSON. Its core warns of
 * every retry while a server is away (30 lines a second, measured), which the breaker says in one line; so only its errors pass.
 */
export function installTemporalRuntime(log: Log): void {
  const logger = new DefaultLogger('WARN', ({ level, message, meta }) => {
    const { error, ...fields } = (meta ?? {}) as { readonly error?: unknown };
    log[levels[level]]({ sdk: 'temporal', ...fields, ...(error === undefined ? {} : { err: error }) }, message);
  });
  Runtime.install({
    logger,
    shutdownSignals: [], // ours: the socket closes first
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
}
