import type { AddRequest } from '../contracts/pod-network.ts';
import type { AttachmentRecord } from './node-ports.ts';

/** What is written down of an ADD before its first effect. */
export const recordOf = ({
  attachment,
  pod,
  netns,
  netnsCookie,
  network,
  arrivedAtMs,
}: AddRequest): AttachmentRecord => ({
  attachment,
  pod,
  netns,
  netnsCookie,
  provides: network.provides,
  ...(network.link === undefined ? {} : { link: network.link }),
  ...(network.shared === undefined ? {} : { shared: network.shared }),
  addresses: [],
  addedAtMs: arrivedAtMs,
});
