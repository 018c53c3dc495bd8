import { setTimeout as sleep } from 'node:timers/promises';
import { together } from '../../deploy/dev/together.ts';
import type { Fleet, PodsOptions } from '../fleet/fleet.ts';
import type { FleetNode } from '../fleet/fleet-node.ts';
import type { CniCommand, FleetPod } from '../fleet/fleet-pod.ts';
import type { CniOutcome } from '../fleet/runner-messages.ts';
import { logEnd, readWorkerShares, type WorkerShares } from './call-shares.ts';
import { readEtcdMetrics } from './etcd-metrics.ts';
import { type CpuRates, isAtRest, ratesBetween } from './idle-rates.ts';
import { poolAnnotations } from './pools.ts';
import { cpuMsOf, cpuMsOfTree } from './process-usage.ts';
import { mean, quantile } from './statistics.ts';
import { callOptions, type Variant } from './variants.ts';

/** Everything that is known of one command in one round of one variant. */
export interface CommandRound {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  /** How many failed, by CNI code and message. */
  readonly failures: Readonly<Record<string, number>>;
  /** CPU of each kind of process beyond its idle rate, per call; of idle workers: of each one of them. */
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly etcdWalBytes: number;
  readonly shares: Shares;
}

/** Means over the middle half of the calls by duration, so that they add up to about the median call. */
export interface Shares {
  /** Starting the executable, its way to the worker and its end; in a chain also the other plugin's work. */
  readonly executableMs: number;
  /** A part of that: how long the start held its starter. */
  readonly spawnMs: number;
  readonly beforeFirstStepMs: number;
  readonly claimMs: number;
  readonly betweenStepsMs: number;
  readonly kernelMs: number;
  readonly afterLastStepMs: number;
}

export interface VariantRound {
  readonly add: CommandRound;
  readonly del: CommandRound;
  /** Claims of these pods that are there 3 s after their DELs succeeded. */
  readonly claimsLeft: number;
  readonly etcdDatabaseBytes: number;
}

/** One round of one variant: makes pods, adds all, deletes the pods, detaches all, and leaves nothing. */
export async function measureRound(fleet: Fleet, variant: Variant, idle: CpuRates): Promise<VariantRound> {
  const active = fleet.nodes.slice(0, variant.nodes);
  const annotations = poolAnnotations(variant.pool, variant.isDualStack);
  const perNode = Math.ceil(variant.calls / active.length);
  const pods: FleetPod[] = [];
  const options = { annotations, ...(variant.isSticky === true && ofStatefulSet) };
  for (const node of active) pods.push(...(await fleet.pods(perNode, node, options)));
  try {
    const add = await measureCommand(fleet, 'ADD', variant, pods, idle);
    await fleet.deletePods(pods);
    const del = await measureCommand(fleet, 'DEL', variant, pods, idle);
    const claimsLeft = await countClaimsLeft(fleet, pods);
    return { add, del, claimsLeft, etcdDatabaseBytes: (await readEtcdMetrics(fleet.stack)).databaseBytes };
  } finally {
    for (const node of active) await node.removeNamespaces(pods.filter((pod) => pod.node === node));
  }
}

/** There is no such StatefulSet: the DEL of a pod ends what is kept for it, as when one is scaled down. */
const ofStatefulSet: PodsOptions = {
  prefix: 'db',
  ownerReferences: [
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      name: 'db',
      uid: '2b7d4f0e-5c1a-4e57-9a3c-0f1d8c6e4b21',
      controller: true,
    },
  ],
};

