import type { Client } from '@temporalio/client';
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

/**
 * Tells the run of this pool that something changed, and begins one where there is none. `client` is of the control namespace, on a
 * connection that keeps deadlines.
 */
export async function hintAtPool(client: Client, subject: PoolSubject, podAnnotations: PodAnnotations): Promise<void> {
  const { kind, namespace, name, ifName, family } = subject;
  await client.withDeadline(Date.now() + callMs, () =>
    client.workflow.signalWithStart(applicationPoolWorkflow, {
      workflowId: applicationPoolId(subjectKey(subject)),
      taskQueue: controlQueue,
      args: [subject, podAnnotations],
      signal: applicationPoolChanged,
      signalArgs: [podAnnotations],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `${familyName(family)} pool of ${kind} ${namespace}/${name} for ${ifName}`,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: podNamespace, value: namespace },
        { key: workload, value: `${kind}/${namespace}/${name}`.slice(0, longestWorkload) },
      ]),
    }),
  );
}
