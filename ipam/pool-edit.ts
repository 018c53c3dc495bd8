/** What we read of a `PoolEdit`; the generated CR type fits by structure. */
export interface PoolEditObject {
  readonly metadata: { readonly creationTimestamp?: string };
  readonly spec: { readonly poolUID: string; readonly generation: number; readonly ips: readonly string[] };
}

/** What of a `SpiderIPPool` an edit is about. */
export interface EditablePool {
  readonly metadata: { readonly uid?: string; readonly generation?: number };
  readonly spec: { readonly excludeIPs?: readonly string[] };
}

/**
 * For how long an edit may take addresses away: the API server gives up a request after 60 s, and the rest is for clocks that
 * differ. One that failed takes nothing away after that.
 */
export const poolEditMs = 90_000;

/** An edit that was let pass, or is being looked at, and is not written yet: the pool is still as it was before. */
export const isEditOpen = (
  { metadata: { creationTimestamp }, spec }: PoolEditObject,
  { metadata: { uid, generation = 0 } }: EditablePool,
  nowMs: number,
): boolean =>
  spec.poolUID === uid && generation <= spec.generation && nowMs < Date.parse(creationTimestamp ?? '') + poolEditMs;

/** The pool as a node may use it: what open edits are about to take away is excluded already. */
export function underEdits<Pool extends EditablePool>(
  pool: Pool,
  edits: readonly PoolEditObject[],
  nowMs: number,
): Pool {
  const taken = edits.filter((edit) => isEditOpen(edit, pool, nowMs)).flatMap(({ spec }) => spec.ips);
  if (taken.length === 0) return pool;
  return { ...pool, spec: { ...pool.spec, excludeIPs: [...(pool.spec.excludeIPs ?? []), ...taken] } };
}
