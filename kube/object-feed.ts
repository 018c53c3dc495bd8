import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiClient, type ApiRequest, metadataOf } from './api-client.ts';
import { ApiError, hasStatus } from './api-error.ts';
import type { Log } from './log.ts';

/** What every object has (Kubernetes API, meta/v1). */
export interface FedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string };
}

export interface FeedOptions<Wire extends FedObject, Row> {
  readonly api: ApiClient;
  /** Path of the collection, for example "/apis/orbweaver.io/v1alpha1/ipclaims". */
  readonly path: string;
  /** All objects when absent. */
  readonly fieldSelector?: string;
  /** What is kept of an object; undefined: nothing, as if it were not there. */
  readonly rowOf: (object: Wire) => Row | undefined;
  /** Asks for metadata only: `rowOf` then sees no more than that. */
  readonly metadataOnly?: boolean;
  /** A row came (no `before`), changed, or went (no `after`). Told once for each object that the first list shows. */
  readonly onChange: (key: string, before: Row | undefined, after: Row | undefined) => void;
  /** All was listed anew: `rows` is now what the API server says, whatever the watch has missed. */
  readonly onListed?: () => void;
  readonly log: Log;
  /** The kind is not ours, and may be taken away: then `follow` ends, and nothing is known. */
  readonly mayKindGo?: boolean;
  /** A watch that is silent for so long is taken for dead; bookmarks come about every minute. 150 s when absent. */
  readonly silenceMs?: number;
}

interface Page<Wire> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  /** Null, not empty, where there is none of metadata only (Go's nil slice). */
  readonly items: readonly Wire[] | null;
}

interface WatchEvent<Wire> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Wire | { readonly code?: number; readonly reason?: string; readonly message?: string };
}

/**
 * Follows all objects of one kind by list and watch and keeps a row of each, never the object: of 100,000 claims a page is in
 * memory at a time. While the API server is away the rows stay as they were.
 */
export class ObjectFeed<Wire extends FedObject, Row> {
  readonly #options: FeedOptions<Wire, Row>;
  readonly #rows = new Map<string, Row>();
  #listed = Promise.withResolvers<void>();
  #wasListed = false;
  /** Ends the present watch, or the pause before the next. */
  #interruption = new AbortController();
  /** Where the next watch goes on; undefined: list first. */
  #resourceVersion: string | undefined;
  #isWatching = false;

  constructor(options: FeedOptions<Wire, Row>) {
    this.#options = options;
  }

  /** By name, or namespace/name. */
  get rows(): ReadonlyMap<string, Row> {
    return this.#rows;
  }

  /** False while list and watch are interrupted: then `rows` may be old. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  /** Resolves when all that there is was seen once: what is not in `rows` from then on is known not to exist. */
  get listed(): Promise<void> {
    return this.#listed.promise;
  }

