import type { SpiderEndpoint } from '../contracts/crds/spiderendpoint.ts';
import type { ApiClient } from './api-client.ts';
import { publishedFingerprint } from './endpoint-status.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { type SpiderpoolEndpoint, spiderpoolsOwn } from './spiderpool-endpoints.ts';

/** What is kept of a SpiderEndpoint. */
export interface EndpointRow {
  readonly uid: string;
  /** Of what it says about addresses. */
  readonly fingerprint: string | undefined;
  /** Written by Spiderpool, and not by us since. */
  readonly spiderpools?: SpiderpoolEndpoint;
}

/** What is published of every pod. 0.2 KB each. */
export class EndpointFeed {
  readonly #feed: ObjectFeed<SpiderEndpoint, EndpointRow>;
  readonly #listeners = new Set<(pod: string) => void>();

  constructor({ api, log }: { readonly api: ApiClient; readonly log: Log }) {
    this.#feed = new ObjectFeed({
      api,
      log,
      path: '/apis/spiderpool.spidernet.io/v2beta1/spiderendpoints',
      rowOf: ({ metadata, status }: SpiderEndpoint) => ({
        uid: metadata.uid ?? '',
        fingerprint: publishedFingerprint(status),
        ...spiderpoolsOwn(metadata, status),
      }),
      onChange: (pod) => {
        for (const listener of this.#listeners) listener(pod);
      },
    });
  }

  /** By namespace/name of the pod. */
  get rows(): ReadonlyMap<string, EndpointRow> {
    return this.#feed.rows;
  }

  /** Endpoints that Spiderpool wrote and nobody else since. */
  *ofSpiderpool(): Iterable<SpiderpoolEndpoint> {
    for (const { spiderpools } of this.rows.values()) if (spiderpools !== undefined) yield spiderpools;
  }

  /** Tells of every change from now on, until the given function is called. */
  subscribe(listener: (pod: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves when all endpoints that there are were seen once. */
  get listed(): Promise<void> {
    return this.#feed.listed;
  }

  /** Resolves when all endpoints are known as they are now: at once while a watch says so. */
  refresh(): Promise<void> {
    return this.#feed.refresh();
  }

  follow(signal: AbortSignal): Promise<void> {
    return this.#feed.follow(signal);
  }
}
