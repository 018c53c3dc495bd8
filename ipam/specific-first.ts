import type { PoolSnapshot } from './pool-snapshot.ts';

/**
 * Compares two pools that both serve: one made for fewer pods comes first, by the first of these on which they differ: podAffinity,
 * nodeName, nodeAffinity, namespaceName, namespaceAffinity, multusName (spec/ipam.md §4.5). Equal ones keep their order.
 */
export function bySpecificity(a: PoolSnapshot, b: PoolSnapshot): number {
  for (const isPresent of restrictions) {
    const difference = Number(isPresent(b)) - Number(isPresent(a));
    if (difference !== 0) return difference;
  }
  return 0;
}

const restrictions: readonly ((pool: PoolSnapshot) => boolean)[] = [
  ({ podAffinity, automatic }) => podAffinity !== undefined || automatic !== undefined,
  ({ nodeName }) => nodeName.length > 0,
  ({ nodeAffinity }) => nodeAffinity !== undefined,
  ({ namespaceName }) => namespaceName.length > 0,
  ({ namespaceAffinity }) => namespaceAffinity !== undefined,
  ({ multusName }) => multusName.length > 0,
];
