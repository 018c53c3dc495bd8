import type { ObjectMeta } from '../contracts/crds/object-meta.ts';
import type { SeenApplication } from '../ipam/auto-pools/pool-wish.ts';
import { controllerOf } from '../ipam/controller-reference.ts';

/** What we read of an application's object; which of it is there depends on the kind. */
export interface ApplicationObject {
  readonly metadata: ObjectMeta;
  readonly spec?: WorkloadSpec & { readonly jobTemplate?: { readonly spec?: WorkloadSpec } };
  readonly status?: { readonly observedGeneration?: number; readonly desiredNumberScheduled?: number };
}

interface WorkloadSpec {
  readonly replicas?: number;
  readonly completions?: number;
  readonly parallelism?: number;
  readonly template?: {
    readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
    readonly spec?: { readonly hostNetwork?: boolean };
  };
}

/** A kind of Kubernetes' own whose pods get automatic pools (spec/ipam.md §6.1). */
export interface ApplicationKind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  /** Kind of a controller above it which counts as the application instead. */
  readonly below?: string;
  /** Size of the application; `undefined` while its controller has not said it yet. */
  readonly replicas: (object: ApplicationObject) => number | undefined;
}

const replicas = ({ spec }: ApplicationObject): number => spec?.replicas ?? 1;
const jobSize = ({ completions, parallelism }: WorkloadSpec = {}): number =>
  Math.max(1, completions ?? parallelism ?? 1);

export const applicationKinds: readonly ApplicationKind[] = [
  { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', replicas },
  { apiVersion: 'apps/v1', kind: 'ReplicaSet', plural: 'replicasets', below: 'Deployment', replicas },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', plural: 'statefulsets', replicas },
  {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    plural: 'daemonsets',
    replicas: ({ status }) =>
      status?.observedGeneration === undefined ? undefined : (status.desiredNumberScheduled ?? 0),
  },
  { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs', below: 'CronJob', replicas: ({ spec }) => jobSize(spec) },
  {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    plural: 'cronjobs',
    replicas: ({ spec }) => jobSize(spec?.jobTemplate?.spec),
  },
];

export const applicationKindOf = (apiVersion: string, kind: string): ApplicationKind | undefined =>
  applicationKinds.find((known) => known.apiVersion === apiVersion && known.kind === kind);

/** The application that an object of this kind is; undefined when it is none for us: it goes, belongs to another, or has the host's network. */
export function seenApplication(kind: ApplicationKind, object: ApplicationObject): SeenApplication | undefined {
  const { metadata, spec } = object;
  const controller = controllerOf(metadata.ownerReferences);
  const template = (spec?.jobTemplate?.spec ?? spec)?.template;
  const size = kind.replicas(object);
  const isOurs =
    metadata.deletionTimestamp === undefined &&
    (kind.below === undefined || controller?.kind !== kind.below) &&
    template?.spec?.hostNetwork !== true;
  return isOurs && size !== undefined
    ? { uid: metadata.uid ?? '', annotations: template?.metadata?.annotations ?? {}, replicas: size }
    : undefined;
}
