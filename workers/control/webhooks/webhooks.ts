import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../activities/node-ports.ts';
import type { ClusterSettings } from '../../../contracts/cluster-settings.ts';
import type { Family } from '../../../ipam/address.ts';
import { AddressObjects } from '../../../kube/address-objects.ts';
import { AddressSpaceStore } from '../../../kube/address-space-store.ts';
import type { ApiClient } from '../../../kube/api-client.ts';
import type { Term } from '../../../kube/lease.ts';
import { announceEdit, knownEdits, noteKnown, withdrawEdit } from '../../../kube/pool-edits.ts';
import { poolMemoryMs } from '../../../kube/pool-reader.ts';
import { takenAddresses } from '../../../kube/taken-addresses.ts';
import { whoAmI } from '../../../kube/who-am-i.ts';
import { Admission } from './admission.ts';
import { CertificateSecret } from './certificate-secret.ts';
import { keepWebhooks, lookMs } from './keep-webhooks.ts';
import { renewed } from './rotation.ts';
import type { ServingPair } from './serving-pair.ts';
import { SpaceQueue } from './space-queue.ts';
import type { WebhookConfig } from './webhook-config.ts';
import { WebhookServer } from './webhook-server.ts';

export interface WebhooksOptions {
  readonly api: ApiClient;
  readonly config: WebhookConfig;
  readonly cluster: ClusterSettings;
  readonly log: Log;
}

/** The admission of one replica. */
export interface Webhooks {
  /** The leader's part; ends with the term. */
  lead(term: Term): Promise<void>;
  stop(): Promise<void>;
}

const retryMs = 250;
/** Clocks of nodes run a little slower or faster than ours. */
const clockMarginMs = 250;

/** Listens as soon as it has a certificate and can read what it needs; until then it tries, and nobody waits for it. */
export function startWebhooks({ api, config, cluster, log }: WebhooksOptions): Webhooks {
  const stopped = new AbortController();
  const secret = new CertificateSecret(api, cluster.namespace);
  let server: WebhookServer | undefined;
  const working = serve();

  async function serve(): Promise<void> {
    const [admission, pair] = await Promise.all([
      untilDone('admission has what it needs', async () => createAdmission({ api, cluster, log }, await whoAmI(api))),
      untilDone('webhook certificate is there', readOrMake),
    ]);
    if (admission === undefined || pair === undefined) return; // stopped before
    const listening = new WebhookServer({ admission, log });
    server = listening;
    listening.serve(pair);
    await untilDone('webhooks are served', async () => {
      await listening.listen(config.port);
      log.info({ port: config.port }, 'webhooks are served');
      return true;
    });
    await follow(listening, pair);
  }

  async function follow(listening: WebhookServer, first: ServingPair): Promise<void> {
    let served = first.certificate;
    while (await isTimeToLook()) {
      const { kept } = await secret.read().catch((err: unknown) => {
        log.warn({ err }, 'webhook certificate not read');
        return { kept: undefined };
      });
      if (kept === undefined || kept.current.certificate === served) continue;
      listening.serve(kept.current);
      served = kept.current.certificate;
      log.info({}, 'webhook certificate taken');
    }
  }

  /** The certificate that all replicas share; whoever comes first makes it. */
  async function readOrMake(): Promise<ServingPair | undefined> {
    const read = await secret.read();
    if (read.kept !== undefined) return read.kept.current;
    const made = await renewed(undefined, { hosts: config.hosts, nowMs: Date.now() });
    return (await secret.write(made, read)) === 'written' ? made.current : undefined;
  }

  async function isTimeToLook(): Promise<boolean> {
    await sleep(lookMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    return !stopped.signal.aborted;
  }

  /** Tries until there is a value; undefined when this was stopped before. */
  async function untilDone<Value>(what: string, attempt: () => Promise<Value | undefined>): Promise<Value | undefined> {
    for (let pauseMs = retryMs; !stopped.signal.aborted; pauseMs = Math.min(2 * pauseMs, lookMs)) {
      try {
        const value = await attempt();
        if (value !== undefined) return value;
      } catch (err) {
        log.warn({ err, pauseMs }, `not yet: ${what}`);
      }
      await sleep(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
    return undefined;
  }

  return {
    lead: (term) => keepWebhooks({ api, secret, config, term, log }),
    async stop() {
      stopped.abort();
      await server?.stop();
      await working;
    },
  };
}

/** Admission on the real API server. Reads once what every decision reads, so that it is known to work. */
async function createAdmission(
  { api, cluster, log }: Omit<WebhooksOptions, 'config'>,
  controlWorker: string,
): Promise<Admission> {
  const objects = new AddressObjects(api);
  const list = async () => {
    const [pools, subnets] = await Promise.all([objects.pools(), objects.subnets()]);
    return { pools, subnets };
  };
  await list();
  const store = new AddressSpaceStore(api);
  const queueOf = (family: Family): SpaceQueue =>
    new SpaceQueue({
      list,
      space: {
        read: (timeoutMs) => store.read(family, timeoutMs),
        replace: (space, timeoutMs) => store.replace(family, space, timeoutMs),
      },
    });
  return new Admission({
    settings: cluster,
    controlWorker,
    list,
    subnets: () => objects.subnets(),
    spaces: { 4: queueOf(4), 6: queueOf(6) },
    takenAddresses: (pool) => takenAddresses(api, pool),
    edits: {
      announce: (name, spec) => announceEdit(api, name, spec),
      noteKnown: (name) => noteKnown(api, name),
      known: (pool) => knownEdits(api, pool, Date.now()),
      withdraw: (name) =>
        withdrawEdit(api, name).catch((err: unknown) => log.warn({ err, name }, 'edit not withdrawn: it will end')),
    },
    nodeMemoryMs: poolMemoryMs + clockMarginMs,
  });
}
