import { markOf } from '../../network/ownership-mark.ts';
import type { ClusterState } from './cluster-state.ts';

/**
 * Whatever happened before: what must hold of a cluster at rest. A sentence for each violation; empty is good. Two namespaces may
 * have one address only where its claim says so: a virtual machine that migrates.
 */
export function violationsOf({ claims, nodes }: ClusterState): readonly string[] {
  const held = nodes.flatMap(({ name: node, namespaces }) =>
    namespaces
      .filter(({ path }) => path !== 'node')
      .flatMap(({ path, links }) =>
        links.flatMap(({ name, alias, addresses }) =>
          addresses
            .filter(isGlobal)
            .map((address) => ({ node, path, link: name, owner: markOf(alias)?.containerID, address })),
        ),
      ),
  );
  const bound = claims.filter(({ spec }) => spec.phase === 'Bound');
  const byAddress = Map.groupBy(held, ({ address }) => address);
  const isShared = (address: string, places: readonly { readonly path: string }[]): boolean => {
    const { holders = [] } = bound.find(({ spec }) => spec.address === address)?.spec ?? {};
    return places.length === holders.length && holders.every(({ netns }) => places.some(({ path }) => path === netns));
  };
  return [
    ...[...byAddress].flatMap(([address, holders]) =>
      holders.length === 1 || isShared(address, holders)
        ? []
        : [`${address} is in ${holders.map(({ node, path }) => `${node} ${path}`).join(' and ')}`],
    ),
    ...held.flatMap(({ node, path, link, owner, address }) => {
      const where = `${address} of ${link} in ${node} ${path}`;
      const claim = bound.find(({ spec }) => spec.address === address);
      if (claim === undefined) return [`${where} has no Bound claim`];
      const holder = claim.spec.holders.find(({ netns }) => netns === path);
      if (holder === undefined)
        return [`${where} is claimed for ${claim.spec.holders.map(({ netns }) => netns).join(', ')}`];
      if (owner !== undefined && owner !== holder.containerID) {
        return [`${where} belongs to sandbox ${owner} and is claimed for ${holder.containerID}`];
      }
      return [];
    }),
    ...bound.flatMap(({ metadata, spec }) =>
      spec.holders
        .filter(
          ({ netns, node }) =>
            !held.some((one) => one.node === node && one.path === netns && one.address === spec.address),
        )
        .map(
          ({ namespace, pod, containerID, node }) =>
            `${metadata.name} is Bound to ${namespace}/${pod}, sandbox ${containerID}, and on ${node} no namespace has it`,
        ),
    ),
  ];
}

const isGlobal = (address: string): boolean => !/^(127\.|::1\/|fe80:)/.test(address);
