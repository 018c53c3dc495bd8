import type { ObjectMeta } from '../contracts/crds/object-meta.ts';
import type { Family } from '../ipam/address.ts';
import { type PoolSubject, type SeenApplication, subjectKey } from '../ipam/auto-pools/pool-wish.ts';
import { controllerOf } from '../ipam/controller-reference.ts';
import type { Application, Labels } from '../ipam/pool-request.ts';
import {
  poolSizeAnnotation,
  readSubnetWish,
  reclaimAnnotation,
  subnetAnnotation,
  subnetsAnnotation,
} from '../ipam/subnet-annotation.ts';
import type { ApiClient } from './api-client.ts';
import {
  type ApplicationKind,
  type ApplicationObject,
  applicationKinds,
  seenApplication,
} from './application-kinds.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';

/** An application that wishes for pools: of each, or of each of its pods, 0.5 KB. Nothing is kept of those that wish for none. */
export interface WishingApplication {
  readonly identity: Omit<Application, 'uid'>;
  readonly seen: SeenApplication;
  /** Its kind is none of Kubernetes' own: what is known of it, its pods say. */
  readonly isForeign: boolean;
}

/** Pods whose controller is of a kind that we do not know and that wish for pools. */
export interface WishingPods {
  /** False while list and watch are interrupted. */
  readonly isWatching: boolean;
  /** Resolves when all that there are are known as they are now: at once while a watch says so. */
  refresh(): Promise<void>;
  wishing(): Iterable<WishingApplication>;
  /** Tells of every change from now on, until the given function is called. */
  subscribe(listener: WishListener): () => void;
}

export type WishListener = (before: WishingApplication | undefined, after: WishingApplication | undefined) => void;

export interface ApplicationFeedOptions {
  readonly api: ApiClient;
  /** Followed by the caller. */
  readonly pods: WishingPods;
  readonly families: readonly Family[];
  /** An application that wishes, or wished, for this pool came, changed or went. */
  readonly onChange: (subject: PoolSubject) => void;
  readonly log: Log;
}

/**
 * Everything that may wish for automatic pools: Kubernetes' own kinds, which it follows, by their pod templates, and pods whose
 * controller is of a kind that we do not know.
 */
export class ApplicationFeed {
  readonly #options: ApplicationFeedOptions;
  readonly #feeds: readonly ObjectFeed<ApplicationObject & { readonly metadata: Named }, WishingApplication>[];
  /** Who wishes for each pool, by `subjectKey`: one application, or the pods of one. */
  readonly #wishing = new Map<string, Set<WishingApplication>>();

  constructor(options: ApplicationFeedOptions) {
    this.#options = options;
    const { api, log } = options;
    this.#feeds = applicationKinds.map(
      (kind) =>
        new ObjectFeed({
          api,
          log,
          path: `/apis/${kind.apiVersion}/${kind.plural}`,
          rowOf: (object: ApplicationObject & { readonly metadata: Named }) => wishingApplication(kind, object),
          onChange: (_key, before, after) => this.#changed(before, after),
        }),
    );
  }

  /** False while the list and watch of any kind are interrupted. */
  get isWatching(): boolean {
    return [...this.#feeds, this.#options.pods].every(({ isWatching }) => isWatching);
  }

  get listed(): Promise<unknown> {
    return Promise.all([...this.#feeds.map(({ listed }) => listed), this.#options.pods.refresh()]);
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { pods } = this.#options;
    const unsubscribe = pods.subscribe((before, after) => this.#changed(before, after));
    for (const application of pods.wishing()) this.#changed(undefined, application);
    await Promise.all(this.#feeds.map((feed) => feed.follow(signal)));
    unsubscribe();
  }

  /** Who wishes for this pool; of a foreign application one of its pods. */
  wishing(key: string): WishingApplication | undefined {
    return this.#wishing.get(key)?.values().next().value;
  }

  #changed(before: WishingApplication | undefined, after: WishingApplication | undefined): void {
    const concerned = new Map<string, PoolSubject>();
    for (const [key, subject] of this.#subjectsOf(before)) {
      concerned.set(key, subject);
      const wishing = this.#wishing.get(key);
      if (before) wishing?.delete(before);
      if (wishing?.size === 0) this.#wishing.delete(key);
    }
    for (const [key, subject] of this.#subjectsOf(after)) {
      concerned.set(key, subject);
      const wishing = this.#wishing.get(key) ?? new Set();
      if (after) wishing.add(after);
      this.#wishing.set(key, wishing);
    }
    // Most changes of an application are of its status.
    if (JSON.stringify(before?.seen) === JSON.stringify(after?.seen)) return;
    for (const subject of concerned.values()) this.#options.onChange(subject);
  }

  /** By key. A malformed wish names none: it is refused where it is used, in the pod's ADD. */
  #subjectsOf(application: WishingApplication | undefined): readonly (readonly [string, PoolSubject])[] {
    const reading = readSubnetWish(application?.seen.annotations ?? {});
    if (application === undefined || reading.outcome !== 'wish') return [];
    return reading.wish.nics.flatMap(({ ifName, subnets }) =>
      this.#options.families.flatMap((family) => {
        const subject = { ...application.identity, ifName, family };
        return subnets[family] === undefined ? [] : [[subjectKey(subject), subject] as const];
      }),
    );
  }
}

/** Every object that a list of a namespaced kind shows has these. */
type Named = ObjectMeta & { readonly namespace: string };

const wishAnnotations = [subnetsAnnotation, subnetAnnotation, poolSizeAnnotation, reclaimAnnotation];

/** The annotations that say something about pools; undefined when none of them names a Subnet. */
function wishIn(annotations: Labels): Labels | undefined {
  if (annotations[subnetsAnnotation] === undefined && annotations[subnetAnnotation] === undefined) return undefined;
  return Object.fromEntries(
    wishAnnotations.flatMap((key) => (annotations[key] === undefined ? [] : [[key, annotations[key]]])),
  );
}

function wishingApplication(
  kind: ApplicationKind,
  object: ApplicationObject & { readonly metadata: Named },
): WishingApplication | undefined {
  const seen = seenApplication(kind, object);
  const annotations = wishIn(seen?.annotations ?? {});
  if (seen === undefined || annotations === undefined) return undefined;
  const { namespace, name } = object.metadata;
  const identity = { apiVersion: kind.apiVersion, kind: kind.kind, namespace, name };
  return { identity, seen: { ...seen, annotations }, isForeign: false };
}

/** The application of a pod whose controller is of a kind that we do not know (spec/ipam.md §5.3). */
export function wishingPod({
  metadata,
}: {
  readonly metadata: Pick<Named, 'namespace' | 'annotations' | 'ownerReferences'>;
}): WishingApplication | undefined {
  const annotations = wishIn(metadata.annotations ?? {});
  const controller = controllerOf(metadata.ownerReferences);
  if (annotations === undefined || controller === undefined || ours.includes(controller.apiVersion)) return undefined;
  const { apiVersion, kind, name, uid } = controller;
  return {
    identity: { apiVersion, kind, namespace: metadata.namespace, name },
    seen: { uid, annotations },
    isForeign: true,
  };
}

const ours = ['v1', 'apps/v1', 'batch/v1'];
