import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../toolchain/parts.ts';
import { kubeconfigText } from './certificates.ts';
import { flags } from './flags.ts';
import type { Stack } from './stack.ts';
import type { StackProcess } from './stack-process.ts';

/** What every control worker of a stack is told, besides its name. */
export interface ControlWorkerSettings {
  readonly kubeconfig: string;
  readonly workflowBundle: string;
  readonly logLevel: string;
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
      ORBWEAVER_REPLICA_NAME: `control-worker-${index}`,
      ORBWEAVER_TEMPORAL_ADDRESS: stack.insideTemporalAddress,
      ORBWEAVER_WORKFLOW_BUNDLE: settings.workflowBundle,
      ORBWEAVER_LOG_LEVEL: settings.logLevel,
      KUBECONFIG: settings.kubeconfig,
    },
  });
