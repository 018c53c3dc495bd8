import type { ObjectMeta } from '../contracts/crds/object-meta.ts';
import type { PoolSubject, SeenApplication } from '../ipam/auto-pools/pool-wish.ts';
import type { Labels } from '../ipam/pool-request.ts';
import { readSubnetWish } from '../ipam/subnet-annotation.ts';
import type { ApiClient } from './api-client.ts';
import { hasStatus } from './api-error.ts';
import { type ApplicationObject, applicationKindOf, seenApplication } from './application-kinds.ts';
import { findObject } from './find-object.ts';
import { deadlineIn } from './persist.ts';
import type { FollowedApplications } from './supervise-subnets.ts';

export type FoundApplication =
  | { readonly outcome: 'found'; readonly application: SeenApplication }
  | { readonly outcome: 'absent' }
  /** One sentence, with its remedy. */
  | { readonly outcome: 'unreadable'; readonly why: string };

const readMs = 10_000;

/**
 * Reads applications as they are now, or were a moment ago where this process follows them: Kubernetes' own kinds with their pod template, and those of third parties, of which we know
 * neither shape nor plural, as far as every object goes: that they are there, and their scale subresource if the API says that they have one.
 * Fails with `ApiServerUnavailable`.
 */
export class ApplicationReader {
  readonly #api: ApiClient;
  /** Kinds of third parties, by "apiVersion kind": a kind that is installed keeps its plural. */
  readonly #known = new Map<string, ForeignKind>();

  readonly #followed: () => FollowedApplications | undefined;

  constructor(api: ApiClient, followed: () => FollowedApplications | undefined = () => undefined) {
    this.#api = api;
    this.#followed = followed;
  }

  /** @param podAnnotations Of the pods of an application of a third party. */
  async find(subject: PoolSubject, podAnnotations: Labels): Promise<FoundApplication> {
    const seen = this.#followed()?.find(subject);
    if (seen !== undefined) return { outcome: 'found', application: seen };
    const { apiVersion, kind, namespace, name } = subject;
    const builtIn = applicationKindOf(apiVersion, kind);
    if (builtIn === undefined) return await this.#findForeign(subject, podAnnotations);
    const object = await this.#read<ApplicationObject>(pathOf(apiVersion, namespace, builtIn.plural, name));
    const application = object && seenApplication(builtIn, object);
    return application === undefined ? { outcome: 'absent' } : { outcome: 'found', application };
  }

  async #findForeign(
    { apiVersion, kind, namespace, name }: PoolSubject,
    annotations: Labels,
  ): Promise<FoundApplication> {
    try {
      const known = await this.#kind(apiVersion, kind);
      if (known === undefined) return { outcome: 'absent' }; // its CRD was removed, and every object with it
      const path = pathOf(apiVersion, namespace, known.plural, name);
      const object = await this.#read<{ readonly metadata: ObjectMeta }>(path);
      if (object === undefined || object.metadata.deletionTimestamp !== undefined) return { outcome: 'absent' };
      // A fixed number needs no replicas; and the API server refuses the scale of an object that does not say them.
      const isCounted = known.isScalable && !hasFixedSize(annotations);
      const scale = isCounted ? await this.#read<ScaleObject>(`${path}/scale`) : undefined;
      const application = { uid: object.metadata.uid ?? '', annotations };
      return {
        outcome: 'found',
        application: scale === undefined ? application : { ...application, replicas: scale.spec?.replicas ?? 0 },
      };
    } catch (error) {
      if (!isForbidden(error)) throw error;
      const why = `${kind} ${namespace}/${name} cannot be read: bind a ClusterRole to ServiceAccount orbweaver-control that may get ${kind} of ${apiVersion}, and its scale subresource if there is one`;
      return { outcome: 'unreadable', why };
    }
  }

  async #kind(apiVersion: string, kind: string): Promise<ForeignKind | undefined> {
    const key = `${apiVersion} ${kind}`;
    const remembered = this.#known.get(key);
    if (remembered) return remembered;
    const list = await this.#read<ResourceList>(groupPath(apiVersion));
    const plural = list?.resources.find((resource) => resource.kind === kind && !resource.name.includes('/'))?.name;
    if (plural === undefined) return undefined;
    const isScalable = list?.resources.some(({ name }) => name === `${plural}/scale`) === true;
    this.#known.set(key, { plural, isScalable });
    return { plural, isScalable };
  }

  /** Undefined when it is not there. */
  #read<Answer>(path: string): Promise<Answer | undefined> {
    return findObject(this.#api, `read ${path}`, { method: 'GET', path }, deadlineIn(readMs));
  }
}

interface ForeignKind {
  readonly plural: string;
  readonly isScalable: boolean;
}

/** meta/v1 APIResourceList. */
interface ResourceList {
  readonly resources: readonly { readonly name: string; readonly kind: string }[];
}

/** autoscaling/v1 Scale. */
interface ScaleObject {
  readonly spec?: { readonly replicas?: number };
}

function hasFixedSize(annotations: Labels): boolean {
  const reading = readSubnetWish(annotations);
  return reading.outcome === 'wish' && reading.wish.size?.kind === 'fixed';
}

const isForbidden = (error: unknown): boolean =>
  hasStatus(error, 403) || (error instanceof Error && hasStatus(error.cause, 403));

const groupPath = (apiVersion: string): string =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;

const pathOf = (apiVersion: string, namespace: string, plural: string, name: string): string =>
  `${groupPath(apiVersion)}/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`;
