/** What we read of a pod to know whether it can still use a network; the API's Pod fits by structure. */
export interface PodLife {
  readonly metadata?: { readonly deletionTimestamp?: unknown } | undefined;
  readonly spec?: { readonly restartPolicy?: string | undefined } | null | undefined;
  readonly status?: { readonly phase?: string | undefined; readonly reason?: string | undefined } | undefined;
}

/**
 * Why this pod will never run a container again, or `undefined` while it may. One predicate for ADD, DEL and reclaim
 * (spec/ipam.md §5.2, and §12.3 #21 for what two of them cost).
 */
export function whyNotAlive(pod: PodLife | undefined): string | undefined {
  if (!pod) return 'it does not exist';
  if (pod.metadata?.deletionTimestamp != null) return 'it is being deleted';
  const { phase, reason } = pod.status ?? {};
  const restartPolicy = pod.spec?.restartPolicy ?? 'Always'; // the API server's default
  if (phase === 'Succeeded' && restartPolicy !== 'Always')
    return `it succeeded, and its restartPolicy is ${restartPolicy}`;
  if (phase === 'Failed' && reason === 'Evicted') return 'it was evicted';
  if (phase === 'Failed' && restartPolicy === 'Never') return 'it failed, and its restartPolicy is Never';
  return undefined;
}

export const isPodAlive = (pod: PodLife | undefined): boolean => whyNotAlive(pod) === undefined;
