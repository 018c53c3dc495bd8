import type { NodeActivities } from '../../contracts/node-activities.ts';

/** Where the time of one answered call went, in milliseconds with one decimal; together its whole duration. */
export interface CallShares {
  /** Reading the call, the way to its run and the run's first task; the whole call when no step ran for it. */
  readonly beforeFirstStepMs: number;
  /** By step, in the order in which they ran. */
  readonly stepsMs: Readonly<Record<string, number>>;
  /** Inside the run, from the end of one step to the begin of the next. */
  readonly betweenStepsMs: number;
  readonly afterLastStepMs: number;
}

type TimedStep = Exclude<keyof NodeActivities, 'answerFailure'>;

/** When the steps of the open calls ran, by nonce. */
export class CallTimes {
  readonly #calls = new Map<string, Times>();
  readonly #nowMs: () => number;

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  begin(nonce: string): void {
    this.#calls.set(nonce, { beganAtMs: this.#nowMs(), steps: [] });
  }

  end(nonce: string): CallShares | undefined {
    const times = this.#calls.get(nonce);
    this.#calls.delete(nonce);
    return times && sharesOf(times, this.#nowMs());
  }

  /** The same steps, which note when they ran for an open call. */
  around(steps: NodeActivities): NodeActivities {
    const timed =
      <Args extends readonly [{ readonly nonce: string }, ...unknown[]], Result>(
        name: TimedStep,
        step: (...args: Args) => Promise<Result>,
      ) =>
      async (...args: Args): Promise<Result> => {
        const entry: StepTime = { name, fromMs: this.#nowMs() };
        this.#calls.get(args[0].nonce)?.steps.push(entry);
        try {
          return await step(...args);
        } finally {
          entry.toMs = this.#nowMs();
        }
      };
    return {
      prepareLinks: timed('prepareLinks', steps.prepareLinks),
      claimAddresses: timed('claimAddresses', steps.claimAddresses),
      plumbLink: timed('plumbLink', steps.plumbLink),
      lendRdma: timed('lendRdma', steps.lendRdma),
      coordinate: timed('coordinate', steps.coordinate),
      removeLink: timed('removeLink', steps.removeLink),
      releaseAddresses: timed('releaseAddresses', steps.releaseAddresses),
      answerFailure: steps.answerFailure,
    };
  }
}

interface Times {
  readonly beganAtMs: number;
  readonly steps: StepTime[];
}

interface StepTime {
  readonly name: TimedStep;
  readonly fromMs: number;
  /** Absent while it runs: the last step answers its call before it ends. */
  toMs?: number;
}

function sharesOf({ beganAtMs, steps }: Times, endedAtMs: number): CallShares {
  const stepsMs: Record<string, number> = {};
  let betweenMs = 0;
  let lastMs: number | undefined;
  for (const { name, fromMs, toMs = endedAtMs } of steps) {
    stepsMs[name] = rounded((stepsMs[name] ?? 0) + toMs - fromMs);
    if (lastMs !== undefined) betweenMs += fromMs - lastMs;
    lastMs = toMs;
  }
  return {
    beforeFirstStepMs: rounded((steps[0]?.fromMs ?? endedAtMs) - beganAtMs),
    stepsMs,
    betweenStepsMs: rounded(betweenMs),
    afterLastStepMs: lastMs === undefined ? 0 : rounded(endedAtMs - lastMs),
  };
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
