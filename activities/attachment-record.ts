import type { AddRequest } from '../contracts/pod-network.ts';
import type { AttachmentRecord } from './node-ports.ts';

/** What is written down of an ADD before its first effect; `known`: what an earlier attempt wrote, whose device it may have. */
export const recordOf = (
  { attachment, pod, netns, netnsCookie, network, arrivedAtMs }: AddRequest,
  known: AttachmentRecord | undefined,
): AttachmentRecord => ({
  attachment,
  pod,
  netns,
  netnsCookie,
  provides: network.provides,
  ...(network.link === undefined ? {} : { link: network.link }),
  ...(network.device === undefined ? {} : { device: network.device }),
  ...(known?.lease === undefined ? {} : { lease: known.lease }),
  ...(network.shared === undefined ? {} : { shared: network.shared }),
  addresses: [],
  addedAtMs: arrivedAtMs,
});
