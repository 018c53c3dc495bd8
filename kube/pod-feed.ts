import type { OwnerReference } from '../contracts/crds/object-meta.ts';
import type { ApiClient } from './api-client.ts';
import { type WishingApplication, type WishingPods, type WishListener, wishingPod } from './application-feed.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { type PodMetadata, type PodNames, uidsOf } from './suspect-reader.ts';

/** What is kept of a pod. */
interface PodRow {
  readonly uids: readonly string[];
  /** Few have one. */
  readonly wish: WishingApplication | undefined;
}

interface OwnedPod extends PodMetadata {
  readonly metadata: PodMetadata['metadata'] & { readonly ownerReferences?: readonly OwnerReference[] };
}

/** Names and UIDs of all pods, and what they wish for, as a watch of their metadata shows them. 0.3 KB each. */
export class PodFeed implements PodNames, WishingPods {
  readonly #feed: ObjectFeed<OwnedPod, PodRow>;
  readonly #uids = new Set<string>();
  readonly #listeners = new Set<WishListener>();

  constructor({ api, log }: { readonly api: ApiClient; readonly log: Log }) {
    this.#feed = new ObjectFeed({
      api,
      log,
      path: '/api/v1/pods',
      metadataOnly: true,
      rowOf: (pod: OwnedPod) => ({ uids: uidsOf(pod), wish: wishingPod(pod) }),
      onChange: (_key, before, after) => {
        for (const uid of before?.uids ?? []) this.#uids.delete(uid);
        for (const uid of after?.uids ?? []) this.#uids.add(uid);
        if (before?.wish === undefined && after?.wish === undefined) return;
        for (const listener of this.#listeners) listener(before?.wish, after?.wish);
      },
    });
  }

  follow(signal: AbortSignal): Promise<void> {
    return this.#feed.follow(signal);
  }

  /** False while list and watch are interrupted: then names may be old. */
  get isWatching(): boolean {
    return this.#feed.isWatching;
  }

  /** Resolves when all pods that there are were seen once. */
  get listed(): Promise<void> {
    return this.#feed.listed;
  }

  names(): PodNames {
    return this;
  }

  get count(): number {
    return this.#feed.rows.size;
  }

  hasUID(uid: string): boolean {
    return this.#uids.has(uid);
  }

  hasName(namespace: string, name: string): boolean {
    return this.#feed.rows.has(`${namespace}/${name}`);
  }

  /** Resolves when all pods are known as they are now: at once while a watch says so. */
  refresh(): Promise<void> {
    return this.#feed.refresh();
  }

  *wishing(): Iterable<WishingApplication> {
    for (const { wish } of this.#feed.rows.values()) if (wish !== undefined) yield wish;
  }

  subscribe(listener: WishListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
