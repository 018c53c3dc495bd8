import { setTimeout as sleep } from 'node:timers/promises';
import type { PodIdentity } from '../contracts/attachment.ts';
import type { ObjectMeta } from '../contracts/crds/object-meta.ts';
import type { SpiderEndpointStatus } from '../contracts/crds/spiderendpoint.ts';
import { parseAddress, toClaimName } from '../ipam/address.ts';
import type { Log } from './log.ts';

/** An endpoint that Spiderpool wrote. */
export interface SpiderpoolEndpoint {
  readonly pod: PodIdentity;
  /** Of the claims that its addresses have once they are imported. */
  readonly claims: readonly string[];
}

/** Spiderpool puts it on every endpoint and takes it away when the addresses are released. Ours have none. */
const finalizer = 'spiderpool.spidernet.io';

/** What of an endpoint tells that Spiderpool wrote it; nothing of one of ours. */
export function spiderpoolsOwn(
  { namespace = '', name, finalizers = [] }: ObjectMeta,
  status: SpiderEndpointStatus | undefined,
): { readonly spiderpools?: SpiderpoolEndpoint } {
  if (!finalizers.includes(finalizer) || status === undefined) return {};
  const { uid, ips } = status.current;
  const addresses = ips
    .flatMap(({ ipv4, ipv6 }) => [ipv4 ?? '', ipv6 ?? ''])
    .flatMap((cidr) => parseAddress(cidr.replace(/\/.*/, '')) ?? []);
  return { spiderpools: { pod: { namespace, name, uid }, claims: addresses.map(toClaimName) } };
}

const lookAgainMs = 5000;

/**
 * Waits until the addresses of living pods that Spiderpool gave are claimed: publishing before that would write over its records,
 * which nobody else has. Comes at once where no Spiderpool was, or everything of it is imported. Ends with the signal.
 */
export async function untilImported(options: {
  readonly endpoints: () => Iterable<SpiderpoolEndpoint>;
  readonly hasClaim: (name: string) => boolean;
  /** Whether a pod of this name and UID is there now. */
  readonly isThere: (pod: PodIdentity) => Promise<boolean>;
  readonly signal: AbortSignal;
  readonly log: Log;
}): Promise<void> {
  const { signal, log } = options;
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const pod = await firstForeign(options).catch(() => 'unknown' as const);
    if (pod === undefined) return;
    if (isFirst && pod !== 'unknown') {
      const remedy = 'Import them: orb import. Why one does not fit: orb import --dry-run';
      log.warn(
        { pod, remedy },
        'pods have addresses of Spiderpool that nobody claims, nothing is published before that',
      );
    }
    await sleep(lookAgainMs, undefined, { signal }).catch(() => undefined);
  }
}

async function firstForeign({
  endpoints,
  hasClaim,
  isThere,
}: Pick<Parameters<typeof untilImported>[0], 'endpoints' | 'hasClaim' | 'isThere'>): Promise<PodIdentity | undefined> {
  for (const { pod, claims } of endpoints()) {
    if (claims.every(hasClaim)) continue;
    if (await isThere(pod)) return pod;
  }
  return undefined;
}
