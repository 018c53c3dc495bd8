import type { ObjectMeta, OwnerReference } from '../contracts/crds/object-meta.ts';
import { hasStatus } from './api-error.ts';
import type { Owner } from './endpoint-status.ts';
import type { LeaderRequest } from './leader-writes.ts';

/** Kinds that may have a controller above them which counts as the pod's (spec/ipam.md §5.3), and where they are. */
const intermediate: Readonly<Record<string, { readonly path: string; readonly above: string }>> = {
  'apps/v1 ReplicaSet': { path: '/apis/apps/v1', above: 'apps/v1 Deployment' },
  'batch/v1 Job': { path: '/apis/batch/v1', above: 'batch/v1 CronJob' },
};
const plural: Readonly<Record<string, string>> = { Pod: 'pods', ReplicaSet: 'replicasets', Job: 'jobs' };
const mostRemembered = 10_000;

/** Finds the controller by whose name people know a pod. Reads metadata only, and each ReplicaSet and Job once. */
export class TopControllers {
  readonly #request: LeaderRequest;
  /** By UID of the pod's own controller. */
  readonly #known = new Map<string, Owner>();

  constructor(request: LeaderRequest) {
    this.#request = request;
  }

  /** The pod itself when it has no controller, or is not there any more. */
  async of(namespace: string, pod: string): Promise<Owner> {
    const metadata = await this.#metadata('/api/v1', namespace, 'Pod', pod);
    const direct = controllerOf(metadata);
    if (direct === undefined) return { ownerControllerType: 'Pod', ownerControllerName: pod };
    const known = this.#known.get(direct.uid) ?? (await this.#above(namespace, direct));
    if (this.#known.size >= mostRemembered) this.#known.clear();
    this.#known.set(direct.uid, known);
    return known;
  }

  async #above(namespace: string, direct: OwnerReference): Promise<Owner> {
    const middle = intermediate[`${direct.apiVersion} ${direct.kind}`];
    const above = middle && controllerOf(await this.#metadata(middle.path, namespace, direct.kind, direct.name));
    const isTop = above !== undefined && `${above.apiVersion} ${above.kind}` === middle?.above;
    const { kind, name } = isTop ? above : direct;
    return { ownerControllerType: kind, ownerControllerName: name };
  }

  /** From the API server's memory, which may not have seen it yet; then from the store. */
  async #metadata(group: string, namespace: string, kind: string, name: string): Promise<ObjectMeta | undefined> {
    const path = `${group}/namespaces/${namespace}/${plural[kind]}/${name}`;
    for (const query of [{ resourceVersion: '0' }, {}]) {
      try {
        const { metadata } = await this.#request<{ readonly metadata: ObjectMeta }>({
          method: 'GET',
          path,
          query,
          accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
        });
        return metadata;
      } catch (error) {
        if (!hasStatus(error, 404)) throw error;
      }
    }
    return undefined;
  }
}

const controllerOf = (metadata: ObjectMeta | undefined): OwnerReference | undefined =>
  metadata?.ownerReferences?.find(({ controller }) => controller === true);
