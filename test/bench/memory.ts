import type { Fleet } from '../fleet/fleet.ts';
import type { CniOutcome } from '../fleet/runner-messages.ts';
import { countFailures, measureIdleRates, processesOf, settle } from './measure.ts';
import { poolAnnotations } from './pools.ts';
import { type Memory, memoryOf } from './process-usage.ts';
import { quantile, slopeOf } from './statistics.ts';

export interface MemoryFigures {
  /** Of each kind of process, with no pod attached. */
  readonly idle: Readonly<Record<string, Memory>>;
  readonly workerAtStart: Memory;
  readonly workerWithPods: Memory & { readonly pods: number };
  /** Median of the executable's VmHWM. */
  readonly executablePeakKiB: number;
  /** CPU of an idle worker, ms per second. */
  readonly workerIdleCpuMsPerSecond: number;
  readonly growth: {
    readonly pairs: number;
    /** By CNI code and message. */
    readonly failures: Readonly<Record<string, number>>;
    readonly seconds: number;
    readonly samples: readonly (readonly [pairs: number, rssMiB: number])[];
    readonly slopeMiBPer1000: number;
  };
}

export interface MemoryPlan {
  readonly attached: number;
  readonly warmUpPairs: number;
  readonly pairs: number;
  readonly samplePairs: number;
  readonly idleStretchSeconds: number;
}

/** Measures memory on a fleet of one node: at rest, with pods attached, and over many ADD / DEL pairs. */
export async function measureMemory(
  fleet: Fleet,
  plan: MemoryPlan,
  onProgress: (fact: string) => void,
): Promise<MemoryFigures> {
  const node = fleet.node();
  const annotations = poolAnnotations('empty', false);
  const processes = processesOf(fleet, [node]);
  const idleRates = await measureIdleRates(fleet, plan.idleStretchSeconds, onProgress);

  const workerAtStart = await memoryOf(node.worker.pid);
  const outcomes = await pairs(fleet, plan.warmUpPairs, annotations);
  await settle(processes, 5);
  const idle: Record<string, Memory> = {};
  for (const { kind, pid } of processes) idle[kind] = await memoryOf(pid);

  const pods = await fleet.pods(plan.attached, node, { annotations });
  const watched = await fleet.callAll('ADD', pods, 1, { watchesMemory: true });
  const peaks = watched.flatMap(({ peakRssKiB }) => peakRssKiB ?? []);
  await settle(processes, 5);
  const workerWithPods = { pods: pods.length, ...(await memoryOf(node.worker.pid)) };
  await fleet.removePods(pods);
  onProgress(`worker with ${pods.length} pods ${workerWithPods.rssMiB.toFixed(0)} MiB`);

  const samples: [number, number][] = [];
  const startedAt = performance.now();
  for (let done = 0; done < plan.pairs; ) {
    outcomes.push(...(await pairs(fleet, plan.samplePairs, annotations)));
    done += plan.samplePairs;
    samples.push([done, (await memoryOf(node.worker.pid)).rssMiB]);
    onProgress(`${done} pairs: worker ${samples.at(-1)?.[1].toFixed(1)} MiB`);
  }
  return {
    idle,
    workerAtStart,
    workerWithPods,
    executablePeakKiB: quantile(peaks, 0.5),
    workerIdleCpuMsPerSecond: idleRates.get(node.worker.pid) ?? Number.NaN,
    growth: {
      pairs: plan.pairs,
      failures: countFailures(outcomes),
      seconds: (performance.now() - startedAt) / 1000,
      samples,
      slopeMiBPer1000: slopeOf(samples) * 1000,
    },
  };
}

/** ADD, end of the pod and DEL, one after the other for each pod, 16 pods at a time. */
async function pairs(fleet: Fleet, count: number, annotations: Record<string, string>): Promise<CniOutcome[]> {
  const waiting = (await fleet.pods(count, fleet.node(), { annotations })).values();
  const outcomes: CniOutcome[] = [];
  const lane = async (): Promise<void> => {
    for (const pod of waiting) {
      outcomes.push(await pod.add());
      await fleet.deletePods([pod]);
      outcomes.push(await pod.del());
      await pod.removeNamespace();
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  return outcomes;
}
