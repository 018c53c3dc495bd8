import type { OwnershipMark } from './ownership-mark.ts';

/**
 * Alias of a link that is lent to a pod: `orbweaver:lent/<container ID>/<interface>`. It is no ownership mark: a link that carries
 * it was there before us, and nobody may delete it.
 */
export const loanAliasOf = ({ containerID, ifName }: OwnershipMark): string => `${loanPrefix}${containerID}/${ifName}`;

/** Whether a link is lent to some pod, by its alias. */
export const isLent = (alias: string): boolean => alias.startsWith(loanPrefix);

const loanPrefix = 'orbweaver:lent/';
