import type { ObjectMeta } from '../contracts/crds/object-meta.ts';
import { ProvisionError } from '../contracts/failures.ts';
import { type IPAMClaim, isAllocatedByUs } from '../contracts/ipam-claim.ts';
import type { Application, Labels } from '../ipam/pool-request.ts';
import { type ApiClient, type ApiRequest, metadataOf } from './api-client.ts';
import { findObject } from './find-object.ts';
import { deadlineIn } from './persist.ts';
import { SharedRead } from './shared-read.ts';
import { type OwnedPod, TopControllers } from './top-controller.ts';

export interface SurroundingsOptions {
  readonly api: ApiClient;
  /** This node's name. */
  readonly node: string;
  /** Milliseconds of a clock that is never set. */
  readonly now?: () => number;
  /** How long one read may take before it fails with `ApiServerUnavailable`. 2,000 ms when absent. */
  readonly deadlineMs?: number;
}

/** What people have written on an object. */
export interface Marks {
  readonly labels: Labels;
  readonly annotations: Labels;
}

const maxAgeMs = 2000;
const mostNamespaces = 1000;

/**
 * What stands around a pod on this node and has a say in its pools: its namespace, the node, its top controller. Read when
 * somebody asks, metadata only, and then remembered: marks for 2 s, a controller for good, because a pod never changes it.
 */
export class Surroundings {
  readonly #api: ApiClient;
  readonly #now: () => number;
  readonly #deadlineMs: number;
  readonly #node: SharedRead<Marks>;
  readonly #namespaces = new Map<string, SharedRead<Marks>>();
  readonly #controllers: TopControllers;

  constructor({ api, node, now = () => performance.now(), deadlineMs = 2000 }: SurroundingsOptions) {
    this.#api = api;
    this.#now = now;
    this.#deadlineMs = deadlineMs;
    this.#node = new SharedRead(() => this.#marksOf('node', 'nodes', node), now);
    this.#controllers = new TopControllers((request) => this.#find(`read ${request.path}`, request));
  }

  /** Nothing is written on one that is not there: its pods are going, too. */
  async namespace(name: string): Promise<Marks> {
    const read =
      this.#namespaces.get(name) ?? new SharedRead(() => this.#marksOf('namespace', 'namespaces', name), this.#now);
    if (this.#namespaces.size >= mostNamespaces) this.#namespaces.clear();
    this.#namespaces.set(name, read);
    return await this.#recent(read);
  }

  async nodeLabels(): Promise<Labels> {
    return (await this.#recent(this.#node)).labels;
  }

  /** The pod itself when it has no controller. */
  controllerOf(pod: OwnedPod): Promise<Application> {
    return this.#controllers.above(pod);
  }

  /**
   * What an IPAMClaim has from somebody else, by its status as it is now; else what it asks for. Of what it has from us the claims
   * know better.
   */
  async ipamClaimIPs(namespace: string, name: string): Promise<readonly string[]> {
    const path = `/apis/k8s.cni.cncf.io/v1alpha1/namespaces/${encodeURIComponent(namespace)}/ipamclaims/${encodeURIComponent(name)}`;
    const claim = await this.#find<IPAMClaim>(`read IPAMClaim "${namespace}/${name}"`, { method: 'GET', path });
    if (claim !== undefined) {
      const { status, spec } = claim;
      const ips = isAllocatedByUs(status) ? [] : (status?.ips ?? []);
      return ips.length > 0 ? ips : (spec?.ipRequests ?? []);
    }
    throw new ProvisionError({
      type: 'InvalidAnnotation',
      message: `Cannot tell which address is wanted: the pod names IPAMClaim "${name}", and namespace "${namespace}" has none of that name`,
      remedy: 'Create it, or take ipam-claim-reference out of pod annotation k8s.v1.cni.cncf.io/networks',
    });
  }

  async #recent(read: SharedRead<Marks>): Promise<Marks> {
    return (await read.begunAfter(this.#now() - maxAgeMs)).value;
  }

  async #marksOf(what: string, plural: string, name: string): Promise<Marks> {
    const path = `/api/v1/${plural}/${encodeURIComponent(name)}`;
    const request = { method: 'GET', path, accept: metadataOf('PartialObjectMetadata') } as const;
    const found = await this.#find<{ readonly metadata: ObjectMeta }>(`read ${what} "${name}"`, request);
    return { labels: found?.metadata.labels ?? {}, annotations: found?.metadata.annotations ?? {} };
  }

  #find<Answer>(what: string, request: Omit<ApiRequest, 'timeoutMs'>): Promise<Answer | undefined> {
    return findObject(this.#api, what, request, deadlineIn(this.#deadlineMs));
  }
}
