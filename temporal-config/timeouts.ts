/**
 * Timeouts and retries of the node's runs, measured (docs/decisions/032): the workflow task timeout is the recovery time after a
 * crash in the middle of a step, the sticky timeout what the first call to an idle sandbox waits after one. Both are longer than
 * a workflow task takes on a node that is overloaded: a task that times out is done again, which makes the overload worse.
 */
export const podNetworkTimeouts = {
  workflowTaskTimeout: '5 seconds',
  stickyQueueScheduleToStartTimeout: '2 seconds',
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

/** A check looks at a node's suspects one after the other; each takes seconds at the most, and a heartbeat follows each. */
export const checkOptions = {
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '30 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds', maximumAttempts: 5 },
} as const;

/** From its birth to its release garbage takes at most the schedule's 30 s, the pause of 10 s and the work between them. */
export const sweepTimeouts = {
  every: '30 seconds',
  /** Between two looks at a suspect: longer than an ADD or a DEL takes to move on. */
  pauseMs: 10_000,
  /** How long one node's worker may take; less than a schedule's turn, so that a silent one never costs a whole one. */
  answerMs: 20_000,
  /** A check that nobody takes up ends by itself: its node may never come back. */
  checkExecution: '10 minutes',
  /** A turn that was missed while the server was away needs no making up for: the next one sees the same. */
  catchup: '10 seconds',
  find: { startToCloseTimeout: '60 seconds', retry: { maximumAttempts: 2 } },
  check: { startToCloseTimeout: '40 seconds', retry: { maximumAttempts: 1 } },
  /** Above this something is wrong with the run itself, and the schedule, which skips while it is open, should go on. */
  execution: '10 minutes',
} as const;

/** A look at an application's pool is a few requests to the API server; it waits for others who write the same Subnet. */
export const applicationPoolTimeouts = {
  look: {
    startToCloseTimeout: '30 seconds',
    localRetryThreshold: '1 second',
    retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumAttempts: 4 },
  },
  /**
   * From one look to the next while nobody says that something changed; doubled with each. Only `Ready` waits for nothing: its look
   * is for a change that nobody told of.
   */
  again: {
    Ready: { firstMs: 3_600_000, mostMs: 3_600_000 },
    Shrinking: { firstMs: 2000, mostMs: 30_000 },
    WaitingForSubnet: { firstMs: 5000, mostMs: 30_000 },
    Replacing: { firstMs: 2000, mostMs: 60_000 },
    Removing: { firstMs: 1000, mostMs: 30_000 },
    Refused: { firstMs: 1000, mostMs: 60_000 },
  },
} as const;
