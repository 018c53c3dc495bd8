import type { PodIdentity } from '../contracts/attachment.ts';
import type { ApiClient } from './api-client.ts';
import { findObject } from './find-object.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { deadlineIn } from './persist.ts';
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

/** The pods of one node: a list and a watch in the background, and a live read for what that does not know. */
export class PodReader {
  readonly #api: ApiClient;
  readonly #deadlineMs: number;
  readonly #feed: ObjectFeed<PodObject, PodView>;
  readonly #stopped = new AbortController();
  #following: Promise<void> | undefined;

  constructor({ api, node, log, onGone = () => undefined, onListed, deadlineMs = 2000, silenceMs }: PodReaderOptions) {
    this.#api = api;
    this.#deadlineMs = deadlineMs;
    this.#feed = new ObjectFeed({
      api,
      log,
      path: '/api/v1/pods',
      fieldSelector: `spec.nodeName=${node}`,
      rowOf: viewOf,
      onChange: (_name, before, after) => {
        if (before !== undefined && before.uid !== after?.uid) onGone(before);
        if (after?.isFinished === true && !(before?.uid === after.uid && before.isFinished)) onGone(after);
      },
      ...(onListed === undefined ? {} : { onListed }),
      ...(silenceMs === undefined ? {} : { silenceMs }),
    });
  }

  /** Starts to list and watch, again and again until `stop`. */
  start(): void {
    this.#following ??= this.#feed.follow(this.#stopped.signal);
  }

  /** False while the list or the watch is interrupted: then every question is a live read. */
  get isWatching(): boolean {
    return this.#feed.isWatching;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#following;
  }

  /** The pods of this node as the watch last showed them. */
  all(): readonly PodView[] {
    return [...this.#feed.rows.values()];
  }

  /**
   * The pod of this namespace, name and UID. Without a UID the one that has the name now. From memory while the watch runs
   * and shows this very pod, else from a live read. Undefined when the API server has none such, or another of that name.
   */
  async find({ namespace, name, uid }: PodIdentity): Promise<PodView | undefined> {
    const known = this.#feed.isWatching ? this.#feed.rows.get(`${namespace}/${name}`) : undefined;
    return known !== undefined && known.uid === uid ? known : this.findLive({ namespace, name, uid });
  }

  /** The pod as the watch last showed it, if it did: for what is only shown to people. */
  remembered({ namespace, name, uid }: PodIdentity): PodView | undefined {
    const known = this.#feed.rows.get(`${namespace}/${name}`);
    return known?.uid === uid ? known : undefined;
  }

  /** The same from a read that begins now: before something is given up because its pod seems to be gone. */
  async findLive({ namespace, name, uid }: PodIdentity): Promise<PodView | undefined> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
    const request = { method: 'GET', path } as const;
    const what = `read pod ${namespace}/${name}`;
    const pod = await findObject<PodObject>(this.#api, what, request, deadlineIn(this.#deadlineMs));
    if (pod === undefined) return undefined;
    const view = viewOf(pod);
    return uid === '' || uid === view.uid || uid === pod.metadata.uid ? view : undefined;
  }
}
