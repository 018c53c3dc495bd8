import type { SpiderIPPool, SpiderIPPoolSpec } from '../../contracts/crds/spiderippool.ts';
import { type Family, familyName } from '../address.ts';
import { finalizer } from '../admission/metadata.ts';
import { automaticPoolLabels, readAutomaticPool } from '../automatic-pool.ts';
import type { IntervalSet } from '../interval-set.ts';
import { formatRanges } from '../range-grammar.ts';
import { poolSizeAnnotation } from '../subnet-annotation.ts';
import { ownerLabels, poolAffinity, poolLabels } from './pool-identity.ts';
import type { PoolSubject, PoolWish, SeenPool } from './pool-wish.ts';
import { addressesOf, type SubnetObject } from './subnet-ledger.ts';

/** Label of pools and Subnets by which those of one CIDR are found: "10-70-8-0-22" (spec/ipam.md §1.5). */
export const poolCidrLabel = 'ipam.spidernet.io/ippool-cidr';
export const subnetCidrLabel = 'ipam.spidernet.io/subnet-cidr';

/** With a 0 before "::", because the value of a label begins with a letter or a digit. */
export const cidrLabel = (cidr: string): string => cidr.replaceAll(/[.:/]/g, '-').replace(/^-/, '0-');

/** An automatic pool with the object that a change of it begins with. */
export interface SeenPoolObject extends SeenPool {
  readonly family: Family;
  readonly object: SpiderIPPool;
}

/** Undefined for a pool that was not made for an application. */
export function readSeenPool(object: SpiderIPPool): SeenPoolObject | undefined {
  const { metadata, spec } = object;
  const made = readAutomaticPool(metadata.labels ?? {}, spec.podAffinity?.matchLabels ?? {});
  if (made === undefined) return undefined;
  return {
    name: metadata.name,
    made,
    family: metadata.labels?.[automaticPoolLabels.family] === familyName(6) ? 6 : 4,
    addresses: addressesOf(object),
    isTerminating: metadata.deletionTimestamp !== undefined,
    sizeText: metadata.annotations?.[poolSizeAnnotation] ?? '',
    object,
  };
}

/** Label selector of all pools that were made for this application, NIC and family; what decides compares names in full: `isPoolOf`. */
export const selectorOf = ({ ifName, family, ...application }: PoolSubject): string =>
  Object.entries(ownerLabels({ application, ifName, family }))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/**
 * A pool to be made, as admission would complete it, for it is not asked to. Gateway and routes are the Subnet's as they are now;
 * the Subnet owns it, not the application (spec/ipam.md §6.3).
 */
export function newPool(name: string, wish: PoolWish, ips: IntervalSet, subnet: SubnetObject): SpiderIPPool {
  const { spec, metadata } = subnet;
  return withAddresses(
    {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderIPPool',
      metadata: {
        name,
        finalizers: [finalizer],
        labels: { [poolCidrLabel]: cidrLabel(spec.subnet) },
        ownerReferences: [ownedBy(metadata)],
      },
      spec: {
        ipVersion: wish.owner.family,
        subnet: spec.subnet,
        ...(spec.gateway !== undefined && { gateway: spec.gateway }),
        ...(spec.routes !== undefined && { routes: spec.routes }),
        podAffinity: { matchLabels: poolAffinity(wish.owner.application) },
      } satisfies SpiderIPPoolSpec,
    },
    wish,
    ips,
  );
}

/** The same pool with other addresses, and with the labels of the wish: also when it is taken over from an earlier application. */
export function withAddresses(pool: SpiderIPPool, wish: PoolWish, ips: IntervalSet): SpiderIPPool {
  const { labels, annotations } = pool.metadata;
  const { excludeIPs: _, ...spec } = pool.spec;
  return {
    ...pool,
    metadata: {
      ...pool.metadata,
      labels: { ...labels, ...poolLabels(wish.owner, wish) },
      annotations: { ...annotations, [poolSizeAnnotation]: wish.sizeText },
    },
    spec: { ...spec, ips: formatRanges(ips, wish.owner.family) },
  };
}

/** Controller reference of a pool to its Subnet: deleting the Subnet deletes its pools. */
export const ownedBy = ({ name, uid = '' }: SubnetObject['metadata']) => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderSubnet',
  name,
  uid,
  controller: true,
  blockOwnerDeletion: true,
});
