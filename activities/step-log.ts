import { type Attachment, type PodIdentity, podNetworkId } from '../contracts/attachment.ts';
import type { Log } from './node-ports.ts';

/** Every line that a step logs says for whom: spelled as CNI and Kubernetes do. */
export const stepLog = (
  log: Log,
  { attachment, pod }: { readonly attachment: Attachment; readonly pod: PodIdentity },
): Log =>
  log.child({
    podUID: pod.uid,
    containerID: attachment.containerID,
    ifName: attachment.ifName,
    workflowID: podNetworkId(pod, attachment.containerID),
  });
