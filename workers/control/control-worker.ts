import { randomUUID } from 'node:crypto';
import { openApiClient } from '../../kube/api-client.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { LeaderLease } from '../../kube/lease.ts';
import { publishViews } from '../../kube/publish-views.ts';
import { createLogger } from '../logger.ts';
import { installTemporalRuntime } from '../node/temporal-runtime.ts';
import type { ControlWorkerConfig } from './config.ts';
import { startControlTemporal } from './temporal/control-temporal.ts';

/** One replica of the control worker. The leader publishes the views; the others wait for its end. Ends with SIGTERM. */
export async function runControlWorker(config: ControlWorkerConfig): Promise<void> {
  const log = createLogger(config.logLevel, { process: 'control-worker', replica: config.name });
  const endpoint = await endpointOf(config.kubeconfig === '' ? undefined : config.kubeconfig);
  const api = openApiClient(endpoint);
  const leaseApi = openApiClient(endpoint); // renewing waits for no connection that others use
  const lease = new LeaderLease({
    api: leaseApi,
    namespace: config.namespace,
    name: 'orbweaver-control',
    identity: `${config.name}_${randomUUID()}`,
    log,
  });
  installTemporalRuntime(log);
  const temporal = startControlTemporal({
    address: config.temporalAddress,
    controlNamespace: config.temporalNamespaces.control,
    nodeNamespace: config.temporalNamespaces.node,
    workflowBundle: config.workflowBundle,
    identity: `control/${config.name}/${process.pid}`,
    api,
    log,
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping: what is being written is finished, the lease given back');
      lease.stop();
    });
  }
  await lease.compete((term) => publishViews({ api, term, log }));
  await temporal.stop();
  await Promise.all([api.close(), leaseApi.close()]);
  log.info({}, 'stopped');
}
