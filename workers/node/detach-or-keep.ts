import type { Log } from '../../activities/node-ports.ts';
import type { AttachmentKind } from '../../contracts/attachment.ts';
import type { PluginName } from '../../contracts/cni.ts';
import { type Failure, toFailure } from '../../contracts/failures.ts';
import { encodeRequest, type RequestFrame } from '../../contracts/frame.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';
import type { DeleteQueue } from './delete-queue.ts';
import type { DetachService } from './detach-service.ts';

/**
 * Takes an attachment away now, or keeps the wish on disk: until nothing of it is left, and until its run knows. Either way the
 * caller may say that it is done. Gives the reason why something is left, if it is.
 */
export const createDetachOrKeep =
  (detaches: Pick<DetachService, 'detach'>, queue: Pick<DeleteQueue, 'put'>, log: Log) =>
  async (request: DetachRequest, frame: RequestFrame = toDelFrame(request)): Promise<Failure | undefined> => {
    let whyLeft: Failure | undefined;
    try {
      if ((await detaches.detach(request)) === 'undone') return undefined;
    } catch (err) {
      whyLeft = toFailure(err);
      log.warn({ err, ...request.attachment }, 'DEL not done in time, kept on disk');
    }
    await queue.put(encodeRequest(frame), frame.nonce);
    return whyLeft;
  };

/** Under which name of the executable each kind of attachment is added and taken away. */
const pluginOf = {
  prepare: 'ifacer',
  attach: 'orbweaver',
  rdma: 'rdma',
  coordinate: 'coordinator',
} as const satisfies Record<AttachmentKind, PluginName>;

/** The DEL that a runtime would have sent for this attachment: what waits on disk has one shape. */
export const toDelFrame = ({ attachment, pod, nonce, netns = '' }: DetachRequest): RequestFrame => ({
  environment: new Map([
    ['CNI_COMMAND', 'DEL'],
    ['CNI_CONTAINERID', attachment.containerID],
    ['CNI_IFNAME', attachment.ifName],
    ['CNI_NETNS', netns],
    ['CNI_ARGS', `K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`],
    ['ORBWEAVER_PLUGIN', pluginOf[attachment.kind]],
  ]),
  stdin: new TextEncoder().encode(JSON.stringify({ cniVersion: '1.1.0', name: attachment.network, type: 'orbweaver' })),
  nonce,
});
