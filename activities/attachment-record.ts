import type { AddRequest } from '../contracts/pod-network.ts';
import type { AttachmentRecord } from './node-ports.ts';

/**
 * What is written down of an ADD before its first effect. What an earlier attempt was going to do for its coordination stays: it
 * may have done so.
 */
export const recordOf = (
  { attachment, pod, netns, netnsCookie, network, arrivedAtMs }: AddRequest,
  earlier?: Pick<AttachmentRecord, 'coordination'>,
): AttachmentRecord => ({
  attachment,
  pod,
  netns,
  netnsCookie,
  provides: network.provides,
  ...(network.link === undefined ? {} : { link: network.link }),
  ...(network.shared === undefined ? {} : { shared: network.shared }),
  ...(earlier?.coordination === undefined ? {} : { coordination: earlier.coordination }),
  addresses: [],
  addedAtMs: arrivedAtMs,
});
