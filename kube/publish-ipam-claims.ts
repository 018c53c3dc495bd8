import { setTimeout as sleep } from 'node:timers/promises';
import { type IPAMClaim, type IPAMClaimStatus, ownerOf } from '../contracts/ipam-claim.ts';
import type { ApiClient } from './api-client.ts';
import { hasStatus, unless } from './api-error.ts';
import type { ClaimRow } from './claim-feed.ts';
import { ipamClaimStatus } from './ipam-claim-status.ts';
import type { LeaderRequest } from './leader-writes.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { PacedWork } from './paced-work.ts';
import { failureLog } from './publish-failure.ts';

const group = '/apis/k8s.cni.cncf.io/v1alpha1';
/** Both families of an ADD are one write. */
const settleMs = 200;
const pauseMs = 1000;
export interface IPAMClaimPublisherOptions {
  readonly api: ApiClient;
  readonly request: LeaderRequest;
  readonly claims: {
    ofIPAMClaim(ipamClaim: string): readonly ClaimRow[];
    ipamClaims(): Iterable<string>;
  };
  readonly log: Log;
  /** Unix time; the machine's when absent. */
  readonly now?: () => number;
  /** Between two looks for a kind that is not there. 10 s when absent. */
  readonly lookForKindMs?: number;
}

/**
 * Keeps the status of IPAMClaims as the claims of their addresses are: at most one write a second for each. One that no address
 * sticks to is left alone, unless we wrote its status. What is published decides nothing.
 */
export class IPAMClaimPublisher {
  readonly #options: IPAMClaimPublisherOptions;
  readonly #feed: ObjectFeed<IPAMClaim, IPAMClaim>;
  readonly #work: PacedWork;
  #isStarted = false;
  /** `status.ownerPod` is a text in the kind as it is here, by what was refused and what not. */
  #isOwnerText = false;

  constructor(options: IPAMClaimPublisherOptions) {
    this.#options = options;
    const { api, log } = options;
    this.#feed = new ObjectFeed({
      api,
      path: `${group}/ipamclaims`,
      log,
      rowOf: (claim: IPAMClaim) => claim,
      onChange: (name) => this.concern(name),
      mayKindGo: true,
    });
    this.#work = new PacedWork({
      work: (name) => this.#publish(name),
      settleMs,
      atOnce: 8,
      onFailure: failureLog(log, 'status of an IPAMClaim not published'),
    });
  }

  /** Until the signal, while there is such a kind: most clusters have none, and it may come and go any time. */
  async follow(signal: AbortSignal): Promise<void> {
    const { log, lookForKindMs = 10_000 } = this.#options;
    while (!signal.aborted) {
      if (await this.#isKindThere()) {
        await this.#feed.follow(signal);
        if (!signal.aborted) log.info({}, 'IPAMClaims not followed any more: there is no such kind');
      }
      await sleep(lookForKindMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The claims are known: compares them with what is published, and with what will be listed. */
  start(): void {
    this.#isStarted = true;
    for (const name of new Set([...this.#options.claims.ipamClaims(), ...this.#feed.rows.keys()])) this.concern(name);
  }

  /**
   * Its addresses or its status changed.
   *
   * @param name Namespace/name.
   */
  concern(name: string): void {
    const published = this.#feed.rows.get(name);
    // One that is not listed yet is told of when it is.
    if (this.#isStarted && published !== undefined && this.#wanted(name, published) !== published.status)
      this.#work.mark(name);
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#work.stop();
  }

  #wanted(name: string, { status }: IPAMClaim): IPAMClaim['status'] {
    const { claims, now = Date.now } = this.#options;
    return ipamClaimStatus(claims.ofIPAMClaim(name), status, new Date(now()).toISOString().replace(/\.\d+/, ''));
  }

  /** @returns The pause before its next write. */
  async #publish(key: string): Promise<number> {
    const { request, log } = this.#options;
    const [namespace = '', name = ''] = key.split('/');
    const path = `${group}/namespaces/${namespace}/ipamclaims/${name}`;
    const live = await request<IPAMClaim>({ method: 'GET', path }).catch(unless(404));
    if (live === undefined) return 0;
    const status = this.#wanted(key, live);
    if (status === undefined || status === live.status) return 0;
    await this.#write(`${path}/status`, live, status).catch(unless(404));
    log.info({ ipamClaim: key, ips: status.ips, ownerPod: ownerOf(status) }, 'status of an IPAMClaim published');
    return pauseMs;
  }

  /** The kind has one version name for both forms of `ownerPod`: the API server's refusal tells which one it wants. */
  async #write(path: string, live: IPAMClaim, status: IPAMClaimStatus): Promise<void> {
    const put = (isText: boolean): Promise<unknown> => {
      const body = { ...live, status: isText ? { ...status, ownerPod: ownerOf(status) } : status };
      return this.#options.request({ method: 'PUT', path, body });
    };
    const isText = this.#isOwnerText;
    try {
      await put(isText);
    } catch (refusal) {
      if (!hasStatus(refusal, 422)) throw refusal;
      await put(!isText);
      this.#isOwnerText = !isText;
    }
  }

  async #isKindThere(): Promise<boolean> {
    const { api, log } = this.#options;
    try {
      const query = { limit: 1 };
      const found = await api
        .request<object>({ method: 'GET', path: `${group}/ipamclaims`, query, timeoutMs: 5000 })
        .catch(unless(404));
      return found !== undefined;
    } catch (err) {
      log.warn({ err }, 'IPAMClaims not looked for');
      return false;
    }
  }
}
