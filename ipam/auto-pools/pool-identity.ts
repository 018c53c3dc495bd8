import type { Family } from '../address.ts';
import { familyName } from '../address.ts';
import { applicationAffinityKeys, automaticPoolLabels } from '../automatic-pool.ts';
import { hash64 } from '../hash64.ts';
import type { Application, Labels } from '../pool-request.ts';

/** Whose pool it is: one application, one NIC, one family. */
export interface PoolOwner {
  readonly application: Application;
  readonly ifName: string;
  readonly family: Family;
}

/**
 * Name of an automatic pool (spec/ipam.md §6.3), for example "auto4-web-eth0-3f2a1": family, application, NIC, and the beginning of
 * the last part of the application's UID. At most 253 characters. `turn` 2 and more name a pool beside one that has the first name.
 */
export function poolName({ application, ifName, family }: PoolOwner, turn = 1): string {
  const uid = (application.uid.split('-').at(-1) ?? '').slice(0, 5);
  const nic = ifName.toLowerCase().replaceAll(/[^a-z0-9]/g, '-');
  const tail = [nic, uid, ...(turn === 1 ? [] : [String(turn)])].join('-');
  const head = `auto${family}-${application.name.toLowerCase()}`;
  const fitting = head.slice(0, longestName - tail.length - 1).replace(/[^a-z0-9]+$/, '');
  return `${fitting}-${tail}`;
}

/** RFC 1123 subdomain, which a Kubernetes name is. */
const longestName = 253;

/** Labels of an automatic pool (spec/ipam.md §2.3), by which the pools of an application are found and people select them. */
export const poolLabels = (
  { application, ifName, family }: PoolOwner,
  { subnet, isReclaimed }: { readonly subnet: string; readonly isReclaimed: boolean },
): Labels => ({
  ...ownerLabels({ application, ifName, family }),
  [automaticPoolLabels.subnet]: labelText(subnet),
  [automaticPoolLabels.applicationGroupVersion]: labelText(application.apiVersion.replace('/', '_')),
  [automaticPoolLabels.applicationUID]: application.uid,
  [automaticPoolLabels.reclaim]: String(isReclaimed),
});

/** Those of the labels that never change for one application, NIC and family, whichever incarnation and Subnet. */
export const ownerLabels = ({ application, ifName, family }: PoolOwner | OwnerWithoutUID): Labels => ({
  [automaticPoolLabels.applicationKind]: labelText(application.kind),
  [automaticPoolLabels.applicationNamespace]: labelText(application.namespace),
  [automaticPoolLabels.applicationName]: labelText(application.name),
  [automaticPoolLabels.ifName]: ifName,
  [automaticPoolLabels.family]: familyName(family),
});

interface OwnerWithoutUID extends Omit<PoolOwner, 'application'> {
  readonly application: Omit<Application, 'uid'>;
}

/** What `spec.podAffinity.matchLabels` of an automatic pool says: the application in full, never shortened. */
export function poolAffinity({ apiVersion, kind, namespace, name }: Omit<Application, 'uid'>): Labels {
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  return {
    [applicationAffinityKeys.group]: group,
    [applicationAffinityKeys.version]: version,
    [applicationAffinityKeys.kind]: kind,
    [applicationAffinityKeys.namespace]: namespace,
    [applicationAffinityKeys.name]: name,
  };
}

/** How a Subnet's status names an application: "apps_v1_Deployment_pay_api" (spec/ipam.md §1.2). */
export const applicationText = ({ apiVersion, kind, namespace, name }: Omit<Application, 'uid'>): string =>
  [apiVersion.replace('/', '_'), kind, namespace, name].join('_');

/**
 * A name as the value of a label. Names may have 253 characters and label values 63: a longer one is cut, with a hash of the whole
 * of it at the end. What decides compares names in full; labels are for finding.
 */
export function labelText(name: string): string {
  if (name.length <= longestLabel) return name;
  const hash = hash64(name).toString(16).padStart(16, '0');
  return `${name.slice(0, longestLabel - 1 - hash.length)}-${hash}`;
}

const longestLabel = 63;
