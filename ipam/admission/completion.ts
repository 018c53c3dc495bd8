import { cidrLabel } from '../auto-pools/pool-object.ts';
import { formatCidr } from '../cidr.ts';
import { asObject, type JsonObject } from './json-object.ts';
import { finalizer, readMetadata } from './metadata.ts';
import type { NetworkFields } from './network-fields.ts';
import { mergedRanges } from './range-list.ts';

/**
 * What mutation gives to pools and SpiderSubnets alike: finalizer, `ipVersion`, the label with the subnet, and ranges that are
 * sorted, apart and few. Ranges with a mistake in them stay as they are.
 *
 * @param label Key of the label with the subnet.
 */
export function completed(object: JsonObject, fields: NetworkFields, label: string): JsonObject {
  const { subnet, ips, excluded, problems } = fields;
  const { labels, finalizers } = readMetadata(object);
  const spec = asObject(object['spec']);
  const metadata = {
    ...asObject(object['metadata']),
    ...(subnet && { labels: { ...labels, [label]: cidrLabel(formatCidr(subnet)) } }),
    finalizers: finalizers.includes(finalizer) ? finalizers : [...finalizers, finalizer],
  };
  if (!subnet) return { ...object, metadata };

  const { family } = subnet.address;
  const merged = problems.length === 0 && {
    ...(spec['ips'] != null && { ips: mergedRanges(spec['ips'], ips, family) }),
    ...(spec['excludeIPs'] != null && { excludeIPs: mergedRanges(spec['excludeIPs'], excluded, family) }),
  };
  return { ...object, metadata, spec: { ...spec, ipVersion: spec['ipVersion'] ?? family, ...merged } };
}
