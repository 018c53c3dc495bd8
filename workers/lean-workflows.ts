import type { Worker } from '@temporalio/worker';
import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared.js';

/**
 * Takes two aids of the SDK off a worker that was just created, which cost more than the workflow code itself (measured,
 * docs/decisions/013): a hook on every promise of the process, which records stacks for the query `__stack_trace` and compiles a
 * function each time; and a watchdog thread for each entry into workflow code, against endless loops, of which ours has none.
 * Until the SDK (1.24) has options for them. Says whether both were found.
 */
export function makeWorkflowsLean(worker: Worker): boolean {
  globalHandlers.uninstall();
  const { workflowCreator } = worker as unknown as { readonly workflowCreator?: Partial<Watched> };
  if (typeof workflowCreator?.isolateExecutionTimeoutMs !== 'number') return false;
  workflowCreator.isolateExecutionTimeoutMs = undefined;
  return true;
}

interface Watched {
  isolateExecutionTimeoutMs: number | undefined;
}