  /** Resolves when `rows` is what there is: at once while a watch keeps it so, else when all is listed anew. */
  refresh(): Promise<void> {
    if (this.#isWatching) return Promise.resolve();
    if (this.#wasListed) {
      this.#wasListed = false;
      this.#listed = Promise.withResolvers();
      this.#resourceVersion = undefined;
      this.#interruption.abort();
    }
    return this.#listed.promise;
  }

  /** Lists and watches, again and again, until the signal; may be called again after its end. */
  async follow(signal: AbortSignal): Promise<void> {
    const { log, path, mayKindGo = false } = this.#options;
    for (let pauseMs = shortestPauseMs; !signal.aborted; ) {
      this.#interruption = new AbortController();
      const uninterrupted = AbortSignal.any([signal, this.#interruption.signal]);
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        await this.#watch(uninterrupted);
        pauseMs = shortestPauseMs;
      } catch (err) {
        this.#isWatching = false;
        if (signal.aborted) return;
        if (mayKindGo && hasStatus(err, 404)) return this.#forgetAll();
        if (hasStatus(err, 410)) this.#resourceVersion = undefined;
        else log.warn({ err, path }, 'watch interrupted');
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      }
      await sleep(pauseMs, undefined, { signal: uninterrupted }).catch(() => undefined);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { fieldSelector } = this.#options;
    const gone = new Set(this.#rows.keys());
    let next: string | undefined;
    let resourceVersion: string | undefined;
    do {
      const page = await this.#page({ fieldSelector, limit: pageSize, continue: next }, signal);
      if (signal.aborted) return;
      for (const object of page.items ?? []) {
        gone.delete(keyOf(object));
        this.#see(object);
      }
      resourceVersion ??= page.metadata.resourceVersion;
      next = page.metadata.continue === '' ? undefined : page.metadata.continue;
    } while (next !== undefined);
    for (const key of gone) this.#forget(key);
    this.#resourceVersion = resourceVersion;
    this.#isWatching = true;
    this.#wasListed = true;
    this.#listed.resolve();
    this.#options.onListed?.();
  }

  /** A page that does not come is asked for again: of 100,000 objects the other 199 would have to be listed anew. */
  async #page(query: ApiRequest['query'] & { readonly continue: string | undefined }, signal: AbortSignal) {
    const { api, path, metadataOnly = false } = this.#options;
    const accept = metadataOnly ? metadataOf('PartialObjectMetadataList') : 'application/json';
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await api.request<Page<Wire>>({ method: 'GET', path, query, accept, timeoutMs: pageTimeoutMs });
      } catch (error) {
        const isLast = query.continue === undefined || attempt === pageAttempts || hasStatus(error, 410);
        if (isLast || signal.aborted) throw error;
        await sleep(attempt * longerPauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Follows one watch until the server ends it; the next goes on where this one ended. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { api, path, fieldSelector, metadataOnly = false, silenceMs = 150_000 } = this.#options;
    const accept = metadataOnly ? metadataOf('PartialObjectMetadata') : 'application/json';
    const query = {
      fieldSelector,
      resourceVersion: this.#resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: 300 + Math.floor(Math.random() * 300), // those who watch do not come back all at once
    };
    for await (const event of api.watch<WatchEvent<Wire>>({ path, query, accept, silenceMs, signal })) {
      if (signal.aborted) return;
      if (event.type === 'ERROR') throw watchError(path, event.object);
      const object = event.object as Wire;
      this.#isWatching = true;
      this.#resourceVersion = object.metadata.resourceVersion;
      if (event.type === 'DELETED') this.#forget(keyOf(object));
      else if (event.type !== 'BOOKMARK') this.#see(object);
    }
  }

  #see(object: Wire): void {
    const key = keyOf(object);
    const after = this.#options.rowOf(object);
    if (after === undefined) return this.#forget(key);
    const before = this.#rows.get(key);
    this.#rows.set(key, after);
    this.#options.onChange(key, before, after);
  }

  #forgetAll(): void {
    this.#resourceVersion = undefined;
    for (const key of this.#rows.keys()) this.#forget(key);
  }

  #forget(key: string): void {
    const before = this.#rows.get(key);
    if (this.#rows.delete(key)) this.#options.onChange(key, before, undefined);
  }
}

const pageSize = 500;
const pageTimeoutMs = 30_000; // a busy API server; nobody waits for it who could do without it
const pageAttempts = 4;
const longerPauseMs = 500;
const shortestPauseMs = 100;
const longestPauseMs = 5000;

/** Flat: a template would keep its parts, too. */
const keyOf = ({ metadata: { namespace, name } }: FedObject): string =>
  namespace === undefined ? name : [namespace, name].join('/');

const watchError = (path: string, status: WatchEvent<FedObject>['object']): ApiError => {
  const { code = 500, reason = '', message = '' } = status as { code?: number; reason?: string; message?: string };
  return new ApiError({ request: `watch ${path}`, status: code, reason, detail: message });
};
