import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import {
  applicationPoolChanged,
  applicationPoolId,
  applicationPoolWorkflow,
  type PodAnnotations,
} from '../../../contracts/application-pool.ts';
import { familyName } from '../../../ipam/address.ts';
import { type PoolSubject, subjectKey } from '../../../ipam/auto-pools/pool-wish.ts';
import { controlQueue } from '../../../temporal-config/queues.ts';

const podNamespace = defineSearchAttributeKey('PodNamespace', 'KEYWORD');
const workload = defineSearchAttributeKey('Workload', 'KEYWORD');
/** Search attribute `Workload` is cut at this length. */
const longestWorkload = 200;
const callMs = 5000;

/** Clients of the control namespace. */
export interface PoolRunClients {
  /** On a connection that keeps deadlines. */
  readonly control: Client;
  /** On the connection of this process' worker: a run that it starts has its first task in the answer. */
  readonly worker: Client;
}

/**
 * Tells the run of this pool that something changed, and begins one where there is none. Where there is none most likely, it is
 * begun first: that saves Temporal the way through the queue and back.
 */
export async function hintAtPool(
  { control, worker }: PoolRunClients,
  subject: PoolSubject,
  podAnnotations: PodAnnotations,
  isMostLikelyNew: boolean,
): Promise<void> {
  const { kind, namespace, name, ifName, family } = subject;
  const run = {
    workflowId: applicationPoolId(subjectKey(subject)),
    taskQueue: controlQueue,
    args: [subject, podAnnotations] as [PoolSubject, PodAnnotations],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
    staticSummary: `${familyName(family)} pool of ${kind} ${namespace}/${name} for ${ifName}`,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: podNamespace, value: namespace },
      { key: workload, value: `${kind}/${namespace}/${name}`.slice(0, longestWorkload) },
    ]),
  };
  const begin = () => worker.workflow.start(applicationPoolWorkflow, { ...run, requestEagerStart: true });
  if (isMostLikelyNew && (await isBegun(begin))) return;
  await control.withDeadline(Date.now() + callMs, () =>
    control.workflow.signalWithStart(applicationPoolWorkflow, {
      ...run,
      signal: applicationPoolChanged,
      signalArgs: [podAnnotations],
    }),
  );
}

/** False when the run is there already. The worker's connection keeps no deadline; what is given up may happen all the same. */
async function isBegun(begin: () => Promise<unknown>): Promise<boolean> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Temporal did not answer within ${callMs} ms`)), callMs);
  const beginning = begin();
  beginning.catch(() => undefined); // it fails later, when nobody waits any more
  try {
    await Promise.race([beginning, late]);
    return true;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return false;
  } finally {
    clearTimeout(timer);
  }
}
