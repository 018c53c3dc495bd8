import { createServer, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../activities/node-ports.ts';

export interface MonitoringOptions {
  /** "host:port" each; one address may serve for both. Empty: not served. */
  readonly metricsAddress: string;
  readonly healthAddress: string;
  /** The text of all metrics as they are now. */
  readonly metrics: () => Promise<string>;
  /** Why this process does not serve yet; undefined when it does. */
  readonly notReady: () => string | undefined;
  readonly log: Log;
}

/** Where Spiderpool's users look (spec/ipam.md §0.1). */
export const monitoringPaths = {
  metrics: '/metrics',
  startup: '/v1/runtime/startup',
  readiness: '/v1/runtime/readiness',
  liveness: '/v1/runtime/liveness',
} as const;

const tryAgainMs = 1000;

/**
 * Serves metrics and health by HTTP. Nothing depends on it: an address that is taken, by this worker's predecessor on the host's
 * network for example, is tried again each second, and the worker works meanwhile.
 */
export function serveMonitoring(options: MonitoringOptions): { close(): void } {
  const closed = new AbortController();
  const servers = new Set<Server>();
  const addresses = new Set([options.metricsAddress, options.healthAddress].filter((address) => address !== ''));
  for (const address of addresses) void listenUntilDone(address, options, servers, closed.signal);
  return {
    close() {
      closed.abort();
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

async function listenUntilDone(
  address: string,
  options: MonitoringOptions,
  servers: Set<Server>,
  closed: AbortSignal,
): Promise<void> {
  const { log } = options;
  for (let isFirst = true; !closed.aborted; isFirst = false) {
    try {
      const server = await listen(address, options);
      if (closed.aborted) return void server.close();
      servers.add(server);
      log.info({ address }, 'metrics and health served');
      return;
    } catch (err) {
      const remedy = 'See who listens there, or choose another: ORBWEAVER_METRICS_ADDRESS, ORBWEAVER_HEALTH_ADDRESS';
      if (isFirst) log.warn({ err, address, remedy }, 'metrics and health not served yet, everything else is');
      await sleep(tryAgainMs, undefined, { signal: closed, ref: false }).catch(() => undefined);
    }
  }
}

function listen(address: string, options: MonitoringOptions): Promise<Server> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const path = (request.url ?? '').replace(/\?.*/, '');
    void answer(path, response, options);
  });
  server.unref(); // a process that has nothing else to do any more ends
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port: Number(address.slice(at + 1)) }, () => resolve(server));
  });
}

async function answer(path: string, response: ServerResponse, options: MonitoringOptions): Promise<void> {
  const { metrics, notReady, log } = options;
  switch (path) {
    case monitoringPaths.metrics:
      try {
        const text = await metrics();
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
      } catch (err) {
        log.error({ err, remedy: 'Report this' }, 'metrics not told');
        response.writeHead(500).end('See the log of this worker\n');
      }
      return;
    case monitoringPaths.startup:
    case monitoringPaths.liveness:
      response.writeHead(200).end('ok\n');
      return;
    case monitoringPaths.readiness: {
      const why = notReady();
      response.writeHead(why === undefined ? 200 : 503).end(`${why ?? 'ok'}\n`);
      return;
    }
    default:
      response.writeHead(404).end(`Known are ${Object.values(monitoringPaths).join(', ')}\n`);
  }
}

/** Whether it is "host:port", or empty. */
export const isListenAddress = (text: string): boolean => {
  const port = Number(/^(?:[^\s:]+|\[[0-9a-f:.]+\]):(\d{1,5})$/i.exec(text)?.[1] ?? Number.NaN);
  return text === '' || (port > 0 && port < 65_536);
};
