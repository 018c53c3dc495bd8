import type { FailureType } from './failures.ts';

/** One metric as Prometheus knows it. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What it says, in one sentence: HELP of the metric. */
  readonly help: string;
  /** Each has few values, whatever the cluster holds; those named for a kind have one for each object and are for debugging. */
  readonly labels?: readonly string[];
}

export type MetricTable = Readonly<Record<string, MetricDefinition>>;

const counter = (help: string, ...labels: readonly string[]) => ({ type: 'counter', help, labels }) as const;
const gauge = (help: string, ...labels: readonly string[]) => ({ type: 'gauge', help, labels }) as const;
const histogram = (help: string, ...labels: readonly string[]) => ({ type: 'histogram', help, labels }) as const;

/** What every process of ours says of itself. */
const processMetrics = {
  orbweaver_event_loop_delay_seconds: gauge('How late timers of this process were since the last scrape', 'quantile'),
  orbweaver_process_resident_memory_bytes: gauge('Resident memory of this process'),
  orbweaver_process_cpu_seconds_total: counter('CPU time of this process, user and system'),
} as const;

/**
 * Metrics of the node worker: first those of Spiderpool's agent, under the names and with the meaning that its documentation gives
 * them (spec/ipam.md §10.5), then our own.
 */
export const nodeMetrics = {
  spiderpool_ipam_allocation_counts: counter('ADDs that were received'),
  spiderpool_ipam_allocation_failure_counts: counter('ADDs that ended without an address'),
  spiderpool_ipam_allocation_update_ippool_conflict_counts: counter(
    'Writes of a claim for an ADD that the API server refused because another writer was first',
  ),
  spiderpool_ipam_allocation_err_internal_counts: counter('ADDs without an address because something of ours failed'),
  spiderpool_ipam_allocation_err_no_available_pool_counts: counter(
    'ADDs without an address because no pool serves the pod',
  ),
  spiderpool_ipam_allocation_err_retries_exhausted_counts: counter(
    'ADDs without an address because the API server did not take a write in time, or the caller gave up first',
  ),
  spiderpool_ipam_allocation_err_ip_used_out_counts: counter(
    'ADDs without an address because all of their pools are in use',
  ),
  spiderpool_ipam_allocation_average_duration_seconds: gauge('Average time of all ADDs since the start'),
  spiderpool_ipam_allocation_max_duration_seconds: gauge('Time of the longest ADD since the start'),
  spiderpool_ipam_allocation_min_duration_seconds: gauge('Time of the shortest ADD since the start'),
  spiderpool_ipam_allocation_latest_duration_seconds: gauge('Time of the latest ADD'),
  spiderpool_ipam_allocation_duration_seconds: histogram('Time of an ADD, from its arrival to its answer'),
  spiderpool_ipam_allocation_average_limit_duration_seconds: gauge('Average time for which ADDs waited for their turn'),
  spiderpool_ipam_allocation_max_limit_duration_seconds: gauge('Longest time for which an ADD waited for its turn'),
  spiderpool_ipam_allocation_min_limit_duration_seconds: gauge('Shortest time for which an ADD waited for its turn'),
  spiderpool_ipam_allocation_latest_limit_duration_seconds: gauge('Time for which the latest ADD waited for its turn'),
  spiderpool_ipam_allocation_limit_duration_seconds: histogram(
    'Time for which an ADD waited for its turn behind other calls of its sandbox',
  ),
  spiderpool_ipam_release_counts: counter('DELs that were received'),
  spiderpool_ipam_release_failure_counts: counter('DELs whose addresses were not given back at once'),
  spiderpool_ipam_release_update_ippool_conflict_counts: counter(
    'Writes of a claim for a release that the API server refused because another writer was first',
  ),
  spiderpool_ipam_release_err_internal_counts: counter('DELs not done at once because something of ours failed'),
  spiderpool_ipam_release_err_retries_exhausted_counts: counter(
    'DELs not done at once because the API server did not take a write in time',
  ),
  spiderpool_ipam_release_average_duration_seconds: gauge('Average time of all DELs since the start'),
  spiderpool_ipam_release_max_duration_seconds: gauge('Time of the longest DEL since the start'),
  spiderpool_ipam_release_min_duration_seconds: gauge('Time of the shortest DEL since the start'),
  spiderpool_ipam_release_latest_duration_seconds: gauge('Time of the latest DEL'),
  spiderpool_ipam_release_duration_seconds: histogram('Time of a DEL, from its arrival to its answer'),
  spiderpool_ipam_release_average_limit_duration_seconds: gauge('Average time for which DELs waited for their turn'),
  spiderpool_ipam_release_max_limit_duration_seconds: gauge('Longest time for which a DEL waited for its turn'),
  spiderpool_ipam_release_min_limit_duration_seconds: gauge('Shortest time for which a DEL waited for its turn'),
  spiderpool_ipam_release_latest_limit_duration_seconds: gauge('Time for which the latest DEL waited for its turn'),
  spiderpool_ipam_release_limit_duration_seconds: histogram(
    'Time for which a DEL waited for its turn behind other calls of its sandbox',
  ),
  spiderpool_debug_auto_pool_waited_for_available_counts: counter('ADDs that waited for an automatic pool'),
  spiderpool_ip_gc_counts: counter('Sandboxes whose addresses were given back without their DEL'),
  spiderpool_ip_gc_failure_counts: counter(
    'Sandboxes that are gone and whose addresses could not be given back at once',
  ),
  orbweaver_call_duration_seconds: histogram(
    'Time of a CNI call, from its arrival to its answer',
    'command',
    'outcome',
  ),
  orbweaver_call_failures_total: counter('CNI calls that were answered with an error, by its type', 'command', 'type'),
  orbweaver_calls_open: gauge('CNI calls whose callers wait'),
  orbweaver_deletes_kept_total: counter('DELs that could not be done at once and were kept on disk'),
  orbweaver_deletes_waiting: gauge('DELs that wait on disk: their addresses stay held'),
  orbweaver_runs_not_eager_total: counter('Runs that were not started in the reply to their start: a slower ADD each'),
  orbweaver_reclaim_duration_seconds: histogram(
    'From the sight of a sandbox whose pod is gone to the release of its addresses',
    'reason',
  ),
  orbweaver_node_claims: gauge("Claims of this node's pods", 'phase'),
  orbweaver_ready: gauge('1 while ADDs can be served'),
  orbweaver_temporal_connected: gauge('1 while Temporal answers'),
  ...processMetrics,
} as const satisfies MetricTable;

