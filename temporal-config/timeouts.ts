/**
 * Timeouts and retries of the node's runs. The reasons are measured (docs/decisions/): the workflow task timeout is the
 * recovery time after a crash, the sticky timeout is what the first call to an idle sandbox waits after one.
 */
export const podNetworkTimeouts = {
  workflowTaskTimeout: '2 seconds',
  stickyQueueScheduleToStartTimeout: '300 milliseconds',
} as const;

/** A step of an ADD runs once: kubelet repeats the whole ADD, and an error said early is worth more than a late success. */
export const stepOptions = {
  startToCloseTimeout: '30 seconds',
  localRetryThreshold: '1 second',
  retry: { maximumAttempts: 1 },
} as const;

/** An undo is repeated until the world lets it happen; what cannot be undone in this time needs a person. */
export const undoOptions = {
  startToCloseTimeout: '20 seconds',
  scheduleToCloseTimeout: '30 minutes',
  localRetryThreshold: '1 second',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '10 seconds' },
} as const;
