import { createHash } from 'node:crypto';

/**
 * The value of a label that stands for a name: names of pools and nodes may have 253 characters, label values end at 63.
 * 80 bits of SHA-256: two names of one cluster never meet in one label.
 */
export const labelHash = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 20);
