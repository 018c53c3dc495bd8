import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { load } from 'js-yaml';

/** Where the API server is and what to show it. */
export interface ApiEndpoint {
  /** Base URL, for example "https://10.96.0.1:443". */
  readonly server: string;
  /** Authority, client certificate and key of the connection. */
  readonly tls: TlsOptions;
  /** Headers that authenticate one request; asked for each, because tokens rotate. */
  headers(): Promise<Readonly<Record<string, string>>>;
}

export type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;

/**
 * Reads the current context of a kubeconfig file or, without one, what the environment offers (KUBECONFIG, the service
 * account of the pod). A token file is read again at least once a minute: bound tokens live for an hour and more, and the
 * kubelet writes the next one long before.
 */
export async function endpointOf(kubeconfigFile?: string): Promise<ApiEndpoint> {
  const config = new KubeConfig();
  if (kubeconfigFile === undefined) config.loadFromDefault();
  else loadWithTokenFiles(config, kubeconfigFile);

  const cluster = config.getCurrentCluster();
  if (!cluster)
    throw new Error(`Cannot reach an API server: ${kubeconfigFile ?? 'the environment'} names no current cluster`);
  const { ca, cert, key, servername, rejectUnauthorized, ...first } = await httpsOptions(config);
  let { headers } = first;
  let readAtMs = Date.now();
  return {
    server: cluster.server,
    tls: withoutAbsent({ ca, cert, key, servername, rejectUnauthorized }),
    headers: async () => {
      if (Date.now() - readAtMs >= credentialsMaxAgeMs) {
        readAtMs = Date.now();
        ({ headers } = await httpsOptions(config));
      }
      return headers;
    },
  };
}

/** The library reads every file of the user at each call, which is too much for each request. */
const credentialsMaxAgeMs = 10_000;

/** The client library knows `tokenFile` only in its own spelling; in a kubeconfig it stands beside `token`. */
function loadWithTokenFiles(config: KubeConfig, file: string): void {
  config.loadFromFile(file);
  const { users = [] } = load(readFileSync(file, 'utf8')) as {
    users?: readonly { name: string; user?: { tokenFile?: string } }[];
  };
  config.users = config.users.map((user) => {
    const tokenFile = users.find(({ name }) => name === user.name)?.user?.tokenFile;
    if (tokenFile === undefined) return user;
    return { ...user, authProvider: { name: 'tokenFile', config: { tokenFile: resolve(dirname(file), tokenFile) } } };
  });
}

interface HttpsOptions extends TlsOptions {
  readonly headers: Readonly<Record<string, string>>;
}

async function httpsOptions(config: KubeConfig): Promise<HttpsOptions> {
  const options = { headers: {} };
  await config.applyToHTTPSOptions(options);
  return options;
}

const withoutAbsent = (options: TlsOptions): TlsOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
