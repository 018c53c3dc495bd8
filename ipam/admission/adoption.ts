import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { adopted } from '../auto-pools/adopted-pool.ts';
import { labelText } from '../auto-pools/pool-identity.ts';
import { automaticPoolLabels } from '../automatic-pool.ts';
import { asObject, asText, type JsonObject, specOf } from './json-object.ts';
import { controllerOf, type Metadata, readMetadata } from './metadata.ts';

/**
 * The pool as the SpiderSubnet of its subnet takes it on; unchanged when there is none, it has it already, or something else
 * controls it. A reference to a Subnet of another UID is one from a backup, by which Kubernetes would delete the pool: it goes.
 */
export function adoptedFromList(pool: JsonObject, subnets: readonly SpiderSubnet[]): JsonObject {
  const { labels, owners } = readMetadata(pool);
  const spec = specOf(pool);
  const cidr = asText(spec['subnet']);
  const isOfCidr = (subnet: SpiderSubnet): boolean => cidr !== '' && specOf(subnet)['subnet'] === cidr;
  const owner = subnets.find((subnet) => isOfCidr(subnet) && !readMetadata(subnet).isTerminating);
  if (!owner) return pool;
  const isLabelled = labels[automaticPoolLabels.subnet] === labelText(owner.metadata.name);
  const ownerReferences = owners.filter(
    ({ kind, uid, controller }) =>
      kind !== 'SpiderSubnet' || controller !== true || (isLabelled && uid === owner.metadata.uid),
  );
  const free: unknown = { ...pool, metadata: { ...asObject(pool['metadata']), labels, ownerReferences }, spec };
  return { ...(adopted(free as SpiderIPPool, owner) ?? pool) };
}

/** The SpiderSubnet that a pool belongs to, by owner reference or label; only its name when there is no such Subnet. */
export function ownerOf(metadata: Metadata, subnets: readonly SpiderSubnet[]): SpiderSubnet | string | undefined {
  const controller = controllerOf(metadata);
  if (controller?.['kind'] === 'SpiderSubnet') {
    const name = asText(controller['name']);
    return subnets.find((subnet) => subnet.metadata.name === name) ?? name;
  }
  const label = metadata.labels[automaticPoolLabels.subnet];
  if (label === undefined || label === '') return undefined;
  return subnets.find((subnet) => labelText(subnet.metadata.name) === label) ?? label;
}
