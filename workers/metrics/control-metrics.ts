import type { ClaimPhase } from '../../contracts/ip-claim.ts';
import { controlMetrics } from '../../contracts/metrics.ts';
import type { SweepActivities, SweepVerdict } from '../../contracts/sweep.ts';
import type { ClusterFigures, PoolFigures } from '../../kube/publish-views.ts';
import { Instruments } from './instruments.ts';
import { watchProcess } from './process-metrics.ts';
import type { SpiderSubnetFigures } from './subnet-figures.ts';

export interface ControlMetricsOptions {
  /** One sample for each pool and subnet: for looking at a problem, not for good. */
  readonly withDebug: boolean;
  /** Asked for on the leader only, when somebody reads the metrics. */
  readonly subnets: () => Promise<readonly SpiderSubnetFigures[]>;
  readonly isTemporalConnected: () => boolean;
}

const phases: readonly ClaimPhase[] = ['Bound', 'Held', 'Cooling', 'Suspect', 'Conflicted'];

/** Counts what the control worker does, and tells what its leader sees. */
export class ControlMetrics {
  readonly #instruments = new Instruments(controlMetrics);
  readonly #collectProcess = watchProcess(this.#instruments);
  readonly #options: ControlMetricsOptions;
  #cluster: ClusterFigures | undefined;

  constructor(options: ControlMetricsOptions) {
    this.#options = options;
  }

  /** This replica leads, and sees these; or, without, it leads no more. */
  readonly lead = (cluster: ClusterFigures | undefined): void => {
    this.#cluster = cluster;
  };

  /** The text of all metrics (Prometheus, exposition format 0.0.4). */
  async text(): Promise<string> {
    this.#collectProcess();
    this.#instruments.gauge('orbweaver_temporal_connected').set(Number(this.#options.isTemporalConnected()));
    await this.#collectCluster(this.#cluster);
    return await this.#instruments.registry.metrics();
  }

  /** The same activities; what the nodes said is counted. */
  counting(activities: SweepActivities): SweepActivities {
    return {
      ...activities,
      checkNode: async (node, suspects) => {
        const verdicts = await activities.checkNode(node, suspects);
        const claims = new Set(suspects.flatMap(({ kind, subject }) => (kind === 'claim' ? [subject] : [])));
        for (const verdict of verdicts) this.#count(verdict, claims.has(verdict.subject));
        return verdicts;
      },
    };
  }

  #count({ outcome }: SweepVerdict, isClaim: boolean): void {
    this.#instruments.counter('orbweaver_sweep_verdicts_total').inc({ outcome });
    if (isClaim && outcome === 'released') this.#instruments.counter('spiderpool_ip_gc_counts').inc();
    if (isClaim && outcome === 'unanswered') this.#instruments.counter('spiderpool_ip_gc_failure_counts').inc();
  }

  async #collectCluster(cluster: ClusterFigures | undefined): Promise<void> {
    const instruments = this.#instruments;
    for (const name of leaderGauges) instruments.gauge(name).reset();
    // An unlabelled gauge is 0 after its reset; what nobody asked the leader for must not look like an empty cluster.
    instruments.gauge('orbweaver_leader').set(Number(cluster !== undefined));
    if (cluster === undefined) {
      for (const name of leaderTotals) instruments.gauge(name).remove();
      return;
    }
    const pools = [...cluster.pools()];
    instruments.gauge('spiderpool_total_ippool_counts').set(pools.length);
    const counts = new Map(phases.map((phase) => [phase, 0]));
    for (const phase of cluster.claimPhases()) counts.set(phase, (counts.get(phase) ?? 0) + 1);
    for (const [phase, count] of counts) instruments.gauge('orbweaver_claims').set({ phase }, count);
    const subnets = await this.#options.subnets();
    instruments.gauge('spiderpool_total_subnet_counts').set(subnets.length);
    if (this.#options.withDebug) this.#collectDebug(pools, subnets);
  }

  #collectDebug(pools: readonly PoolFigures[], subnets: readonly SpiderSubnetFigures[]): void {
    const instruments = this.#instruments;
    for (const { name, total, claimed } of pools) {
      if (total === undefined) continue;
      const labels = { SpiderIPPool: name };
      instruments.gauge('spiderpool_debug_ippool_total_ip_counts').set(labels, total);
      instruments.gauge('spiderpool_debug_ippool_available_ip_counts').set(labels, Math.max(0, total - claimed));
    }
    for (const { name, pools: ofSubnet, total, allocated } of subnets) {
      const labels = { SpiderSubnet: name };
      instruments.gauge('spiderpool_debug_subnet_ippool_counts').set(labels, ofSubnet);
      instruments.gauge('spiderpool_debug_subnet_total_ip_counts').set(labels, total);
      instruments.gauge('spiderpool_debug_subnet_available_ip_counts').set(labels, Math.max(0, total - allocated));
    }
  }
}

const leaderTotals = ['spiderpool_total_ippool_counts', 'spiderpool_total_subnet_counts'] as const;
/** Emptied before each reading: an object that is gone has no sample any more. */
const leaderGauges = [
  'spiderpool_debug_ippool_total_ip_counts',
  'spiderpool_debug_ippool_available_ip_counts',
  'spiderpool_debug_subnet_ippool_counts',
  'spiderpool_debug_subnet_total_ip_counts',
  'spiderpool_debug_subnet_available_ip_counts',
  'orbweaver_claims',
] as const;
