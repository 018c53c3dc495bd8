import { eventually } from '../../deploy/dev/eventually.ts';
import { violationsOf } from '../e2e/invariants.ts';
import type { Fleet } from '../fleet/fleet.ts';

/** What the control worker published, as far as it is looked at here; it may not have published anything yet. */
interface Published {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly allocatedIPCount?: number };
  }[];
}

/** Waits until every address in a namespace has its claim and every claim its address: what a crash left is put right by then. */
export async function untilConsistent({ cluster }: Fleet, seconds: number): Promise<void> {
  await eventually('Every address has its claim and every claim its address', seconds, async () => {
    const violations = violationsOf(await cluster.state());
    return violations.length === 0 ? { value: true } : { state: violations.join('\n') };
  });
}

/**
 * Waits until all pods have left nothing: no link, address, route, rule, claim, record, queued DEL or open run that was not there
 * when the cluster was remembered, and no published view of any. All of every pool is free then.
 */
export async function untilNothingIsLeft({ cluster, api }: Fleet): Promise<void> {
  await cluster.untilAsRemembered(30);
  const list = (plural: string): Promise<Published> =>
    api.request({ method: 'GET', path: `/apis/spiderpool.spidernet.io/v2beta1/${plural}`, timeoutMs: 10_000 });
  await eventually('Nothing is published any more', 60, async () => {
    const [endpoints, pools] = await Promise.all([list('spiderendpoints'), list('spiderippools')]);
    const inUse = pools.items.filter(({ status }) => (status?.allocatedIPCount ?? 0) > 0);
    const left = [...endpoints.items, ...inUse].map(({ metadata }) => metadata.name);
    return left.length === 0 ? { value: true } : { state: left.join() };
  });
}
