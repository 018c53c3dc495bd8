import type { DeleteLink } from './link-operation.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { isMarked, type OwnershipMark } from './ownership-mark.ts';

/** Plans to take away what carries this mark, also under another name; the kernel takes its addresses and routes with it. */
export const planRemoval = (observed: readonly ObservedLink[], mark: OwnershipMark): DeleteLink[] =>
  observed.filter((link) => isMarked(link, mark)).map(({ ifName }) => ({ op: 'delete-link', ifName }));
