import { ProvisionError } from '../contracts/failures.ts';
import type { DetachRequest } from '../contracts/pod-network.ts';
import type {
  AttachmentRecord,
  AttachmentRecords,
  ClaimStore,
  Kernel,
  Log,
  OpenCalls,
  PodReader,
} from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface DetachPorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly claims: Pick<ClaimStore, 'release'>;
  readonly pods: PodReader;
  readonly kernel: Pick<Kernel, 'unplumb' | 'removeAddresses'>;
  readonly log: Log;
}

/** Removes what we made in the sandbox's namespace for this attachment; success when nothing, or no namespace, is there. */
export const createRemoveLink =
  ({ records, kernel, log }: DetachPorts) =>
  async (request: DetachRequest): Promise<void> => {
    const { attachment, netns: netnsOfCall, reason } = request;
    const { containerID, ifName } = attachment;
    const record = await records.read(attachment);
    if (reason === 'failed-add') refuseWhenDone(record);
    const netns = record?.netns ?? netnsOfCall;
    if (netns === undefined || netns === '') return;
    const place = { netns, ...(record === undefined ? {} : { netnsCookie: record.netnsCookie }) };
    if (record?.provides === 'addresses') {
      // The plugin that made the link calls its IPAM before it deletes it: the address must not answer once it is free.
      const addresses = record.addresses.map(({ address }) => address);
      await kernel.removeAddresses({ ...place, ifName, addresses });
      stepLog(log, request).info({ addresses }, 'addresses removed from the interface');
      return;
    }
    const { removed, commands } = await kernel.unplumb({ containerID, ifName, ...place });
    if (removed) stepLog(log, request).info({ commands }, 'interface removed');
  };

/** Releases the claims of this attachment, forgets its record and answers the DEL that waits. */
export const createReleaseAddresses =
  ({ calls, records, claims, pods, log }: DetachPorts) =>
  async (request: DetachRequest): Promise<void> => {
    const { attachment, pod, nonce, reason } = request;
    const { containerID, ifName, network } = attachment;
    if (reason === 'failed-add') refuseWhenDone(await records.read(attachment));
    const disposition = reason === 'failed-add' ? 'undo' : (await pods.find(pod))?.isAlive === true ? 'hold' : 'delete';
    const released = await claims.release({ containerID, interface: ifName, network, disposition });
    await records.remove(attachment);
    if (released.length > 0)
      stepLog(log, request).info({ claims: released, disposition, reason }, 'addresses released');
    if (reason !== 'failed-add') calls.succeed(nonce);
  };

/** The last operation answers the caller. A run that took it for failed after that must not take a live pod's network away. */
function refuseWhenDone(record: AttachmentRecord | undefined): void {
  if (record?.doneResult === undefined) return;
  const { ifName, containerID } = record.attachment;
  throw new ProvisionError({
    type: 'Superseded',
    message: `Left ${ifName} of sandbox ${containerID} as it is: it was complete, and its caller knows, before its ADD was given up`,
    remedy: 'None: the DEL of the sandbox takes it away',
  });
}
