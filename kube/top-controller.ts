import type { ObjectMeta, OwnerReference } from '../contracts/crds/object-meta.ts';
import { controllerOf } from '../ipam/controller-reference.ts';
import type { Application } from '../ipam/pool-request.ts';
import { type ApiRequest, metadataOf } from './api-client.ts';

/** Kinds that may have a controller above them which counts as the pod's (spec/ipam.md §5.3), and where they are. */
const intermediate: Readonly<Record<string, { readonly path: string; readonly above: string }>> = {
  'apps/v1 ReplicaSet': { path: '/apis/apps/v1', above: 'apps/v1 Deployment' },
  'batch/v1 Job': { path: '/apis/batch/v1', above: 'batch/v1 CronJob' },
};
const plural: Readonly<Record<string, string>> = { Pod: 'pods', ReplicaSet: 'replicasets', Job: 'jobs' };
const mostRemembered = 10_000;

/** A pod as far as its owners are concerned. */
export interface OwnedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly ownerReferences: readonly OwnerReference[];
}

/** Sends one request; undefined when what it asks for is not there. */
type Find = <Answer>(request: Omit<ApiRequest, 'timeoutMs'>) => Promise<Answer | undefined>;

/** Finds the controller by whose name people know a pod. Reads metadata only, and each ReplicaSet and Job once. */
export class TopControllers {
  readonly #find: Find;
  /** By UID of the pod's own controller. */
  readonly #known = new Map<string, Application>();

  constructor(find: Find) {
    this.#find = find;
  }

  /** Of the pod of this name, from a read; the pod itself also when it is not there any more. */
  async of(namespace: string, name: string): Promise<Application> {
    const { uid = '', ownerReferences = [] } = (await this.#metadata('/api/v1', namespace, 'Pod', name)) ?? {};
    return await this.above({ namespace, name, uid, ownerReferences });
  }

  /** The pod itself when it has no controller. */
  async above({ namespace, name, uid, ownerReferences }: OwnedPod): Promise<Application> {
    const direct = controllerOf(ownerReferences);
    if (direct === undefined) return { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
    const known = this.#known.get(direct.uid) ?? (await this.#read(namespace, direct));
    if (this.#known.size >= mostRemembered) this.#known.clear();
    this.#known.set(direct.uid, known);
    return known;
  }

  async #read(namespace: string, direct: OwnerReference): Promise<Application> {
    const middle = intermediate[`${direct.apiVersion} ${direct.kind}`];
    const metadata = middle && (await this.#metadata(middle.path, namespace, direct.kind, direct.name, direct.uid));
    const above = controllerOf(metadata?.ownerReferences);
    const isTop = above !== undefined && `${above.apiVersion} ${above.kind}` === middle?.above;
    const { apiVersion, kind, name, uid } = isTop ? above : direct;
    return { apiVersion, kind, namespace, name, uid };
  }

  /** From the API server's memory, which may not have seen it yet; then from the store. */
  async #metadata(
    group: string,
    namespace: string,
    kind: string,
    name: string,
    uid?: string,
  ): Promise<ObjectMeta | undefined> {
    const path = `${group}/namespaces/${namespace}/${plural[kind]}/${encodeURIComponent(name)}`; // nobody checks names in owner references
    const accept = metadataOf('PartialObjectMetadata');
    for (const query of [{ resourceVersion: '0' }, {}]) {
      const found = await this.#find<{ readonly metadata: ObjectMeta }>({ method: 'GET', path, query, accept });
      if (found !== undefined && (uid === undefined || found.metadata.uid === uid)) return found.metadata;
    }
    return undefined;
  }
}
