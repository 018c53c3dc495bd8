import { samplesOf } from '../e2e/monitoring.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetNode } from '../fleet/fleet-node.ts';
import { callForNics, type NicOutcome, nicNames } from '../fleet/many-nics.ts';
import { countFailures, processesOf, settle } from './measure.ts';
import { poolAnnotations } from './pools.ts';
import { quantile } from './statistics.ts';

/** Many pods with many interfaces each, all on one node, each interface tied to its node. */
export interface NicFigures {
  readonly pods: number;
  readonly nics: number;
  readonly podsAtOnce: number;
  readonly add: NicCommandFigures;
  readonly del: NicCommandFigures;
  readonly claimsLeft: number;
}

export interface NicCommandFigures {
  /** Of the first interface of all pods, of the second one, … */
  readonly byNic: readonly Latency[];
  /** Of all interfaces of the first quarter of the pods that began, …, of the last one. */
  readonly byQuarter: readonly Latency[];
  readonly perSecond: number;
  readonly failures: Readonly<Record<string, number>>;
  /** How late timers of the node worker were, meanwhile. */
  readonly eventLoopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface NicPlan {
  readonly pods: number;
  readonly nics: number;
  /** A pod's interfaces come one after the other; those of so many pods at once. */
  readonly podsAtOnce: number;
}

/** Measures on a fleet of one node, whose worker is warm. */
export async function measureNics(
  fleet: Fleet,
  { pods: count, nics, podsAtOnce }: NicPlan,
  onProgress: (fact: string) => void,
): Promise<NicFigures> {
  const node = fleet.node();
  const processes = processesOf(fleet, [node]);
  const names = nicNames(nics);
  const pods = await fleet.pods(count, node, { annotations: poolAnnotations('empty', false) });
  const measure = async (command: 'ADD' | 'DEL'): Promise<NicCommandFigures> => {
    await settle(processes, 10);
    await eventLoopDelayOf(node); // what was before is not counted
    const outcomes = await callForNics(command, pods, names, podsAtOnce);
    const eventLoopDelayMs = await eventLoopDelayOf(node);
    const figures = { ...figuresOf(outcomes, names), eventLoopDelayMs };
    const shown = figures.byNic.map(({ p50Ms }) => p50Ms.toFixed(0)).join(' ');
    onProgress(
      `${count} pods × ${nics} NICs: ${command} p50 by NIC ${shown} ms, event loop p99 ${eventLoopDelayMs.p99.toFixed(1)} ms`,
    );
    return figures;
  };
  const add = await measure('ADD');
  await fleet.deletePods(pods);
  const del = await measure('DEL');
  await settle(processes, 10);
  const claimsLeft = (await fleet.claims()).length;
  await node.removeNamespaces(pods);
  return { pods: count, nics, podsAtOnce, add, del, claimsLeft };
}

function figuresOf(
  outcomes: readonly NicOutcome[],
  names: readonly string[],
): Omit<NicCommandFigures, 'eventLoopDelayMs'> {
  const succeeded = outcomes.filter(({ exitCode }) => exitCode === 0).toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  const latency = (some: readonly NicOutcome[]): Latency => {
    const durations = some.map(({ durationMs }) => durationMs);
    return { p50Ms: quantile(durations, 0.5), p99Ms: quantile(durations, 0.99) };
  };
  const from = Math.min(...outcomes.map(({ startedAtMs }) => startedAtMs));
  const to = Math.max(...outcomes.map(({ startedAtMs, durationMs }) => startedAtMs + durationMs));
  const pods = [...new Set(succeeded.map(({ pod }) => pod))];
  const quarterOf = new Map(pods.map((pod, index) => [pod, Math.floor((index * 4) / pods.length)]));
  return {
    byNic: names.map((name) => latency(succeeded.filter(({ ifName }) => ifName === name))),
    byQuarter: [0, 1, 2, 3].map((quarter) => latency(succeeded.filter(({ pod }) => quarterOf.get(pod) === quarter))),
    perSecond: (succeeded.length * 1000) / (to - from),
    failures: countFailures(outcomes),
  };
}

/** Since it was asked last. */
async function eventLoopDelayOf({ node }: FleetNode): Promise<NicCommandFigures['eventLoopDelayMs']> {
  const samples = await samplesOf(node, '127.0.0.1:5711');
  const of = (quantile: string): number =>
    (samples.get(`orbweaver_event_loop_delay_seconds{quantile="${quantile}"}`) ?? Number.NaN) * 1000;
  return { p50: of('0.5'), p99: of('0.99'), max: of('1') };
}