async function measureCommand(
  fleet: Fleet,
  command: CniCommand,
  { mode, nodes, atOncePerNode }: Variant,
  pods: readonly FleetPod[],
  idle: CpuRates,
): Promise<CommandRound> {
  const active = fleet.nodes.slice(0, nodes);
  const processes = processesOf(fleet, active);
  await settle(processes);
  const logsFrom = await together(active.map((node) => logEnd(node)));
  const before = await snapshot(fleet, processes);
  const outcomes = await fleet.callAll(command, pods, atOncePerNode, callOptions[mode]);
  await settle(processes); // what a call costs is not over with its answer
  const after = await snapshot(fleet, processes);
  const workerShares = await together(active.map((node, index) => readWorkerShares(node, logsFrom[index] ?? 0)));
  const said = new Map(workerShares.flatMap((some) => [...some]));

  const calls = pods.map((pod, index) => ({
    outcome: outcomes[index] as CniOutcome,
    worker: said.get(`${command} ${pod.containerID}`),
  }));
  const succeeded = calls.filter(({ outcome }) => outcome.exitCode === 0);
  const durations = succeeded.map(({ outcome }) => outcome.durationMs);
  const from = Math.min(...outcomes.map(({ startedAtMs }) => startedAtMs));
  const to = Math.max(...outcomes.map(({ startedAtMs, durationMs }) => startedAtMs + durationMs));
  const cpuMs: Record<string, number> = {};
  for (const { kind, pid } of processes) {
    const spent = (after.cpuMs.get(pid) ?? 0) - (before.cpuMs.get(pid) ?? 0);
    const beyondIdle = spent - ((idle.get(pid) ?? 0) * (after.atMs - before.atMs)) / 1000;
    const sharers = kind === 'idle node worker' ? fleet.nodes.length - nodes : 1;
    cpuMs[kind] = (cpuMs[kind] ?? 0) + beyondIdle / pods.length / sharers;
  }
  return {
    p50Ms: quantile(durations, 0.5),
    p90Ms: quantile(durations, 0.9),
    p99Ms: quantile(durations, 0.99),
    perSecond: (succeeded.length * 1000) / (to - from),
    failures: countFailures(outcomes),
    cpuMs,
    etcdWalBytes: (after.walBytes - before.walBytes) / pods.length,
    shares: sharesOf(succeeded),
  };
}

export interface MeasuredProcess {
  readonly kind: string;
  readonly pid: number;
}

/** The processes that work for a call, and those that should not. */
export function processesOf(fleet: Fleet, active: readonly FleetNode[]): readonly MeasuredProcess[] {
  return [
    ...fleet.nodes.map((node) => ({
      kind: active.includes(node) ? 'node worker' : 'idle node worker',
      pid: node.worker.pid,
    })),
    ...active.map(({ runner }) => ({ kind: runnerKind, pid: runner.process.pid })),
    ...fleet.cluster.controlWorkers.map(({ pid }) => ({ kind: 'control worker', pid })),
    { kind: 'Temporal', pid: fleet.stack.part('temporal').pid },
    { kind: 'API server', pid: fleet.stack.part('kube-apiserver').pid },
    { kind: 'etcd', pid: fleet.stack.part('etcd').pid },
  ];
}

const runnerKind = 'executable and runner';

const restLimitMs = 10 * 60_000;

/** CPU per second of each process while nothing is asked of the fleet: over two stretches of so many seconds, once it is at rest. */
export async function measureIdleRates(
  fleet: Fleet,
  stretchSeconds: number,
  onProgress: (fact: string) => void,
): Promise<CpuRates> {
  const processes = processesOf(fleet, fleet.nodes);
  const startedAt = Date.now();
  const readings = [await readCpu(processes)];
  const rates = (from: number, to: number): CpuRates =>
    ratesBetween(readings.at(from) ?? new Map(), readings.at(to) ?? new Map(), (to - from) * stretchSeconds);
  for (let isLate = false; ; isLate = Date.now() - startedAt > restLimitMs) {
    await sleep(stretchSeconds * 1000);
    readings.push(await readCpu(processes));
    if (readings.length < 3) continue;
    const found = rates(-3, -1);
    const seen = processes.map(({ kind, pid }) => `${kind} ${(found.get(pid) ?? 0).toFixed(1)}`).join(', ');
    const atRest = isAtRest(rates(-3, -2), rates(-2, -1));
    const state = atRest ? 'at rest' : isLate ? 'NEVER AT REST, its CPU figures will be too low' : 'not yet at rest';
    onProgress(`${state} after ${((Date.now() - startedAt) / 1000).toFixed(0)} s; ms per second: ${seen}`);
    if (atRest || isLate) return found;
  }
}

