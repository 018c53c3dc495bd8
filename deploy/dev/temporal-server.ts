import { join } from 'node:path';
import { devServer } from '../../temporal-config/server.ts';
import { toolPath } from '../toolchain/parts.ts';
import { flags } from './flags.ts';
import { management, ports, type StackLayout } from './layout.ts';
import type { Place } from './place.ts';
import { type StackProcess, untilReady } from './stack-process.ts';

/** Address of the Temporal frontend for everybody on the management network. */
export const insideTemporal = `${management.control}:${ports.temporal}`;

/** Starts the Temporal dev server with its UI. */
export function startTemporal(layout: StackLayout, control: Place): StackProcess {
  const pairs = (flag: string, values: Readonly<Record<string, unknown>>): string[] =>
    Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${String(value)}`]);
  return control.spawn('temporal', [
    toolPath('temporal'),
    'server',
    'start-dev',
    ...flags({
      // Its services find each other at 127.0.0.1, whatever address they listen on; the namespace has no way out.
      ip: '0.0.0.0',
      port: ports.temporal,
      'ui-port': ports.temporalUi,
      'ui-disable-news-fetch': true,
      'db-filename': join(layout.directory, 'temporal.db'),
      'log-level': 'warn',
    }),
    ...devServer.namespaces.flatMap((name) => ['--namespace', name]),
    ...pairs('--search-attribute', devServer.searchAttributes),
    ...pairs('--dynamic-config-value', devServer.dynamicConfig),
    ...pairs('--sqlite-pragma', devServer.sqlitePragmas),
  ]);
}

/** Waits until every namespace answers with its search attributes. */
export async function untilTemporalReady(server: StackProcess, uiUrl: string): Promise<void> {
  for (const namespace of devServer.namespaces) {
    await untilReady(server, 30, async () => {
      const answer = await fetch(`${uiUrl}/api/v1/namespaces/${namespace}/search-attributes`, {
        signal: AbortSignal.timeout(5000),
      });
      if (!answer.ok) return { state: `namespace ${namespace}: HTTP ${answer.status}` };
      const { customAttributes } = (await answer.json()) as { customAttributes?: Readonly<Record<string, unknown>> };
      const missing = Object.keys(devServer.searchAttributes).filter((name) => customAttributes?.[name] === undefined);
      return missing.length === 0 ? { value: true } : { state: `namespace ${namespace} lacks ${missing.join(', ')}` };
    });
  }
}
