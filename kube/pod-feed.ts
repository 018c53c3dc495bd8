import type { ApiClient } from './api-client.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import { type PodMetadata, type PodNames, uidsOf } from './suspect-reader.ts';

/** Names and UIDs of all pods, as a watch of their metadata shows them. 0.3 KB each. */
export class PodFeed implements PodNames {
  readonly #feed: ObjectFeed<PodMetadata, readonly string[]>;
  readonly #uids = new Set<string>();

  constructor({ api, log }: { readonly api: ApiClient; readonly log: Log }) {
    this.#feed = new ObjectFeed({
      api,
      log,
      path: '/api/v1/pods',
      metadataOnly: true,
      rowOf: uidsOf,
      onChange: (_key, before = [], after = []) => {
        for (const uid of before) this.#uids.delete(uid);
        for (const uid of after) this.#uids.add(uid);
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
}
