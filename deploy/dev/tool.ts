import { join } from 'node:path';

/** Root of the checkout. */
export const checkout = join(import.meta.dirname, '../..');

/** Path of a pinned program. */
export const tool = (name: string): string => join(checkout, '.tools/bin', name);
