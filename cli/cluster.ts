import { KubeConfig } from '@kubernetes/client-node';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderReservedIP } from '../contracts/crds/spiderreservedip.ts';
import { ProvisionError } from '../contracts/failures.ts';
import { type ApiClient, openApiClient } from '../kube/api-client.ts';
import { hasStatus } from '../kube/api-error.ts';
import { endpointOf } from '../kube/kubeconfig.ts';
import { CliError } from './cli-error.ts';

/** What the CLI reads of the API server. Each page has its own deadline; a failure is a `CliError`. */
export interface Cluster {
  claims(): Promise<readonly IPClaim[]>;
  pools(): Promise<readonly SpiderIPPool[]>;
  reservations(): Promise<readonly SpiderReservedIP[]>;
  /** One claim by its name; undefined when there is none. */
  claim(name: string): Promise<IPClaim | undefined>;
  /** Carries out what asks the API server directly, and says its failures as those of this cluster. */
  asking<T>(what: string, call: (api: ApiClient) => Promise<T>): Promise<T>;
  /** Namespace of the kubeconfig's current context. */
  readonly namespace: string;
  close(): Promise<void>;
}

const deadlineMs = 3000;
const pageSize = 500;

interface List<Item> {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly Item[];
}

/**
 * Opens the API server of a kubeconfig file or, without one, of KUBECONFIG, `~/.kube/config` or the pod that this runs in.
 * Nothing is sent yet.
 */
export async function openCluster(kubeconfig: string | undefined): Promise<Cluster> {
  const { endpoint, namespace } = await readConfiguration(kubeconfig);
  const client = openApiClient(endpoint);

  async function list<Item>(group: string, resource: string): Promise<readonly Item[]> {
    const items: Item[] = [];
    let next: string | undefined;
    do {
      const path = `/apis/${group}/${resource}`;
      const query = { limit: pageSize, continue: next };
      try {
        const page = await client.request<List<Item>>({ method: 'GET', path, query, timeoutMs: deadlineMs });
        items.push(...page.items);
        next = page.metadata.continue;
      } catch (error) {
        throw cannotRead(resource, endpoint.server, error);
      }
    } while (next !== undefined && next !== '');
    return items;
  }

  async function asking<T>(what: string, call: (api: ApiClient) => Promise<T>): Promise<T> {
    try {
      return await call(client);
    } catch (error) {
      if (error instanceof CliError) throw error; // another part's, that was asked on the way
      // The cluster answered, and what it says is the reason.
      if (error instanceof ProvisionError && error.type !== 'ApiServerUnavailable') {
        const { message, remedy } = error;
        throw new CliError(message, { ...(remedy === undefined ? {} : { remedy }), cause: error });
      }
      throw cannotRead(what, endpoint.server, error);
    }
  }

  return {
    asking,
    claim: (name) =>
      asking('ipclaims', async (api) => {
        const path = `/apis/orbweaver.io/v1alpha1/ipclaims/${name}`;
        try {
          return await api.request<IPClaim>({ method: 'GET', path, timeoutMs: deadlineMs });
        } catch (error) {
          if (hasStatus(error, 404)) return undefined;
          throw error;
        }
      }),
    claims: () => list('orbweaver.io/v1alpha1', 'ipclaims'),
    pools: () => list('spiderpool.spidernet.io/v2beta1', 'spiderippools'),
    reservations: () => list('spiderpool.spidernet.io/v2beta1', 'spiderreservedips'),
    namespace,
    close: () => client.close(),
  };
}

async function readConfiguration(kubeconfig: string | undefined) {
  try {
    const config = new KubeConfig();
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
    // What the library falls back to where neither file, variable nor pod names a cluster.
    if (config.getCurrentCluster()?.server === 'http://localhost:8080') throw new Error('there is none');
    const namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
    return { endpoint: await endpointOf(kubeconfig), namespace };
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replace(/^Error: /, ''); // the library wraps texts
    throw new CliError(`Cannot read the kubeconfig: ${why}`, {
      remedy: 'Give one with --kubeconfig or KUBECONFIG, as for kubectl',
      cause: error,
    });
  }
}

function cannotRead(resource: string, server: string, error: unknown): CliError {
  if (hasStatus(error, 404)) {
    const remedy = `Install the definitions: kubectl apply -f deploy/crds; or name another cluster: --kubeconfig`;
    return new CliError(`The cluster at ${server} does not know ${resource}`, { remedy, cause: error });
  }
  const remedy =
    hasStatus(error, 401) || hasStatus(error, 403)
      ? `Let this user read them; see what it may: kubectl auth can-i list ${resource}`
      : 'See whether it answers: kubectl cluster-info; or name another cluster: --kubeconfig, KUBECONFIG';
  const why = error instanceof Error ? error.message : String(error);
  return new CliError(`Cannot list ${resource} at ${server}: ${why}`, { remedy, cause: error });
}
