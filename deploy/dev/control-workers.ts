import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openApiClient } from '../../kube/api-client.ts';
import { ApiError } from '../../kube/api-error.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { repositoryRoot } from '../toolchain/parts.ts';
import { kubeconfigText } from './certificates.ts';
import { flags } from './flags.ts';
import { management, ports } from './layout.ts';
import type { Stack } from './stack.ts';
import { type StackProcess, untilReady } from './stack-process.ts';

/** What every control worker of a stack is told, besides its name. */
export interface ControlWorkerSettings {
  readonly kubeconfig: string;
  readonly workflowBundle: string;
  readonly logLevel: string;
  /** Of the cluster, as environment variables. */
  readonly clusterSettings?: Readonly<Record<string, string>>;
}

/** Makes the credentials of the control workers, with the rights of their own ServiceAccount. Gives the kubeconfig's path. */
export async function prepareControlWorkers(stack: Stack): Promise<string> {
  const account = flags({ namespace: 'orbweaver-system', duration: '8760h' });
  const token = await stack.kubectl('create', 'token', 'orbweaver-control', ...account);
  const authority = {
    certificateFile: join(stack.directory, 'pki/ca.crt'),
    keyFile: join(stack.directory, 'pki/ca.key'),
  };
  const file = join(stack.directory, 'control-worker.kubeconfig');
  const text = await kubeconfigText(stack.insideApiServerUrl, authority, { token: token.trim() });
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** Starts replica `index` in the control namespace, beside the API server and Temporal. */
export const startControlWorker = (stack: Stack, index: number, settings: ControlWorkerSettings): StackProcess =>
  stack.control.spawn(`control-worker-${index}`, [process.execPath, join(repositoryRoot, 'workers/control/main.ts')], {
    env: {
      ...settings.clusterSettings,
      ORBWEAVER_REPLICA_NAME: `control-worker-${index}`,
      ORBWEAVER_TEMPORAL_ADDRESS: stack.insideTemporalAddress,
      ORBWEAVER_WORKFLOW_BUNDLE: settings.workflowBundle,
      ORBWEAVER_LOG_LEVEL: settings.logLevel,
      // All replicas are on one host here. The first has the ports of a real one.
      ORBWEAVER_METRICS_ADDRESS: `127.0.0.1:${5721 + 10 * index}`,
      ORBWEAVER_HEALTH_ADDRESS: `127.0.0.1:${5720 + 10 * index}`,
      // One for all: they share the port, and the kernel gives each connection to one that lives.
      ORBWEAVER_WEBHOOK_URL: `https://${management.control}:${ports.webhooks}`,
      KUBECONFIG: settings.kubeconfig,
    },
  });

/** Waits until the API server asks this worker's webhooks: it refuses a pool with host bits in its subnet, which no schema sees. */
export async function untilAdmissionServes(stack: Stack, worker: StackProcess): Promise<void> {
  const api = openApiClient(await endpointOf(stack.kubeconfigs.admin));
  const body = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'is-anybody-there' },
    spec: { subnet: '192.0.2.1/24' },
  };
  try {
    await untilReady(worker, 120, async () => {
      const path = '/apis/spiderpool.spidernet.io/v2beta1/spiderippools';
      try {
        await api.request({ method: 'POST', path, query: { dryRun: 'All' }, body, timeoutMs: 5000 });
        return { state: 'the API server asks nobody' };
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return error.message.includes('denied the request') ? { value: true } : { state: error.message };
      }
    });
  } finally {
    await api.close();
  }
}
