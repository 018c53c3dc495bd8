import type { AddRequest } from '../contracts/pod-network.ts';
import type { AttachmentRecord } from './node-ports.ts';

/**
 * What is written down of an ADD before its first effect. What an earlier attempt wrote stays: it may have the device that is leased,
 * and may have done what was planned for its coordination.
 */
export const recordOf = (
  { attachment, pod, netns, netnsCookie, network, arrivedAtMs }: AddRequest,
  earlier?: Pick<AttachmentRecord, 'lease' | 'coordination'>,
): AttachmentRecord => ({
  attachment,
  pod,
  netns,
  netnsCookie,
  provides: network.provides,
  ...(network.link === undefined ? {} : { link: network.link }),
  ...(network.device === undefined ? {} : { device: network.device }),
  ...(earlier?.lease === undefined ? {} : { lease: earlier.lease }),
  ...(network.shared === undefined ? {} : { shared: network.shared }),
  ...(earlier?.coordination === undefined ? {} : { coordination: earlier.coordination }),
  addresses: [],
  addedAtMs: arrivedAtMs,
});
