import type { Failure } from '../../contracts/failures.ts';
import type { ClaimPhase } from '../../contracts/ip-claim.ts';
import { ipamErrors, nodeMetrics } from '../../contracts/metrics.ts';
import type { ClaimConflict } from './claim-conflicts.ts';
import { Durations } from './durations.ts';
import { Instruments } from './instruments.ts';
import { watchProcess } from './process-metrics.ts';
import { SandboxTurns } from './sandbox-turns.ts';

/** A CNI call that is being served. */
export interface CallWatch {
  /** It could not be done at once and waits on disk; its caller is told that it is done. */
  kept(why: Failure): void;
  /** Its answer is known. */
  ended(failure?: Failure): void;
}

export type WatchedCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC';

/** What is only looked up when somebody asks for the metrics. */
export interface NodeGauges {
  readonly callsOpen: number;
  readonly deletesWaiting: number;
  readonly isReady: boolean;
  readonly isTemporalConnected: boolean;
  /** Phases of this node's claims, as far as they are known. */
  readonly claimPhases: () => readonly ClaimPhase[];
}

const phases: readonly ClaimPhase[] = ['Bound', 'Held', 'Cooling', 'Suspect', 'Conflicted'];

/** Counts what the node worker does. On the way of a call: a few additions, and three histograms. */
export class NodeMetrics {
  readonly #instruments = new Instruments(nodeMetrics);
  readonly #collectProcess = watchProcess(this.#instruments);
  readonly #nowMs: () => number;
  readonly #turns: SandboxTurns;
  readonly #ipam = { ADD: this.#ipamMetrics('allocation'), DEL: this.#ipamMetrics('release') };
  #gauges: (() => NodeGauges) | undefined;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#turns = new SandboxTurns(nowMs);
  }

  /** Where to look up what is not counted; before that, those metrics are 0. */
  lookUp(gauges: () => NodeGauges): void {
    this.#gauges = gauges;
  }

  /** The text of all metrics (Prometheus, exposition format 0.0.4). */
  async text(): Promise<string> {
    this.#collectProcess();
    for (const { durations, limits } of Object.values(this.#ipam)) {
      durations.collect();
      limits.collect();
    }
    const found = this.#gauges?.();
    if (found !== undefined) this.#collect(found);
    return await this.#instruments.registry.metrics();
  }

  /** A call was understood. `containerID`: absent when it is about no sandbox. */
  readonly watchCall = (command: WatchedCommand, containerID: string | undefined): CallWatch => {
    const arrivedAtMs = this.#nowMs();
    const endTurn = containerID === undefined ? undefined : this.#turns.enter(containerID);
    const ipam = command === 'ADD' || command === 'DEL' ? this.#ipam[command] : undefined;
    ipam?.received.inc();
    let kept: Failure | undefined;
    return {
      kept: (why) => {
        kept = why;
        this.#instruments.counter('orbweaver_deletes_kept_total').inc();
      },
      ended: (failure) => {
        const seconds = (this.#nowMs() - arrivedAtMs) / 1000;
        const waitedSeconds = (endTurn?.() ?? 0) / 1000;
        const outcome = failure === undefined ? (kept === undefined ? 'done' : 'kept') : 'failed';
        this.#instruments.histogram('orbweaver_call_duration_seconds').observe({ command, outcome }, seconds);
        if (failure !== undefined) this.#failed(command, failure);
        ipam?.durations.observe(seconds);
        ipam?.limits.observe(waitedSeconds);
        ipam?.failed(failure ?? kept);
      },
    };
  };

  /** A call that could not even be understood. */
  readonly notUnderstood = (failure: Failure): void => this.#failed('none', failure);

  readonly runNotEager = (): void => this.#instruments.counter('orbweaver_runs_not_eager_total').inc();

  readonly awaitedAutomaticPool = (): void =>
    this.#instruments.counter('spiderpool_debug_auto_pool_waited_for_available_counts').inc();

  readonly claimConflict = (during: ClaimConflict): void =>
    this.#instruments.counter(`spiderpool_ipam_${during}_update_ippool_conflict_counts`).inc();

  /** A sandbox without its DEL: its addresses are free, `seconds` after somebody began to look. */
  readonly reclaimed = (reason: 'pod gone' | 'compared', seconds: number): void => {
    this.#instruments.counter('spiderpool_ip_gc_counts').inc();
    this.#instruments.histogram('orbweaver_reclaim_duration_seconds').observe({ reason }, seconds);
  };

  /** One that is proven gone, and could not be taken away at once. */
  readonly reclaimFailed = (): void => this.#instruments.counter('spiderpool_ip_gc_failure_counts').inc();

  #failed(command: WatchedCommand | 'none', { type }: Failure): void {
    this.#instruments.counter('orbweaver_call_failures_total').inc({ command, type });
  }

  #ipamMetrics(what: 'allocation' | 'release') {
    const instruments = this.#instruments;
    const prefix = `spiderpool_ipam_${what}` as const;
    const durationsOf = (kind: 'duration' | 'limit_duration'): Durations =>
      new Durations({
        histogram: instruments.histogram(`${prefix}_${kind}_seconds`),
        average: instruments.gauge(`${prefix}_average_${kind}_seconds`),
        max: instruments.gauge(`${prefix}_max_${kind}_seconds`),
        min: instruments.gauge(`${prefix}_min_${kind}_seconds`),
        latest: instruments.gauge(`${prefix}_latest_${kind}_seconds`),
      });
    const failures = instruments.counter(`${prefix}_failure_counts`);
    const internal = instruments.counter(`${prefix}_err_internal_counts`);
    const errors = {
      internal,
      retries_exhausted: instruments.counter(`${prefix}_err_retries_exhausted_counts`),
      // A release has no pool to choose and no address to look for.
      no_available_pool:
        what === 'release' ? internal : instruments.counter('spiderpool_ipam_allocation_err_no_available_pool_counts'),
      ip_used_out:
        what === 'release' ? internal : instruments.counter('spiderpool_ipam_allocation_err_ip_used_out_counts'),
      wrong_input: undefined,
      // The kernel keeps a DEL waiting: its addresses stay held. An ADD had them.
      none: what === 'release' ? internal : undefined,
    };
    return {
      received: instruments.counter(`${prefix}_counts`),
      durations: durationsOf('duration'),
      limits: durationsOf('limit_duration'),
      failed(failure: Failure | undefined): void {
        if (failure === undefined) return;
        const error = ipamErrors[failure.type];
        if (error !== 'none' || what === 'release') failures.inc();
        errors[error]?.inc();
      },
    };
  }

  #collect({ callsOpen, deletesWaiting, isReady, isTemporalConnected, claimPhases }: NodeGauges): void {
    const gauges = this.#instruments;
    gauges.gauge('orbweaver_calls_open').set(callsOpen);
    gauges.gauge('orbweaver_deletes_waiting').set(deletesWaiting);
    gauges.gauge('orbweaver_ready').set(Number(isReady));
    gauges.gauge('orbweaver_temporal_connected').set(Number(isTemporalConnected));
    const counts = Map.groupBy(claimPhases(), (phase) => phase);
    for (const phase of phases) gauges.gauge('orbweaver_node_claims').set({ phase }, counts.get(phase)?.length ?? 0);
  }
}
