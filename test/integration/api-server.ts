import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { type ApiEndpoint, endpointOf } from '../../kube/kubeconfig.ts';

/** A real API server with our CRDs and nothing else, and a client of it that may do everything. */
export interface TestApiServer {
  readonly api: ApiClient;
  readonly endpoint: ApiEndpoint;
  readonly kubectl: Stack['kubectl'];
  stop(): Promise<void>;
}

export async function startApiServer(): Promise<TestApiServer> {
  const stack = await startStack({ nodes: [], temporal: false });
  const endpoint = await endpointOf(stack.kubeconfigs.admin);
  const api = openApiClient(endpoint);
  return {
    api,
    endpoint,
    kubectl: (...args) => stack.kubectl(...args),
    stop: async () => {
      await api.close();
      await stack.stop();
    },
  };
}
