import type { OwnershipMark } from './ownership-mark.ts';

/**
 * Alias of a link that is lent to a pod: `orbweaver:lent/<container ID>/<interface>`. It is no ownership mark: a link that carries
 * it was there before us, and nobody may delete it.
 */
export const loanAliasOf = ({ containerID, ifName }: OwnershipMark): string =>
  `orbweaver:lent/${containerID}/${ifName}`;

/** Reads an alias that `loanAliasOf` wrote; undefined for every other. */
export function loanOf(alias: string): OwnershipMark | undefined {
  const [, containerID, ifName] = /^orbweaver:lent\/([^/]+)\/([^/]+)$/.exec(alias) ?? [];
  return containerID === undefined || ifName === undefined ? undefined : { containerID, ifName };
}