/**
 * Metrics of the control worker: those of Spiderpool's controller, then our own. Those of the cluster come from the leader; the other
 * replicas leave them out.
 */
export const controlMetrics = {
  spiderpool_ip_gc_counts: counter('Claims that were given back because a sweep asked for it'),
  spiderpool_ip_gc_failure_counts: counter('Claims that a sweep found abandoned and nobody could judge'),
  spiderpool_total_ippool_counts: gauge('SpiderIPPools'),
  spiderpool_total_subnet_counts: gauge('SpiderSubnets'),
  spiderpool_debug_ippool_total_ip_counts: gauge('Addresses of a pool, reserved ones included', 'SpiderIPPool'),
  spiderpool_debug_ippool_available_ip_counts: gauge('Addresses of a pool that nobody has', 'SpiderIPPool'),
  spiderpool_debug_subnet_ippool_counts: gauge('Pools of a subnet', 'SpiderSubnet'),
  spiderpool_debug_subnet_total_ip_counts: gauge('Addresses of a subnet', 'SpiderSubnet'),
  spiderpool_debug_subnet_available_ip_counts: gauge('Addresses of a subnet that no pool has', 'SpiderSubnet'),
  spiderpool_debug_auto_pool_waited_for_available_counts: counter(
    'Always 0 here: no control worker waits for an automatic pool, see the node workers',
  ),
  orbweaver_leader: gauge('1 on the replica that leads'),
  orbweaver_claims: gauge('Claims of the cluster', 'phase'),
  orbweaver_sweep_verdicts_total: counter('What sweeps were told about suspects', 'outcome'),
  orbweaver_temporal_connected: gauge('1 while this replica polls Temporal'),
  ...processMetrics,
} as const satisfies MetricTable;

/** How a failed call counts among Spiderpool's errors. */
export type IpamError =
  | 'internal'
  | 'no_available_pool'
  | 'retries_exhausted'
  | 'ip_used_out'
  /** The pod, its annotations or its network configuration are to blame: a failure that none of Spiderpool's errors names. */
  | 'wrong_input'
  /** The addresses were there; what failed is the interface. */
  | 'none';

/**
 * Spiderpool's documentation names four errors. Its code counts wrong input as exhausted retries; here that, and the interface, count
 * as none of the four: `orbweaver_call_failures_total` has every failure by its own name.
 */
export const ipamErrors = {
  IncompatibleCniVersion: 'wrong_input',
  InvalidEnvironment: 'wrong_input',
  InvalidJson: 'wrong_input',
  InvalidConfig: 'wrong_input',
  NotImplemented: 'wrong_input',
  InvalidNamespace: 'wrong_input',
  InvalidAnnotation: 'wrong_input',
  NoPool: 'no_available_pool',
  PoolNotFound: 'no_available_pool',
  PoolAwaited: 'no_available_pool',
  PoolExhausted: 'ip_used_out',
  AddressNotOffered: 'wrong_input',
  AddressTaken: 'ip_used_out',
  StickyAddressInUse: 'ip_used_out',
  AddressConflict: 'ip_used_out',
  GatewayUnreachable: 'none',
  CoordinatorNotReady: 'none',
  PodNotFound: 'wrong_input',
  PodNotAlive: 'wrong_input',
  InterfaceExists: 'none',
  ParentLinkMissing: 'none',
  SharedLinkDiffers: 'none',
  DeviceUnfit: 'none',
  DeviceInUse: 'none',
  KernelRefused: 'none',
  NotAsAdded: 'none',
  RecordUnwritable: 'internal',
  ApiServerUnavailable: 'retries_exhausted',
  TemporalUnavailable: 'internal',
  WorkerBusy: 'internal',
  CallerGone: 'retries_exhausted',
  Cancelled: 'retries_exhausted',
  Superseded: 'internal',
  UnwindStuck: 'internal',
  Internal: 'internal',
} as const satisfies Record<FailureType, IpamError>;
