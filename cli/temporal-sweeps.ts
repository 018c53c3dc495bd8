import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { OpenRun } from '../activities/sweep-suspects.ts';
import { reclaimId, type SweepReport } from '../contracts/sweep.ts';
import { controlQueue } from '../temporal-config/queues.ts';
import { openNodeNamespace } from '../workers/control/temporal/node-namespace.ts';
import { sweepAction } from '../workers/control/temporal/sweep-schedule.ts';
import { CliError } from './cli-error.ts';
import { asked, type TemporalOptions } from './temporal-runs.ts';

/** What `orb reclaim` asks of Temporal. Each call fails as a `CliError`. */
export interface TemporalSweeps {
  /** Open runs of all pods. */
  openRuns(): Promise<readonly OpenRun[]>;
  /** Lets the control workers sweep now, and waits for what they say; joins a sweep that another person asked for. */
  sweep(): Promise<SweepReport>;
  close(): Promise<void>;
}

const deadlineMs = 3000;
/** Two looks, a pause, and nodes that do not answer. */
const sweepMs = 120_000;

/** Connects, within 3 s. `namespace` is that of the nodes' runs. */
export async function openTemporalSweeps(
  options: TemporalOptions & { readonly controlNamespace: string },
): Promise<TemporalSweeps> {
  const { address, namespace, controlNamespace } = options;
  const ofControl = { address, namespace: controlNamespace };
  const connection = await asked(options, () => Connection.connect({ address, connectTimeout: deadlineMs }));
  const control = new Client({ connection, namespace: controlNamespace });
  const nodes = new Client({ connection, namespace });

  /** Without one the run would wait, and so would the person. */
  async function checkForPollers(): Promise<void> {
    const { pollers } = await asked(ofControl, () =>
      control.withDeadline(Date.now() + deadlineMs, () =>
        control.workflowService.describeTaskQueue({
          namespace: controlNamespace,
          taskQueue: { name: controlQueue },
          taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        }),
      ),
    );
    if (pollers?.length) return;
    throw new CliError(`No control worker polls "${controlQueue}" in namespace "${controlNamespace}" at ${address}`, {
      remedy:
        'Start the control workers, or name their namespace with --control-namespace; meanwhile: orb reclaim --dry-run',
    });
  }

  return {
    openRuns: () => asked(options, () => openNodeNamespace(nodes).runs.listOpen()),
    async sweep() {
      await checkForPollers();
      const { workflowType, ...start } = sweepAction;
      return await asked(ofControl, () =>
        control.withDeadline(Date.now() + sweepMs, async () => {
          const handle = await control.workflow.start(workflowType, {
            ...start,
            workflowId: reclaimId,
            workflowIdConflictPolicy: 'USE_EXISTING',
            staticSummary: 'Claims and runs whose pod is not there, by orb reclaim',
          });
          return (await handle.result()) as SweepReport;
        }),
      );
    },
    close: () => connection.close(),
  };
}
