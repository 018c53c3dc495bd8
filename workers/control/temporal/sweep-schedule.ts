import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import { type SweepPlan, zombieSweepSchedule, zombieSweepWorkflow } from '../../../contracts/sweep.ts';
import { controlQueue } from '../../../temporal-config/queues.ts';
import { sweepTimeouts } from '../../../temporal-config/timeouts.ts';

/** 500 suspects are 150 KB of history; an event of ten claims is 3. */
const plan: SweepPlan = { suspects: 500, suspectsPerNode: 200, pauseMs: sweepTimeouts.pauseMs };

/** How every sweep is started, by the schedule or by `orb reclaim`; the workflow ID is the caller's. */
export const sweepAction = {
  workflowType: zombieSweepWorkflow,
  taskQueue: controlQueue,
  args: [plan] as [SweepPlan],
  workflowExecutionTimeout: sweepTimeouts.execution,
};

/**
 * Makes the schedule, or changes what is there into what this version wants. Every replica may do it, at once and repeatedly: all
 * want the same. A schedule that somebody paused stays paused. `client` is of the control namespace.
 */
export async function ensureSweepSchedule(client: Client): Promise<void> {
  const { workflowType, ...start } = sweepAction;
  const wanted = {
    spec: { intervals: [{ every: sweepTimeouts.every }] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: sweepTimeouts.catchup },
    action: {
      type: 'startWorkflow' as const,
      workflowType,
      ...start,
      workflowId: zombieSweepSchedule,
      staticSummary: 'Claims and runs whose pod is not there, by schedule',
    },
  };
  try {
    await client.schedule.create({ scheduleId: zombieSweepSchedule, ...wanted });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule.getHandle(zombieSweepSchedule).update(({ state }) => {
      const { paused, note } = state;
      return { ...wanted, state: { paused, ...(note === undefined ? {} : { note }) } };
    });
  }
}
