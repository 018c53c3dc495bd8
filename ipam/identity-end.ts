import type { IPAMClaimIdentity, MachineIdentity, OrdinalIdentity } from './sticky-identity.ts';

/** Annotation of a StatefulSet: "true" keeps the addresses of ordinals that it was scaled down by, until it is deleted. */
export const keepOnScaleDownAnnotation = 'ipam.orbweaver.io/keep-on-scale-down';

/** What we read of a StatefulSet (apps/v1); the API's object fits by structure. */
export interface StatefulSetObject {
  readonly metadata: {
    readonly deletionTimestamp?: unknown;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    /** The API server's default is 1. */
    readonly replicas?: number;
    readonly ordinals?: { readonly start?: number };
  };
}

/** What we read of an object that addresses stick to until it is deleted: of KubeVirt's two kinds, and of an IPAMClaim. */
export interface KeepingObject {
  readonly metadata: { readonly deletionTimestamp?: unknown };
}

/** Why no pod of this ordinal will come any more (spec/ipam.md §5.7); `undefined` while one may. */
export function whyOrdinalEnded(
  { namespace, name, ordinal }: OrdinalIdentity,
  statefulSet: StatefulSetObject | undefined,
): string | undefined {
  const named = `StatefulSet ${namespace}/${name}`;
  if (statefulSet === undefined) return `${named} does not exist`;
  const { metadata, spec: { replicas = 1, ordinals } = {} } = statefulSet;
  if (metadata.deletionTimestamp != null) return `${named} is being deleted`;
  if (metadata.annotations?.[keepOnScaleDownAnnotation] === 'true') return undefined;
  const first = ordinals?.start ?? 0;
  if (first <= ordinal && ordinal < first + replicas) return undefined;
  return replicas === 0
    ? `${named} is scaled to none`
    : `${named} has the ordinals ${first} to ${first + replicas - 1} only`;
}

/** Why this machine will not come back; a VirtualMachine that is stopped has no instance, and keeps its addresses. */
export function whyMachineEnded(
  { namespace, name }: MachineIdentity,
  instance: KeepingObject | undefined,
  machine: KeepingObject | undefined,
): string | undefined {
  if (isStaying(instance) || isStaying(machine)) return undefined;
  const named = `${namespace}/${name}`;
  if (machine !== undefined) return `VirtualMachine ${named} is being deleted`;
  return instance === undefined
    ? `VirtualMachine ${named} does not exist`
    : `VirtualMachineInstance ${named} is being deleted, and no VirtualMachine will start it again`;
}

/** Why no pod will name this IPAMClaim any more; `undefined` while one may. */
export function whyIPAMClaimEnded(
  { namespace, name }: IPAMClaimIdentity,
  claim: KeepingObject | undefined,
): string | undefined {
  if (isStaying(claim)) return undefined;
  return `IPAMClaim ${namespace}/${name} ${claim === undefined ? 'does not exist' : 'is being deleted'}`;
}

const isStaying = (object: KeepingObject | undefined): boolean =>
  object !== undefined && object.metadata.deletionTimestamp == null;
