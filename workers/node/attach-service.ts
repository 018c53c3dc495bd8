import type { CniResult } from '../../contracts/cni.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import type { OpenCall } from './open-calls.ts';
import type { SandboxRuns } from './sandbox-runs.ts';

/**
 * Serves one ADD. The answer is handed over inside this process when the last step is done; what Temporal replies matters only
 * when the run knew the answer already, or could not be reached.
 */
export async function attachThroughRun(
  runs: Pick<SandboxRuns, 'add'>,
  request: AddRequest,
  call: OpenCall,
): Promise<CniResult> {
  const known = runs.add(request, call).then((result) => result ?? waitFor(call));
  known.catch(() => undefined); // the race below may be over before it fails
  return await Promise.race([known, waitFor(call)]);
}

async function waitFor(call: OpenCall): Promise<CniResult> {
  const result = await call.outcome;
  if (result === undefined) throw new Error('An ADD was answered without a result');
  return result;
}
