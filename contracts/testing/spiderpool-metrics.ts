/**
 * What Spiderpool's documentation promises (docs/reference/metrics.md of v1.x; spec/ipam.md §10.5): written down apart from our own
 * tables, so that a slip there is seen here.
 */
const durations = (what: string, kind: string): readonly (readonly [string, string])[] => [
  ...['average', 'max', 'min', 'latest'].map(
    (which) => [`spiderpool_ipam_${what}_${which}_${kind}_seconds`, 'gauge'] as const,
  ),
  [`spiderpool_ipam_${what}_${kind}_seconds`, 'histogram'],
];

export const agentMetrics: ReadonlyMap<string, string> = new Map([
  ['spiderpool_ipam_allocation_counts', 'counter'],
  ['spiderpool_ipam_allocation_failure_counts', 'counter'],
  ['spiderpool_ipam_allocation_update_ippool_conflict_counts', 'counter'],
  ['spiderpool_ipam_allocation_err_internal_counts', 'counter'],
  ['spiderpool_ipam_allocation_err_no_available_pool_counts', 'counter'],
  ['spiderpool_ipam_allocation_err_retries_exhausted_counts', 'counter'],
  ['spiderpool_ipam_allocation_err_ip_used_out_counts', 'counter'],
  ...durations('allocation', 'duration'),
  ...durations('allocation', 'limit_duration'),
  ['spiderpool_ipam_release_counts', 'counter'],
  ['spiderpool_ipam_release_failure_counts', 'counter'],
  ['spiderpool_ipam_release_update_ippool_conflict_counts', 'counter'],
  ['spiderpool_ipam_release_err_internal_counts', 'counter'],
  ['spiderpool_ipam_release_err_retries_exhausted_counts', 'counter'],
  ...durations('release', 'duration'),
  ...durations('release', 'limit_duration'),
  ['spiderpool_debug_auto_pool_waited_for_available_counts', 'counter'],
]);

export const controllerMetrics: ReadonlyMap<string, string> = new Map([
  ['spiderpool_ip_gc_counts', 'counter'],
  ['spiderpool_ip_gc_failure_counts', 'counter'],
  ['spiderpool_total_ippool_counts', 'gauge'],
  ['spiderpool_debug_ippool_total_ip_counts', 'gauge'],
  ['spiderpool_debug_ippool_available_ip_counts', 'gauge'],
  ['spiderpool_total_subnet_counts', 'gauge'],
  ['spiderpool_debug_subnet_ippool_counts', 'gauge'],
  ['spiderpool_debug_subnet_total_ip_counts', 'gauge'],
  ['spiderpool_debug_subnet_available_ip_counts', 'gauge'],
  ['spiderpool_debug_auto_pool_waited_for_available_counts', 'counter'],
]);
