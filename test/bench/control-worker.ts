import { Client } from '@temporalio/client';
import { type SweepReport, zombieSweepWorkflow } from '../../contracts/sweep.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { ApiError } from '../../kube/api-error.ts';
import { controlNamespace } from '../../temporal-config/queues.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { countInEtcd } from './etcd-metrics.ts';
import { measureIdleRates, processesOf } from './measure.ts';
import type { BenchPool } from './pools.ts';
import { type Memory, memoryOf, peakRssMiBOf } from './process-usage.ts';
import { type Stranger, strangerOf, strangersClaim } from './stranger.ts';

/** What many claims cost the control worker. */
export interface ControlWorkerFigures {
  readonly claims: number;
  /** Once all is published and a sweep has seen everything. */
  readonly atRest: Memory;
  /** The most that it ever had (VmHWM). */
  readonly peakRssMiB: number;
  /** Seconds of that sweep. */
  readonly sweepSeconds: number;
  /** Of each kind of process, with no call to answer. */
  readonly idleCpuMsPerSecond: Readonly<Record<string, number>>;
  readonly restarts: readonly Restart[];
}

/** From kill -9, with the worker started again at once. */
export interface Restart {
  /** Until the API server gets a verdict from its webhooks. */
  readonly verdictSeconds: number;
  /** Until a claim that was made after the kill is published. */
  readonly publishedSeconds: number;
  /** The most that it had by then (VmHWM). */
  readonly peakRssMiB: number;
}

export interface ControlWorkerPlan {
  /** Filled with the claims. */
  readonly pool: BenchPool;
  readonly restarts: number;
  readonly idleStretchSeconds: number;
}

const claimsPath = '/apis/orbweaver.io/v1alpha1/ipclaims';
const poolsPath = '/apis/spiderpool.spidernet.io/v2beta1/spiderippools';
const endpointsPath = '/apis/spiderpool.spidernet.io/v2beta1/namespaces/default/spiderendpoints';

/** Measures the only replica of the control worker on a fleet whose pool is filled. */
export async function measureControlWorker(
  fleet: Fleet,
  plan: ControlWorkerPlan,
  onProgress: (fact: string) => void,
): Promise<ControlWorkerFigures> {
  const [worker] = fleet.cluster.controlWorkers;
  if (worker === undefined) throw new Error('This fleet has no control worker');
  await untilPublished(fleet);
  const sweepSeconds = await untilSwept(fleet, plan.pool.used);
  const idle = await measureIdleRates(fleet, plan.idleStretchSeconds, onProgress);
  const figures = {
    claims: plan.pool.used,
    atRest: await memoryOf(worker.pid),
    peakRssMiB: await peakRssMiBOf(worker.pid),
    sweepSeconds,
    idleCpuMsPerSecond: Object.fromEntries(
      processesOf(fleet, []).flatMap(({ kind, pid }) =>
        kind === 'idle node worker' ? [] : [[kind, idle.get(pid) ?? Number.NaN]],
      ),
    ),
  };
  onProgress(`control worker ${figures.atRest.rssMiB.toFixed(0)} MiB, at most ${figures.peakRssMiB.toFixed(0)}`);
  const restarts: Restart[] = [];
  for (let index = 0; index < plan.restarts; index += 1) {
    const restart = await measureRestart(fleet, worker, plan.pool, index);
    restarts.push(restart);
    onProgress(
      `control worker, kill -9: a verdict after ${restart.verdictSeconds.toFixed(1)} s, published after ${restart.publishedSeconds.toFixed(1)} s, at most ${restart.peakRssMiB.toFixed(0)} MiB`,
    );
    await measureIdleRates(fleet, plan.idleStretchSeconds, () => undefined);
  }
  return { ...figures, restarts };
}

/** Every claim here is of a pod of its own. */
async function untilPublished(fleet: Fleet): Promise<void> {
  await eventually('All claims are published', 3600, async () => {
    const [claims, endpoints] = await Promise.all([
      countInEtcd(fleet.stack, '/registry/orbweaver.io/ipclaims/'),
      countInEtcd(fleet.stack, '/registry/spiderpool.spidernet.io/spiderendpoints/'),
    ]);
    return claims === endpoints ? { value: true } : { state: `${claims} claims, ${endpoints} endpoints` };
  });
}

/** Waits for the end of a sweep that saw so many claims and pods, and gives its seconds. */
async function untilSwept({ temporal }: Fleet, count: number): Promise<number> {
  const { workflow } = new Client({ connection: temporal.connection, namespace: controlNamespace });
  return await eventually('A sweep saw all claims and their pods', 300, async () => {
    const query = `WorkflowType = '${zombieSweepWorkflow}' AND ExecutionStatus = 'Completed'`;
    let state = 'no sweep has ended';
    for await (const { workflowId, runId, startTime, closeTime = startTime } of workflow.list({ query })) {
      const { seen } = (await workflow.getHandle(workflowId, runId).result()) as SweepReport;
      if (seen.claims >= count && seen.pods >= count)
        return { value: (closeTime.getTime() - startTime.getTime()) / 1000 };
      state = `the last sweep saw ${JSON.stringify(seen)}`;
      break;
    }
    return { state };
  });
}

async function measureRestart(fleet: Fleet, worker: StackProcess, pool: BenchPool, index: number): Promise<Restart> {
  const stranger = { ...strangerOf(pool, 0), name: `after-kill-${index}`, address: pool.gateway };
  await worker.stop('SIGKILL');
  const killedAt = performance.now();
  const secondsUntil = async (seen: Promise<unknown>): Promise<number> => {
    await seen;
    return (performance.now() - killedAt) / 1000;
  };
  worker.start();
  await post(fleet, claimsPath, strangersClaim(pool, stranger, `uid-${stranger.name}`));
  const [verdictSeconds, publishedSeconds] = await Promise.all([
    secondsUntil(untilVerdict(fleet)),
    secondsUntil(untilEndpoint(fleet, stranger)),
  ]);
  await fleet.api.request({ method: 'DELETE', path: `${claimsPath}/${stranger.address}`, timeoutMs: 10_000 });
  return { verdictSeconds, publishedSeconds, peakRssMiB: await peakRssMiBOf(worker.pid) };
}

const post = (fleet: Fleet, path: string, body: object, query: Readonly<Record<string, string>> = {}) =>
  fleet.api.request({ method: 'POST', path, query, body, timeoutMs: 10_000 });

/** A pool with host bits in its subnet is refused, and not by a schema. */
async function untilVerdict(fleet: Fleet): Promise<void> {
  const body = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'is-anybody-there' },
    spec: { subnet: '192.0.2.1/24' },
  };
  await eventually('The webhooks answer', 120, async () => {
    try {
      await post(fleet, poolsPath, body, { dryRun: 'All' });
    } catch (error) {
      if (error instanceof ApiError && error.message.includes('denied the request')) return { value: true };
      throw error;
    }
    return { state: 'the API server asks nobody' };
  });
}

async function untilEndpoint(fleet: Fleet, { name }: Stranger): Promise<void> {
  await eventually(`${name} is published`, 120, async () => {
    await fleet.api.request({ method: 'GET', path: `${endpointsPath}/${name}`, timeoutMs: 10_000 });
    return { value: true };
  });
}
