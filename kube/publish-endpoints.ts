import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SpiderEndpoint } from '../contracts/crds/spiderendpoint.ts';
import type { Application } from '../ipam/pool-request.ts';
import { hasStatus } from './api-error.ts';
import type { ClaimRow } from './claim-feed.ts';
import type { EndpointFeed } from './endpoint-feed.ts';
import {
  endpointStatus,
  fingerprint,
  type Owner,
  type PodAddresses,
  type PoolRoutes,
  podAddresses,
} from './endpoint-status.ts';
import type { LeaderRequest } from './leader-writes.ts';
import type { Log } from './log.ts';
import { PacedWork } from './paced-work.ts';
import { failureLog } from './publish-failure.ts';
import { TopControllers } from './top-controller.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
/** Both families of an ADD, and all interfaces of a quick one, are one write. */
const settleMs = 200;
const pauseMs = 1000;
const comparedAtATime = 500;

export interface EndpointPublisherOptions {
  readonly request: LeaderRequest;
  /** What is published, followed by the caller. */
  readonly published: Pick<EndpointFeed, 'rows'>;
  readonly claims: {
    ofPod(pod: string): readonly ClaimRow[];
    pods(): Iterable<string>;
  };
  readonly pools: () => PoolRoutes;
  readonly log: Log;
}

/**
 * Keeps one SpiderEndpoint for each pod that has addresses, named as the pod, or as the machine that runs in it: at most one write a
 * second for each. One of a StatefulSet or a machine stays while its addresses are held.
 */
export class EndpointPublisher {
  readonly #options: EndpointPublisherOptions;
  readonly #work: PacedWork;
  readonly #controllers: TopControllers;
  #isStarted = false;

  constructor(options: EndpointPublisherOptions) {
    this.#options = options;
    this.#controllers = new TopControllers(<Answer>(request: Parameters<LeaderRequest>[0]) =>
      options.request<Answer>(request).catch(undefinedWhenAbsent),
    );
    this.#work = new PacedWork({
      work: (pod) => this.#publish(pod),
      settleMs,
      atOnce: 8,
      onFailure: failureLog(options.log, 'endpoint of a pod not published'),
    });
  }

  /** Compares every pod's claims with what is published, now that both are known, and removes what nobody stands behind. */
  async start(): Promise<void> {
    this.#isStarted = true;
    let compared = 0;
    for (const pod of new Set([...this.#options.claims.pods(), ...this.#options.published.rows.keys()])) {
      this.concern(pod);
      compared += 1;
      // Renewing the lease must not wait for 100,000 comparisons.
      if (compared % comparedAtATime === 0) await nextTurn();
    }
  }

  /**
   * The pod's claims or its endpoint changed.
   *
   * @param pod Namespace/name.
   */
  concern(pod: string): void {
    if (this.#isStarted && this.#differs(pod, this.#wanted(pod))) this.#work.mark(pod);
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#work.stop();
  }

  #wanted(pod: string): PodAddresses | undefined {
    return podAddresses(pod, this.#options.claims.ofPod(pod));
  }

  #differs(pod: string, wanted: PodAddresses | undefined): boolean {
    const row = this.#options.published.rows.get(pod);
    return wanted === undefined ? row !== undefined : row?.fingerprint !== fingerprint(wanted);
  }

  /** @returns The pause before the pod's next write. */
  async #publish(pod: string): Promise<number> {
    const wanted = this.#wanted(pod);
    if (!this.#differs(pod, wanted)) return 0;
    if (wanted === undefined) await this.#remove(pod);
    else await this.#write(pod, wanted);
    return pauseMs;
  }

  async #write(pod: string, wanted: PodAddresses): Promise<void> {
    const { collection, namespace, name } = placeOf(pod);
    const path = `${collection}/${name}`;
    const live = this.#options.published.rows.has(pod)
      ? await this.#options.request<SpiderEndpoint>({ method: 'GET', path }).catch(undefinedWhenAbsent)
      : undefined;
    const owner = wanted.owner ?? ownerIn(live, wanted.uid) ?? toOwner(await this.#controllers.of(namespace, name));
    const status = endpointStatus(wanted, live?.status, this.#options.pools(), owner);
    const { resourceVersion } = live?.metadata ?? {};
    await this.#options.request({
      method: live ? 'PUT' : 'POST',
      path: live ? path : collection,
      body: {
        apiVersion: 'spiderpool.spidernet.io/v2beta1',
        kind: 'SpiderEndpoint',
        // No owner and no finalizer: nobody else removes what we publish, and nothing waits for us to remove it.
        metadata: { namespace, name, ...(resourceVersion !== undefined && { resourceVersion }) },
        status,
      } satisfies SpiderEndpoint,
    });
  }

  /** Spiderpool's, which nobody is left to take away. */
  async #takeFinalizersFrom(path: string): Promise<void> {
    const live = await this.#options.request<SpiderEndpoint>({ method: 'GET', path }).catch(undefinedWhenAbsent);
    if (live === undefined) return;
    const body = { ...live, metadata: { ...live.metadata, finalizers: [] } };
    await this.#options.request({ method: 'PUT', path, body });
  }

  async #remove(pod: string): Promise<void> {
    const { collection, name } = placeOf(pod);
    const { uid, spiderpools } = this.#options.published.rows.get(pod) ?? {};
    if (spiderpools !== undefined) await this.#takeFinalizersFrom(`${collection}/${name}`);
    await this.#options
      .request({ method: 'DELETE', path: `${collection}/${name}`, body: { preconditions: { uid } } })
      .catch(undefinedWhenAbsent);
  }
}

function placeOf(pod: string): { readonly collection: string; readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = pod.split('/');
  return { collection: `${group}/namespaces/${namespace}/spiderendpoints`, namespace, name };
}

const toOwner = ({ kind, name }: Application): Owner => ({ ownerControllerType: kind, ownerControllerName: name });

/** A pod's controller does not change, so it is read once for each pod. */
function ownerIn(endpoint: SpiderEndpoint | undefined, podUID: string): Owner | undefined {
  if (endpoint?.status?.current.uid !== podUID) return undefined;
  const { ownerControllerType, ownerControllerName } = endpoint.status;
  return { ownerControllerType, ownerControllerName };
}

function undefinedWhenAbsent(error: unknown): undefined {
  if (!hasStatus(error, 404)) throw error;
}
