import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { automaticPoolLabels } from '../automatic-pool.ts';
import { controllerOf } from '../controller-reference.ts';
import { labelText } from './pool-identity.ts';
import { cidrLabel, ownedBy, poolCidrLabel } from './pool-object.ts';

/**
 * A pool as its Subnet takes it on (spec/ipam.md §6.8): owned, labelled, and with the Subnet's gateway and routes where it says
 * nothing about its own; an empty list of routes says something. Undefined for one that somebody controls, goes, or has another CIDR.
 */
export function adopted(pool: SpiderIPPool, subnet: SpiderSubnet): SpiderIPPool | undefined {
  const { metadata, spec } = pool;
  const isTaken = controllerOf(metadata.ownerReferences) !== undefined;
  const goes = metadata.deletionTimestamp !== undefined || subnet.metadata.deletionTimestamp !== undefined;
  if (isTaken || goes || spec.subnet !== subnet.spec.subnet) return undefined;
  const { gateway, routes } = subnet.spec;
  return {
    ...pool,
    metadata: {
      ...metadata,
      labels: {
        ...metadata.labels,
        [automaticPoolLabels.subnet]: labelText(subnet.metadata.name),
        [poolCidrLabel]: cidrLabel(spec.subnet), // admission adds it; this pool may be older than that
      },
      ownerReferences: [...(metadata.ownerReferences ?? []), ownedBy(subnet.metadata)],
    },
    spec: {
      ...spec,
      ...(spec.gateway === undefined && gateway !== undefined && { gateway }),
      ...(spec.routes === undefined && routes !== undefined && { routes }),
    },
  };
}