async function snapshot(fleet: Fleet, processes: readonly MeasuredProcess[]) {
  const [cpuMs, { walBytes }] = await together([readCpu(processes), readEtcdMetrics(fleet.stack)]);
  return { cpuMs, walBytes, atMs: Date.now() };
}

async function readCpu(processes: readonly MeasuredProcess[]): Promise<ReadonlyMap<number, number>> {
  return new Map(
    await together(
      processes.map(async ({ kind, pid }) => [pid, await (kind === runnerKind ? cpuMsOfTree : cpuMsOf)(pid)] as const),
    ),
  );
}

/** Waits until the processes do little, or for the given time: what is left of the call before is not the next one's. */
export async function settle(processes: readonly MeasuredProcess[], seconds = 2): Promise<void> {
  const windowMs = 150;
  const quietMs = 40; // a quarter of one core
  const total = async (): Promise<number> => (await readCpu(processes)).values().reduce((sum, ms) => sum + ms, 0);
  for (let before = await total(), left = (seconds * 1000) / windowMs; left > 0; left -= 1) {
    await sleep(windowMs);
    const now = await total();
    if (now - before <= quietMs) return;
    before = now;
  }
}

/** How many calls failed, by CNI code and message without its numbers. */
export function countFailures(outcomes: readonly CniOutcome[]): Readonly<Record<string, number>> {
  const failures: Record<string, number> = {};
  for (const { exitCode, body, text } of outcomes) {
    if (exitCode === 0) continue;
    const reason = (body?.msg ?? text ?? 'no answer').replaceAll(/\d[\d.:]*/g, '…').slice(0, 80);
    const key = `${body?.code ?? 'killed'}: ${reason}`;
    failures[key] = (failures[key] ?? 0) + 1;
  }
  return failures;
}

interface MeasuredCall {
  readonly outcome: CniOutcome;
  readonly worker: WorkerShares | undefined;
}

function sharesOf(calls: readonly MeasuredCall[]): Shares {
  const known = calls.flatMap(({ outcome, worker }) => (worker === undefined ? [] : [{ outcome, worker }]));
  const byDuration = known.toSorted((a, b) => a.outcome.durationMs - b.outcome.durationMs);
  const middle = byDuration.slice(Math.floor(known.length / 4), Math.max(1, Math.ceil((known.length * 3) / 4)));
  const of = (figure: (call: (typeof known)[number]) => number): number => mean(middle.map(figure));
  const step = (...names: string[]) =>
    of(({ worker }) => names.reduce((sum, name) => sum + (worker.stepsMs[name] ?? 0), 0));
  return {
    executableMs: of(({ outcome, worker }) => outcome.durationMs - worker.totalMs),
    spawnMs: of(({ outcome }) => outcome.spawnMs),
    beforeFirstStepMs: of(({ worker }) => worker.beforeFirstStepMs),
    claimMs: step('claimAddresses', 'releaseAddresses'),
    betweenStepsMs: of(({ worker }) => worker.betweenStepsMs),
    kernelMs: step('plumbLink', 'coordinate', 'removeLink'),
    afterLastStepMs: of(({ worker }) => worker.afterLastStepMs),
  };
}

async function countClaimsLeft(fleet: Fleet, pods: readonly FleetPod[]): Promise<number> {
  const uids = new Set(pods.map(({ uid }) => uid));
  const waitMs = 3000;
  for (const deadline = Date.now() + waitMs; ; await sleep(100)) {
    const left = (await fleet.claims()).filter(({ spec }) => spec.holders.some(({ podUID }) => uids.has(podUID)));
    if (left.length === 0 || Date.now() > deadline) return left.length;
  }
}
