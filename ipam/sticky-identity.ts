import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { OwnerReference } from '../contracts/crds/object-meta.ts';
import { controllerOf } from './controller-reference.ts';

/** Which applications keep their addresses when their pods are made anew. */
export type Stickiness = Pick<ClusterSettings, 'stickyStatefulSets' | 'stickyVirtualMachines'>;

/** What an address sticks to: it outlives pods, sandboxes and nodes. */
export type Identity = OrdinalIdentity | MachineIdentity | IPAMClaimIdentity;

export interface OrdinalIdentity {
  readonly kind: 'StatefulSet';
  readonly namespace: string;
  readonly name: string;
  readonly ordinal: number;
}

/** A KubeVirt machine, which has the name of its VirtualMachine if it has one. */
export interface MachineIdentity {
  readonly kind: 'VirtualMachineInstance';
  readonly namespace: string;
  readonly name: string;
}

/** An object of the Network Plumbing Working Group that the networks of pods name: one NIC of one pod after the other. */
export interface IPAMClaimIdentity {
  readonly kind: 'IPAMClaim';
  readonly namespace: string;
  readonly name: string;
}

export interface OwnedPod {
  readonly namespace: string;
  readonly name: string;
  readonly ownerReferences: readonly OwnerReference[];
}

/** Marks the target pod of a live migration (KubeVirt); its value is the name of the migration. */
export const migrationAnnotation = 'kubevirt.io/migrationJobName';

/**
 * What all addresses of this pod stick to, by its **controller**: a pod may have other owners, in any order (spec/ipam.md §12.3 #34).
 * `undefined` for every other pod, also for one of a StatefulSet that is not named as one of its ordinals.
 */
export function stickyIdentity(
  { namespace, name: pod, ownerReferences }: OwnedPod,
  { stickyStatefulSets, stickyVirtualMachines }: Stickiness,
): OrdinalIdentity | MachineIdentity | undefined {
  const controller = controllerOf(ownerReferences);
  if (controller === undefined || !isName(namespace) || !isName(controller.name)) return undefined;
  const { apiVersion, kind, name } = controller;
  if (kind === 'StatefulSet' && apiVersion === 'apps/v1' && stickyStatefulSets) {
    const ordinal = ordinalIn(pod, name);
    return ordinal === undefined ? undefined : { kind, namespace, name, ordinal };
  }
  if (kind === 'VirtualMachineInstance' && apiVersion.startsWith('kubevirt.io/') && stickyVirtualMachines) {
    return { kind, namespace, name };
  }
  return undefined;
}

/** The machine that this pod runs, as its identity is written, also where machines keep no addresses of their own. */
export function machineOf(pod: OwnedPod): string | undefined {
  const machine = stickyIdentity(pod, { stickyStatefulSets: false, stickyVirtualMachines: true });
  return machine && identityText(machine);
}

/** As a claim says it: "StatefulSet/pay/api/0", "VirtualMachineInstance/pay/vm-1", "IPAMClaim/pay/vm-1.net1". At most 350 characters. */
export const identityText = (identity: Identity): string =>
  [
    identity.kind,
    identity.namespace,
    identity.name,
    ...(identity.kind === 'StatefulSet' ? [identity.ordinal] : []),
  ].join('/');

/** Reads what `identityText` writes, and nothing else. */
export function parseIdentity(text: string): Identity | undefined {
  const [kind, namespace = '', name = '', number] = text.split('/');
  const ordinal = number === undefined ? undefined : parseOrdinal(number);
  const identity: Identity | undefined =
    kind === 'StatefulSet' && ordinal !== undefined
      ? { kind, namespace, name, ordinal }
      : kind === 'VirtualMachineInstance' || kind === 'IPAMClaim'
        ? { kind, namespace, name }
        : undefined;
  return identity && isName(namespace) && isName(name) && identityText(identity) === text ? identity : undefined;
}

/** It has one NIC at a time, whatever that is called in the pod that has it: its addresses are found without the NIC's name. */
export const isOfOneInterface = (identity: string): boolean => identity.startsWith('IPAMClaim/');

/** Name of the one pod that an ordinal has at a time; other pods have any name. */
export const podNameOf = (identity: Identity): string | undefined =>
  identity.kind === 'StatefulSet' ? `${identity.name}-${identity.ordinal}` : undefined;

const ordinalIn = (pod: string, statefulSet: string): number | undefined =>
  pod.startsWith(`${statefulSet}-`) ? parseOrdinal(pod.slice(statefulSet.length + 1)) : undefined;

/** An int32 as Kubernetes writes it: no sign, no leading zero. */
function parseOrdinal(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,9})$/.test(text)) return undefined;
  const ordinal = Number(text);
  return ordinal < 2 ** 31 ? ordinal : undefined;
}

/** A DNS subdomain (RFC 1123), which all these objects are named by. Owner references are not checked by the API server. */
const isName = (text: string): boolean => text.length <= 253 && /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text);
