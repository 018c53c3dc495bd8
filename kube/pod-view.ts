import type { OwnerReference } from '../contracts/crds/object-meta.ts';
import { isPodAlive } from '../ipam/pod-alive.ts';

/** The fields of a Pod that we read (Kubernetes API, core/v1). */
export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly spec: { readonly nodeName?: string; readonly restartPolicy?: string };
  readonly status?: { readonly phase?: string; readonly reason?: string };
}

/** What we keep of a pod. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  /** As the runtime knows it: a static pod's own one, which its mirror carries as an annotation. */
  readonly uid: string;
  readonly node: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
  /** It may still run a container: neither finished for good nor being deleted. */
  readonly isAlive: boolean;
  /** It will never run a container again, whether it is being deleted or not. */
  readonly isFinished: boolean;
}

export function viewOf({ metadata, spec, status }: PodObject): PodView {
  const { annotations = {}, labels = {}, ownerReferences = [] } = metadata;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: annotations['kubernetes.io/config.mirror'] ?? metadata.uid,
    node: spec.nodeName ?? '',
    annotations: Object.fromEntries(Object.entries(annotations).filter(([key]) => !bulky.has(key))),
    labels,
    ownerReferences,
    isAlive: isPodAlive({ metadata, spec, status }),
    isFinished: !isPodAlive({ metadata: {}, spec, status }),
  };
}

/** Kilobytes that decide nothing: kubectl's copy of the object, and Multus' report. */
const bulky = new Set(['kubectl.kubernetes.io/last-applied-configuration', 'k8s.v1.cni.cncf.io/network-status']);
