import { bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker';

/** Workflow code for a Temporal worker: prebuilt at `codePath`, or bundled here when that is empty, which costs a second. */
export async function loadWorkflows(codePath: string): Promise<WorkflowBundleOption> {
  if (codePath !== '') return { codePath };
  return await bundleWorkflowCode({ workflowsPath: new URL('../workflows/index.ts', import.meta.url).pathname });
}
