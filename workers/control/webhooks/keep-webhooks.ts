import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../activities/node-ports.ts';
import type { ApiClient } from '../../../kube/api-client.ts';
import { leaderRequests } from '../../../kube/leader-writes.ts';
import type { Term } from '../../../kube/lease.ts';
import { removeEndedEdits } from '../../../kube/pool-edits.ts';
import { whoAmI } from '../../../kube/who-am-i.ts';
import type { CertificateSecret } from './certificate-secret.ts';
import { renewed, trusted, withNextServed } from './rotation.ts';
import type { WebhookConfig } from './webhook-config.ts';
import { keepConfigurations } from './webhook-configurations.ts';

export interface KeepWebhooksOptions {
  readonly api: ApiClient;
  readonly secret: CertificateSecret;
  readonly config: WebhookConfig;
  readonly term: Term;
  readonly log: Log;
}

/** Everything is compared so often. */
export const lookMs = 5000;

/**
 * The leader's part, until its term ends: certificates are renewed in time, the API server knows where to ask and whom to
 * trust, and edits that ended are removed.
 */
export async function keepWebhooks({ api, secret, config, term, log }: KeepWebhooksOptions): Promise<void> {
  const request = leaderRequests(api, term);
  let controlWorker: string | undefined;
  /** What both configurations say, and since when they do, by our clock and as far as we know. */
  let told: { readonly authorities: string; readonly sinceMs: number } | undefined;

  async function look(): Promise<'changed' | 'as it should be'> {
    const read = await secret.read();
    const kept = await renewed(read.kept, { hosts: config.hosts, nowMs: Date.now(), isAsked: read.isRotationAsked });
    if (kept !== read.kept) {
      const outcome = await secret.write(kept, read);
      log.info({ outcome }, 'webhook certificate made');
      return 'changed';
    }
    const authorities = trusted(kept);
    controlWorker ??= await whoAmI(api);
    await keepConfigurations(request, { client: config.client, authorities, controlWorker });
    if (told?.authorities !== authorities) told = { authorities, sinceMs: performance.now() };
    if (kept.next !== undefined && performance.now() - told.sinceMs >= config.settleMs) {
      const outcome = await secret.write(withNextServed(kept.current, kept.next), read);
      log.info({ outcome }, 'webhook certificate changed');
      return 'changed';
    }
    await removeEndedEdits(request, Date.now());
    return 'as it should be';
  }

  while (!term.signal.aborted) {
    const outcome = await look().catch((err: unknown) => {
      log.warn({ err }, 'webhooks not kept as they should be');
      return 'failed';
    });
    if (outcome !== 'changed') await sleep(lookMs, undefined, { signal: term.signal }).catch(() => undefined);
  }
}
