import { setTimeout as sleep } from 'node:timers/promises';
import type { PodIdentity } from '../contracts/attachment.ts';
import type { ApiClient } from './api-client.ts';
import { ApiError, hasStatus } from './api-error.ts';
import { listObjects } from './list.ts';
import type { Log } from './log.ts';
import { deadlineIn, persist } from './persist.ts';
import { type PodObject, type PodView, viewOf } from './pod-view.ts';

export interface PodReaderOptions {
  readonly api: ApiClient;
  /** Only pods of this node are watched. */
  readonly node: string;
  readonly log: Log;
  /**
   * A pod of this node is deleted, or finished for good. Told at least once per pod while the watch runs; a pod that went
   * while it did not run is told of when it was known before.
   */
  readonly onGone?: (pod: PodView) => void;
  /** The pods were listed anew: `all` is now what the API server says, whatever the watch has missed. */
  readonly onListed?: () => void;
  /** How long one live read may take before it fails with `ApiServerUnavailable`. 2,000 ms when absent. */
  readonly deadlineMs?: number;
  /** A watch that is silent for so long is taken for dead; bookmarks come about every minute. 150 s when absent. */
  readonly silenceMs?: number;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: PodObject | { readonly code?: number; readonly reason?: string; readonly message?: string };
}

/** The pods of one node: a list and a watch in the background, and a live read for what that does not know. */
export class PodReader {
  readonly #options: PodReaderOptions;
  readonly #deadlineMs: number;
  /** By namespace and name. */
  readonly #pods = new Map<string, PodView>();
  readonly #stopped = new AbortController();
  /** Where the next watch goes on; undefined: list first. */
  #resourceVersion: string | undefined;
  #isWatching = false;
  #loop: Promise<void> | undefined;

  constructor(options: PodReaderOptions) {
    this.#options = options;
    this.#deadlineMs = options.deadlineMs ?? 2000;
  }

  /** Starts to list and watch, again and again until `stop`. */
  start(): void {
    this.#loop ??= this.#follow();
  }

  /** False while the list or the watch is interrupted: then every question is a live read. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  /** The pods of this node as the watch last showed them. */
  all(): readonly PodView[] {
    return [...this.#pods.values()];
  }

  /**
   * The pod of this namespace, name and UID. Without a UID the one that has the name now. From memory while the watch runs
   * and shows this very pod, else from a live read. Undefined when the API server has none such, or another of that name.
   */
  async find({ namespace, name, uid }: PodIdentity): Promise<PodView | undefined> {
    const known = this.#isWatching ? this.#pods.get(keyOf(namespace, name)) : undefined;
    return known !== undefined && known.uid === uid ? known : this.findLive({ namespace, name, uid });
  }

  /** The pod as the watch last showed it, if it did: for what is only shown to people. */
  remembered({ namespace, name, uid }: PodIdentity): PodView | undefined {
    const known = this.#pods.get(keyOf(namespace, name));
    return known?.uid === uid ? known : undefined;
  }

  /** The same from a read that begins now: before something is given up because its pod seems to be gone. */
  async findLive({ namespace, name, uid }: PodIdentity): Promise<PodView | undefined> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
    const pod = await persist(`read pod ${namespace}/${name}`, deadlineIn(this.#deadlineMs), async (timeoutMs) => {
      try {
        return await this.#options.api.request<PodObject>({ method: 'GET', path, timeoutMs });
      } catch (error) {
        if (hasStatus(error, 404)) return undefined;
        throw error;
      }
    });
    if (pod === undefined) return undefined;
    const view = viewOf(pod);
    return uid === '' || uid === view.uid || uid === pod.metadata.uid ? view : undefined;
  }

  async #follow(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stopped;
    for (let pauseMs = shortestPauseMs; !signal.aborted; ) {
      try {
        if (this.#resourceVersion === undefined) await this.#list();
        await this.#watch();
        pauseMs = shortestPauseMs;
      } catch (err) {
        this.#isWatching = false;
        if (hasStatus(err, 410)) this.#resourceVersion = undefined;
        else log.warn({ err }, 'watch of pods interrupted');
        pauseMs = Math.min(2 * pauseMs, 5000);
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  async #list(): Promise<void> {
    const request = { path: '/api/v1/pods', fieldSelector: `spec.nodeName=${this.#options.node}` };
    const { items, resourceVersion } = await listObjects<PodObject>(
      this.#options.api,
      request,
      deadlineIn(listTimeoutMs),
    );
    const listed = new Map(items.map(viewOf).map((view) => [keyOf(view.namespace, view.name), view]));
    for (const [key, known] of this.#pods) {
      if (listed.get(key)?.uid === known.uid) continue;
      this.#pods.delete(key);
      this.#options.onGone?.(known);
    }
    for (const view of listed.values()) this.#see(view);
    this.#resourceVersion = resourceVersion;
    this.#isWatching = true;
    this.#options.onListed?.();
  }

  /** Follows one watch until the server ends it; the next goes on where this one ended. */
  async #watch(): Promise<void> {
    const { api, node, silenceMs = 150_000 } = this.#options;
    const query = {
      fieldSelector: `spec.nodeName=${node}`,
      resourceVersion: this.#resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: 300 + Math.floor(Math.random() * 300), // the nodes of a cluster do not come back all at once
    };
    for await (const event of api.watch<WatchEvent>({
      path: '/api/v1/pods',
      query,
      silenceMs,
      signal: this.#stopped.signal,
    })) {
      if (event.type === 'ERROR') throw watchError(event.object);
      const pod = event.object as PodObject;
      this.#isWatching = true;
      this.#resourceVersion = pod.metadata.resourceVersion;
      if (event.type === 'DELETED') this.#forget(viewOf(pod));
      else if (event.type !== 'BOOKMARK') this.#see(viewOf(pod));
    }
  }

  #see(view: PodView): void {
    const key = keyOf(view.namespace, view.name);
    const before = this.#pods.get(key);
    this.#pods.set(key, view);
    if (before !== undefined && before.uid !== view.uid) this.#options.onGone?.(before);
    if (view.isFinished && !(before?.uid === view.uid && before.isFinished)) this.#options.onGone?.(view);
  }

  #forget(view: PodView): void {
    const key = keyOf(view.namespace, view.name);
    if (this.#pods.get(key)?.uid === view.uid) this.#pods.delete(key);
    this.#options.onGone?.(view);
  }
}

const listTimeoutMs = 10_000;
const shortestPauseMs = 100;

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

const watchError = (status: WatchEvent['object']): ApiError => {
  const { code = 500, reason = '', message = '' } = status as { code?: number; reason?: string; message?: string };
  return new ApiError({ request: 'watch /api/v1/pods', status: code, reason, detail: message });
};
